"""The plugin conv-ae: an autoencoder that keeps an image in a few numbers."""
