"""The plugin vae: a generative model of binary images."""
