"""What every graph model of the zoo does with a graph before and after its layers. The layers are the plugins'.

Letters as in `zoo.graphs`; K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from zoo import graphs
from zoo.graphs import Graph
from zoo.sparse import Sparse


class GraphNet(nn.Module, ABC):
    """A net for nodes (`level` "node") or whole graphs ("graph"); `degree`: the degree is the only feature.

    Shapes:
        x: (N, F); edge_index: (2, E); edge_weight: (E,); batch: (N,), the graph of each node, ascending
        output: (N, K), logits of the nodes, or (G, K), of the graphs
    """

    loops = False
    """Whether each node is to have an edge to itself."""
    depth: int
    """How far a node sees, in edges."""

    def __init__(self, level: str, degree: bool, row_norm: bool) -> None:
        super().__init__()
        self.level, self.degree, self.row_norm = level, degree, row_norm

    @abstractmethod
    def propagations(self, edge_index: Tensor, edge_weight: Tensor, nodes: int) -> tuple[Tensor, ...]:
        """The weights of the edges, (E,), in each matrix that the layers multiply with."""

    @abstractmethod
    def encode(self, graph: Graph) -> Tensor:
        """Embeddings, (N, H) or (G, H)."""

    @abstractmethod
    def head(self, graph: Graph, hidden: Tensor) -> Tensor:
        """Logits from what `encode` returned."""

    @abstractmethod
    def penalty(self) -> Tensor:
        """What the loss adds for large weights."""

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

    def classify(self, graph: Graph) -> Tensor:
        """Logits, (N, K) or (G, K)."""
        return self.head(graph, self.encode(graph))

    def graph(
        self,
        x: Tensor | Sparse,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        scatter: bool = False,
    ) -> Graph:
        """The input of `classify` and `encode`, which a user may keep for graphs that stay the same."""
        nodes = x.shape[0]
        weight = torch.ones_like(edge_index[0], dtype=torch.float32) if edge_weight is None else edge_weight
        if self.loops:
            edge_index, weight = graphs.with_loops(edge_index, weight, nodes)
        made = self.prepare(x, edge_index, weight, scatter)
        return made if self.level == "node" else graphs.with_readout(made, batch, nodes, scatter)

    def prepare(self, x: Tensor | Sparse, edge_index: Tensor, edge_weight: Tensor, scatter: bool = False) -> Graph:
        """As `graph`, where the edges have their loops already, and without a readout."""
        nodes = x.shape[0]
        weights = self.propagations(edge_index, edge_weight, nodes)
        edges = tuple(graphs.matrix(edge_index, values, (nodes, nodes), scatter) for values in weights)
        if self.degree:
            assert isinstance(x, Tensor)
            x = graphs.degree_code(x)
        elif self.row_norm:
            x = graphs.row_normalised(x)
        return Graph(x, edges)
