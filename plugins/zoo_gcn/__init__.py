"""The plugin gcn: graph convolution by one symmetric matrix, for nodes and graphs."""
