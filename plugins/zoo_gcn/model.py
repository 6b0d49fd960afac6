"""Graph convolution as Kipf & Welling 2017 (arXiv:1609.02907) define it, and nothing beside it.

Letters: N nodes, E edges, F features, H channels, K classes, G graphs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import graphs
from zoo.graphnet import GraphNet
from zoo.graphs import Graph
from zoo.sparse import Matrix, Sparse

if TYPE_CHECKING:
    from zoo_gcn.plugin import Config


class Convolution(nn.Module):
    """X' = D^-1/2 (A + I) D^-1/2 X W + b, equation 2 of the paper, D the weight that comes into a node of A + I.

    Shapes:
        x: (N, F), dense or sparse
        propagation: (N, N), D^-1/2 (A + I) D^-1/2
        output: (N, H)
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(channels, features)))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor | Sparse, propagation: Matrix) -> Tensor:
        """Transforms, then propagates: H is at most F in the first layer."""
        return propagation @ graphs.features(x, self.weight) + self.bias


class GCN(GraphNet):
    """Convolutions with ReLU and dropout between them; for graphs a readout and a linear layer after them."""

    loops = True

    def __init__(self, config: Config, features: int, classes: int, level: str, degree: bool) -> None:
        super().__init__(level, degree, config.row_norm)
        self.config = config
        nodes = level == "node"
        sizes = [graphs.DEGREE_CODE if degree else features, *config.hidden, *([classes] if nodes else [])]
        self.layers = nn.ModuleList(Convolution(a, b) for a, b in pairwise(sizes))
        self.out = None if nodes else nn.Linear(sizes[-1], classes)
        self.depth = len(self.layers)

    def propagations(self, edge_index: Tensor, edge_weight: Tensor, nodes: int) -> tuple[Tensor, ...]:
        """D^-1/2 A D^-1/2, where A has its loops."""
        return (graphs.normalised(edge_index, edge_weight, nodes),)

    def encode(self, graph: Graph) -> Tensor:
        """What the last layer sees: (N, H), or the mean of all nodes of each graph, (G, H)."""
        x, (propagation,), convolutions = graph.x, graph.edges, list(self.layers)
        for number, layer in enumerate(convolutions if self.out is not None else convolutions[:-1]):
            rate = self.config.dropout if number else self.config.input_dropout
            x = F.relu(layer(graphs.dropout(x, rate, self.training), propagation))
        assert isinstance(x, Tensor)
        return x if graph.readout is None else graphs.mean(graph.readout, x)

    def head(self, graph: Graph, hidden: Tensor) -> Tensor:
        """Logits from what `encode` returned."""
        x = graphs.dropout(hidden, self.config.dropout, self.training)
        logits: Tensor = self.layers[-1](x, graph.edges[0]) if self.out is None else self.out(x)
        return logits

    def penalty(self) -> Tensor:
        """Half the squared norm of the weights, by `l2` and for the last layer by `l2_last` (the paper: 0)."""
        rates = [self.config.l2] * (len(self.layers) - 1) + [self.config.l2_last]
        weights: list[Tensor] = [layer.weight for layer in self.layers]  # type: ignore[misc]
        squares = [rate * weight.square().sum() for rate, weight in zip(rates, weights, strict=True) if rate]
        return sum(squares, weights[0].new_zeros(())) / 2
