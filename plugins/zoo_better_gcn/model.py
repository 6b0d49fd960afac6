"""Graph convolution that keeps a node apart from its neighbours, and averages them and counts them at once.

Letters: N nodes, E edges, F features, H channels, L layers, K classes, G graphs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo import graphs
from zoo.graphnet import GraphNet
from zoo.graphs import Graph
from zoo.sparse import Matrix

if TYPE_CHECKING:
    from zoo_better_gcn.plugin import Config


class Layer(nn.Module):
    """X' = e (X + H W0) + g * S H W1 + (1 - g) * B A H W1,  H = MLP(relu(norm(X))).

    A sums over the edges that come in, with their weights, and B = log(1 + d) / d damps the sum by the weight d that
    comes in (PNA, arXiv:2004.05718, equation 5), so that a thousand neighbours do not drown all else: it tells how many
    they are (GIN, arXiv:1810.00826). S = D^-1/2 A D^-1/2 does not grow with them, and has no self-connections (Kipf &
    Welling, arXiv:1609.02907, weigh a node like a neighbour: here it has W0). g in (0, 1) is learned for each channel.
    e, `self_weight`, is how much a node's own path counts beside what comes in: 1 where a node is known by its place
    alone, less where the words of 140 labelled nodes could be learned by heart.

    The norm is a batch norm, since a layer norm would take away what the sum says of the number of neighbours; in
    training it counts nodes that were merged (`zoo.graphsets`) once. The first layer takes H = X: the words of one node
    say little before they are averaged with its neighbours'.

    Shapes:
        x: (N, H); symmetric, damped: (N, N), S and B A
        output: (N, H)
    """

    def __init__(self, config: Config, first: bool) -> None:
        super().__init__()
        channels = config.hidden
        bend: list[nn.Module] = [nn.BatchNorm1d(channels)] if config.norm else []
        for _ in range(config.mlp):
            bend += [nn.ReLU(), nn.Linear(channels, channels)]
        self.bend = nn.Sequential() if first else nn.Sequential(*bend, nn.ReLU())
        self.both = nn.Linear(channels, 2 * channels)  # W0 and W1 in one product
        self.gate = nn.Parameter(torch.full((channels,), config.gate))
        self.self_weight, self.dropout = config.self_weight, config.dropout

    def forward(self, x: Tensor, symmetric: Matrix, damped: Matrix) -> Tensor:
        """The next features of each node."""
        hidden = graphs.dropout(self.bend(x), self.dropout, self.training)
        own, neighbours = self.both(hidden).chunk(2, 1)
        gate = self.gate.sigmoid()
        out: Tensor = (
            self.self_weight * (x + own) + symmetric @ (neighbours * gate) + damped @ (neighbours * (1 - gate))
        )
        return out


class BetterGCN(GraphNet):
    """Layers on top of a linear input, all of which the head sees (jumping knowledge, arXiv:1806.03536, concatenated).

    For graphs, the readout is the mean over the nodes beside their sum, as sign(s) log(1 + |s|).
    """

    def __init__(self, config: Config, features: int, classes: int, level: str, degree: bool) -> None:
        super().__init__(level, degree, config.row_norm)
        self.config = config
        channels = config.hidden
        self.embed = nn.Linear(graphs.DEGREE_CODE if degree else features, channels)
        self.layers = nn.ModuleList(Layer(config, first=not number) for number in range(config.layers))
        self.depth = config.layers
        width = channels * (config.layers + 1) * (1 if level == "node" else 2)
        # A sum over a graph is far larger than a mean: only a norm of each feature by itself leaves both their say.
        self.norm = nn.BatchNorm1d(width) if level == "graph" else nn.Identity()
        self.out = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):  # rows of x that sum to 1 need larger weights than PyTorch's own
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def propagations(self, edge_index: Tensor, edge_weight: Tensor, nodes: int) -> tuple[Tensor, ...]:
        """S and B A of `Layer`."""
        return graphs.normalised(edge_index, edge_weight, nodes), graphs.damped(edge_index, edge_weight, nodes)

    def encode(self, graph: Graph) -> Tensor:
        """What the head sees: (N, (L + 1) H), or (G, 2 (L + 1) H)."""
        config = self.config
        features = graphs.dropout(graph.x, config.input_dropout, self.training)
        x = graphs.features(features, self.embed.weight) + self.embed.bias
        seen = [x]
        for layer in self.layers:
            seen.append(layer(seen[-1], *graph.edges))
        if graph.readout is None:
            return torch.cat(seen, 1)
        whole = torch.cat([graph.readout @ each for each in seen], 1)
        count = (graph.readout @ x.new_ones(x.shape[0], 1)).clamp(min=1)
        return torch.cat([whole / count, whole.sign() * whole.abs().log1p()], 1)

    def head(self, graph: Graph, hidden: Tensor) -> Tensor:
        """Logits from what `encode` returned."""
        logits: Tensor = self.out(graphs.dropout(self.norm(hidden), self.config.head_dropout, self.training))
        return logits

    def penalty(self) -> Tensor:
        """Half the squared norm of all matrices of weights, by `l2`."""
        total = torch.zeros((), device=self.out.weight.device)
        if self.config.l2:
            total = sum((p.square().sum() for p in self.parameters() if p.ndim > 1), total)
        return self.config.l2 * total / 2
