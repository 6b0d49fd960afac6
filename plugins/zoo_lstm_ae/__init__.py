"""The plugin lstm-ae: an autoencoder of sentences."""
