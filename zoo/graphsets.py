"""Data sets of graphs made ready for training: as matrices, without twins, in batches, scored, and a user's own.

Two nodes that see the same features, and neighbours that see the same, and so on, are twins: no message passing can
tell them apart (1-WL; arXiv:1810.00826). A graph whose only feature is the degree has many. They are merged into one
node that counts as often as there were twins: the outputs are the same, from fewer nodes and edges.

Letters as in `zoo.graphs`; K classes, n examples of a split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from zoo.batches import Batches
from zoo.environment import rank_and_world
from zoo.errors import ConfigError
from zoo.graphnet import GraphNet
from zoo.graphs import Graph, with_loops
from zoo.sparse import Sparse, ranges


@dataclass(frozen=True)
class Split:
    """A split of a data set of graphs; see `zoo.datasets.graphs` for the tensors."""

    index: Tensor
    offsets: Tensor
    edge_index: Tensor
    x: Sparse
    label: Tensor

    @classmethod
    def of(cls, tensors: tuple[Tensor, ...], features: int) -> Self:
        """From the tensors of a split, and F."""
        index, offsets, edge_index, starts, columns, values, label = tensors
        rows = torch.repeat_interleave(torch.arange(len(starts) - 1), starts.diff())
        return cls(index, offsets, edge_index, Sparse.of(rows, columns, values, (len(starts) - 1, features)), label)

    @property
    def graph(self) -> Tensor:
        """The graph of each node, (N,)."""
        return torch.repeat_interleave(torch.arange(len(self.offsets) - 1), self.offsets.diff())


class OneGraph(Batches):
    """One graph, which is one batch: one step an epoch, over all its nodes. A batch is (Graph, index, label)."""

    def __init__(self, graph: Graph, index: Tensor, label: Tensor) -> None:
        super().__init__(index, label[index], batch_size=len(index), shuffle=False)
        self.graph = graph

    def take(self, index: Tensor) -> tuple[Graph, Tensor, Tensor]:  # type: ignore[override]
        """The graph, the nodes that are learnt from or scored, (n,), and their classes, (n,)."""
        return self.graph, *self.tensors  # type: ignore[return-value]

    def to(self, device: torch.device) -> Self:
        """Moves all once."""
        if self.tensors[0].device != device:
            self.graph = self.graph.to(device)
        return super().to(device)


class ManyGraphs(Batches):
    """Graphs in batches, each batch one graph that falls into parts. A batch is (Graph, index, label)."""

    def __init__(
        self, whole: Graph, count: Tensor, offsets: Tensor, index: Tensor, label: Tensor, batch_size: int, shuffle: bool
    ) -> None:
        super().__init__(index, label[index], batch_size=batch_size, shuffle=shuffle)
        self.whole, self.count, self.offsets = whole, count, offsets

    def take(self, index: Tensor) -> tuple[Graph, Tensor, Tensor]:  # type: ignore[override]
        """The graphs of that index of the split, their places in the batch, (B,), and their classes, (B,)."""
        chosen, label = (tensor[index] for tensor in self.tensors)
        sizes = self.offsets.diff()[chosen]
        nodes = ranges(self.offsets[chosen], sizes)
        graph = torch.repeat_interleave(torch.arange(len(chosen), device=nodes.device), sizes)
        edges = tuple(matrix.blocks(self.offsets, chosen) for matrix in self.whole.edges)  # type: ignore[union-attr]
        assert isinstance(self.whole.x, Tensor)
        made = Graph(self.whole.x[nodes], edges, readout(graph, self.count[nodes], len(chosen)))
        return made, torch.arange(len(chosen), device=nodes.device), label

    def to(self, device: torch.device) -> Self:
        """Moves all once."""
        if self.tensors[0].device != device:
            self.whole = self.whole.to(device)
        self.count, self.offsets = self.count.to(device), self.offsets.to(device)
        return super().to(device)


def batches(
    net: GraphNet, tensors: tuple[Tensor, ...], features: int, level: str, batch_size: int, shuffle: bool
) -> Batches:
    """A split made ready for a net; `level` is "node" or "graph".

    Raises:
        ConfigError: a node model is to be trained in several processes.
    """
    split = Split.of(tensors, features)
    edge_index, weight = split.edge_index, torch.ones(split.edge_index.shape[1])
    if net.loops:
        edge_index, weight = with_loops(edge_index, weight, len(split.graph))
    if level == "node":
        if (world := rank_and_world()[1]) > 1:
            raise ConfigError(
                f"a node model cannot be trained in {world} processes: its one graph is one batch, which cannot be "
                "shared out.\nNext: the same command without torchrun."
            )
        return OneGraph(net.prepare(split.x, edge_index, weight), split.index, split.label)
    own = twins(split, edge_index, net.depth)
    x, edge_index, weight, graph, count = merged(split, own, edge_index, weight)
    offsets = torch.searchsorted(graph, torch.arange(len(split.offsets)))
    whole = net.prepare(x, edge_index, weight)
    return ManyGraphs(whole, count, offsets, split.index, split.label, batch_size, shuffle)


def twins(split: Split, edge_index: Tensor, depth: int) -> Tensor:
    """The class of each node, (N,), numbered in the order of the graphs: nodes that `depth` layers cannot tell apart.

    Colour refinement (Weisfeiler & Leman 1968) with 64-bit hashes in place of colours.
    """
    rows, graph = split.x.rows(), split.graph
    entry = _mixed(split.x.columns.long() * 0x1000193 + split.x.values.view(torch.int32).long() * 0x10001)
    colour = _mixed(torch.zeros_like(graph).index_add_(0, rows, entry)) + _mixed(graph + 1)
    for _ in range(depth):
        around = torch.zeros_like(colour).index_add_(0, edge_index[1], _mixed(colour[edge_index[0]]))
        colour = _mixed(3 * colour + _mixed(around))
    _, kind = colour.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    first = torch.zeros(int(kind.max()) + 1, dtype=torch.int64).index_copy_(0, kind, graph)
    order = torch.argsort(first, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return place[kind]


def merged(
    split: Split, kind: Tensor, edge_index: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(x, edge_index, edge_weight, graph, count) with one node for each class of twins.

    What comes into it is what comes into one of them: the weights from twins add up.
    """
    size = int(kind.max()) + 1
    chosen = torch.empty(size, dtype=torch.int64).index_copy_(0, kind, torch.arange(len(kind)))  # any one of them
    into = chosen[kind[edge_index[1]]] == edge_index[1]
    key, place = (kind[edge_index[1, into]] * size + kind[edge_index[0, into]]).unique(return_inverse=True)  # type: ignore[no-untyped-call]
    summed = torch.zeros(len(key)).index_add_(0, place, weight[into])
    count = torch.bincount(kind).float()
    return split.x.dense()[chosen], torch.stack([key % size, key // size]), summed, split.graph[chosen], count


def readout(graph: Tensor, count: Tensor, graphs: int) -> Sparse:
    """The matrix (G, N) that sums over the nodes of each graph; `graph` (N,) ascends."""
    nodes = torch.arange(len(graph), device=graph.device)
    starts = torch.searchsorted(graph, torch.arange(graphs + 1, device=graph.device)).int()
    across = torch.arange(len(graph) + 1, device=graph.device).int(), graph.int(), nodes
    return Sparse(starts, nodes.int(), count, len(graph), across)


def _mixed(number: Tensor) -> Tensor:
    """splitmix64 (Steele, Lea & Flood 2014): numbers that differ in one bit become unlike."""
    number = (number ^ (number >> 30 & 0x3FFFFFFFF)) * -0x40A7B892E31B1A47
    number = (number ^ (number >> 27 & 0x1FFFFFFFFF)) * -0x6B2FB644ECCEEE15
    return number ^ (number >> 31 & 0x1FFFFFFFF)
