"""The plugin better-gcn: graph convolution that keeps a node apart from its neighbours, for nodes and graphs."""
