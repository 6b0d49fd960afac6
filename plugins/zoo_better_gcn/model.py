"""Graph convolution that keeps a node apart from its neighbours, and averages them and counts them at once.

Letters: N nodes, E edges, F features, H channels, L layers, K classes, G graphs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import graphs
from zoo.graphs import Graph, Sparse

if TYPE_CHECKING:
    from zoo_better_gcn.plugin import Config

GATE = 2.0
"""The gate's start: 88 % of what comes in is the normalised branch, which is the safer one on few labels."""


class Layer(nn.Module):
    """m = g * S X W1 + (1 - g) * B A X W1;  X' = X + MLP(norm(X W0 + m)).

    A sums over the edges that come in, with their weights, and B = log(1 + d) / d damps the sum by the weight d that
    comes in (PNA, arXiv:2004.05718, equation 5), so that a thousand neighbours do not drown all else: it tells how many
    they are (GIN, arXiv:1810.00826). S = D^-1/2 A D^-1/2 does not grow with them, and has no self-connections (Kipf &
    Welling, arXiv:1609.02907, weigh a node like a neighbour: here it has W0). g in (0, 1) is learned for each channel.

    Shapes:
        x: (N, H); symmetric, damped: (N, N), S and B A
        output: (N, H)
    """

    def __init__(self, channels: int, norm: bool, residual: bool) -> None:
        super().__init__()
        self.both = nn.Linear(channels, 2 * channels)  # W0 and W1 in one product
        self.gate = nn.Parameter(torch.full((channels,), GATE))
        self.norm = nn.LayerNorm(channels) if norm else nn.Identity()
        self.out = nn.Linear(channels, channels)
        self.residual = residual

    def forward(self, x: Tensor, symmetric: graphs.Matrix, damped: graphs.Matrix, dropout: float) -> Tensor:
        """The next features of each node."""
        own, neighbours = self.both(graphs.dropout(x, dropout, self.training)).chunk(2, 1)
        gate = self.gate.sigmoid()
        message = symmetric @ (neighbours * gate) + damped @ (neighbours * (1 - gate))
        made: Tensor = self.out(graphs.dropout(F.relu(self.norm(own + message)), dropout, self.training))
        return x + made if self.residual else made


class BetterGCN(nn.Module):
    """Layers on top of a linear input, all of which the head sees (jumping knowledge, arXiv:1806.03536, concatenated).

    For graphs, the readout is the mean over the nodes beside their sum, as sign(s) log(1 + |s|).

    Shapes:
        x: (N, F); edge_index: (2, E); edge_weight: (E,); batch: (N,), the graph of each node, ascending
        output: (N, K), logits of the nodes, or (G, K), of the graphs
    """

    loops = False

    def __init__(self, config: Config, features: int, classes: int, level: str, degree: bool) -> None:
        super().__init__()
        self.config, self.level, self.degree = config, level, degree
        channels = config.hidden
        self.embed = nn.Linear(graphs.DEGREE_CODE if degree else features, channels)
        self.layers = nn.ModuleList(Layer(channels, config.norm, config.residual) for _ in range(config.layers))
        self.depth = config.layers
        width = channels * (config.layers + 1) * (1 if level == "node" else 2)
        # A sum over a graph is far larger than a mean: only a norm of each feature by itself leaves both their say.
        self.norm = nn.BatchNorm1d(width) if level == "graph" else nn.Identity()
        self.out = nn.Linear(width, classes)

    def forward(
        self,
        x: Tensor | Sparse,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        scatter: bool = False,
    ) -> Tensor:
        """Logits of graphs as PyG's `Data` and `Batch` hold them; `scatter` selects the form that can be exported."""
        return self.classify(self.graph(x, edge_index, edge_weight, batch, scatter))

    def graph(
        self,
        x: Tensor | Sparse,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        scatter: bool = False,
    ) -> Graph:
        """The input of `classify` and `encode`, which a user may keep for graphs that stay the same."""
        weight = torch.ones_like(edge_index[0], dtype=torch.float32) if edge_weight is None else edge_weight
        made = self.prepare(x, edge_index, weight, scatter)
        return made if self.level == "node" else graphs.with_readout(made, batch, x.shape[0], scatter)

    def prepare(self, x: Tensor | Sparse, edge_index: Tensor, edge_weight: Tensor, scatter: bool = False) -> Graph:
        """As `graph`, without a readout."""
        shape = (x.shape[0], x.shape[0])
        values = (
            graphs.normalised(edge_index, edge_weight, x.shape[0]),
            graphs.damped(edge_index, edge_weight, x.shape[0]),
        )
        x = graphs.degree_code(x) if self.degree else graphs.row_normalised(x) if self.config.row_norm else x  # type: ignore[arg-type]
        both = [graphs.matrix(edge_index, weights, shape, scatter) for weights in values]
        return Graph(x, (both[0], both[1]))

    def encode(self, graph: Graph) -> Tensor:
        """What the head sees: (N, (L + 1) H), or (G, 2 (L + 1) H)."""
        config = self.config
        features = graphs.dropout(graph.x, config.input_dropout, self.training)
        x = graphs.features(features, self.embed.weight) + self.embed.bias
        seen = [x]
        for layer in self.layers:
            seen.append(layer(seen[-1], *graph.edges, config.dropout))
        if graph.readout is None:
            return torch.cat(seen, 1)
        whole = torch.cat([graph.readout @ each for each in seen], 1)
        count = (graph.readout @ x.new_ones(x.shape[0], 1)).clamp(min=1)
        return torch.cat([whole / count, whole.sign() * whole.abs().log1p()], 1)

    def head(self, graph: Graph, hidden: Tensor) -> Tensor:
        """Logits from what `encode` returned."""
        logits: Tensor = self.out(graphs.dropout(self.norm(hidden), self.config.head_dropout, self.training))
        return logits

    def classify(self, graph: Graph) -> Tensor:
        """Logits, (N, K) or (G, K)."""
        return self.head(graph, self.encode(graph))

    def penalty(self) -> Tensor:
        """Half the squared norm of all matrices of weights, by `l2`."""
        total = torch.zeros((), device=self.out.weight.device)
        if self.config.l2:
            total = sum((p.square().sum() for p in self.parameters() if p.ndim > 1), total)
        return self.config.l2 * total / 2
