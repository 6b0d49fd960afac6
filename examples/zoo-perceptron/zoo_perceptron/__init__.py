"""A perceptron as a plugin for the zoo, in its own distribution."""
