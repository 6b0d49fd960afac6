"""The plugin cnn-mnist: a small convolutional network that reads handwritten digits."""
