"""The plugin dae: a network that takes noise off images."""
