"""Graphs as sparse matrices: what graph models compute with.

Letters: N nodes, E edges, F features, G graphs, H channels. Edge k goes from edge_index[0, k] to edge_index[1, k], as
in PyG's `Data`; a matrix of edges has a row for each target, so that its product with x sums over what comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.sparse import Matrix, Scatter, Sparse


def problem(edge_index: Tensor, nodes: int, edge_weight: Tensor | None = None, x: Tensor | None = None) -> str | None:
    """What is wrong with a graph of N nodes, in a sentence; None if nothing is."""
    if edge_index.ndim != 2 or edge_index.shape[0] != 2 or edge_index.is_floating_point():
        return f"edge_index is {edge_index.dtype} {list(edge_index.shape)}, expected whole numbers (2, E)"
    if edge_index.numel():
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= nodes:
            return f"edge_index has {low if low < 0 else high}, expected nodes 0 to {nodes - 1}"
    if edge_weight is not None and edge_weight.shape != edge_index.shape[1:]:
        return f"edge_weight is {list(edge_weight.shape)}, expected one for each of {edge_index.shape[1]} edges"
    for name, tensor in (("edge_weight", edge_weight), ("x", x)):
        if tensor is not None and (bad := int((~tensor.isfinite()).sum())):
            return f"{name} has {bad} values that are NaN or infinite"
    if edge_weight is not None and (edge_weight < 0).any():
        return f"edge_weight has {float(edge_weight.min()):g}, expected no negative weight"
    if x is not None and len(x) != nodes:
        return f"x has {len(x)} rows, expected one for each of {nodes} nodes"
    return None


def with_loops(edge_index: Tensor, edge_weight: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Each node gets an edge to itself of weight 1, unless it has one: then that keeps its weight (as in PyG)."""
    own = edge_index[0] == edge_index[1]
    weight = edge_weight.new_ones(nodes).index_put((edge_index[0][own],), edge_weight[own])
    loops = torch.arange(nodes, device=edge_index.device).expand(2, -1)
    return torch.cat([edge_index[:, ~own], loops], 1), torch.cat([edge_weight[~own], weight])


def normalised(edge_index: Tensor, edge_weight: Tensor, nodes: int) -> Tensor:
    """Weights of D^-1/2 A D^-1/2, (E,), D the weight that comes in; a node into which nothing comes gets 0."""
    degree = edge_weight.new_zeros(nodes).index_add(0, edge_index[1], edge_weight)
    scale = torch.where(degree > 0, degree, torch.inf).rsqrt()
    return scale[edge_index[0]] * edge_weight * scale[edge_index[1]]


def damped(edge_index: Tensor, edge_weight: Tensor, nodes: int) -> Tensor:
    """Weights of (log(1 + D) / D) A, (E,): a sum that grows with the logarithm of the weight D that comes in."""
    degree = edge_weight.new_zeros(nodes).index_add(0, edge_index[1], edge_weight)
    scale = degree.log1p() / torch.where(degree > 0, degree, torch.inf)
    return edge_weight * scale[edge_index[1]]


def matrix(edge_index: Tensor, values: Tensor, shape: tuple[int, int], scatter: bool = False) -> Matrix:
    """The matrix of edges, a row for each target, a column for each source."""
    if scatter:
        return Scatter(edge_index[0], edge_index[1], values, shape[0])
    return Sparse.of(edge_index[1], edge_index[0], values, shape)


@dataclass(frozen=True)
class Graph:
    """What a net takes: one graph, or several side by side as one that falls into parts."""

    x: Tensor | Sparse
    """(N, F)"""
    edges: tuple[Matrix, ...]
    """Matrices (N, N) of the same edges with the weights that the net wants."""
    readout: Matrix | None = None
    """(G, N): how often each node counts in each graph; for graph classification."""

    def to(self, device: torch.device | str) -> Graph:
        """The same on another device."""
        edges = tuple(matrix.to(device) for matrix in self.edges)
        return Graph(self.x.to(device), edges, self.readout.to(device) if self.readout else None)


def features(x: Tensor | Sparse, weight: Tensor) -> Tensor:
    """x (N, F) times a weight (H, F), laid out as in nn.Linear: (N, H)."""
    return x @ weight.T if isinstance(x, Sparse) else F.linear(x, weight)


def dropout(x: Tensor | Sparse, probability: float, training: bool) -> Tensor | Sparse:
    """As torch's dropout, but of a sparse matrix only what is not zero has to be drawn."""
    if not training or not probability:
        return x
    if isinstance(x, Sparse):
        return replace(x, values=x.values * _kept(x.values, probability))
    return x * _kept(x, probability)


def _kept(like: Tensor, probability: float) -> Tensor:
    """1 / (1 - p) where a number is kept, else 0; p to 1/65536.

    16 random bits decide for each, which a CPU draws several times faster than Bernoulli numbers.
    """
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device).random_(-(2**63), None)
    bits = words.view(torch.int16)[: like.numel()].view(like.shape)
    kept = torch.empty_like(like, requires_grad=False)
    return torch.ge(bits, round(probability * 2**16) - 2**15, out=kept).mul_(1 / (1 - probability))


DEGREE_CODE = 13
"""Numbers that code a degree."""


def degree_code(degree: Tensor) -> Tensor:
    """(N, 1) degrees to (N, 13): log(1 + d), and which power of two 1 + d has reached, up to 2^11."""
    power = (degree[:, 0] + 1).log2().floor().long().clamp(max=DEGREE_CODE - 2)
    return torch.cat([degree.log1p(), F.one_hot(power, DEGREE_CODE - 1).to(degree.dtype)], 1)


def row_normalised(x: Tensor | Sparse) -> Tensor | Sparse:
    """Each row divided by its sum, if that is above 1 (as PyG's NormalizeFeatures)."""
    if isinstance(x, Sparse):
        rows = x.rows()
        sums = x.values.new_zeros(x.shape[0]).index_add(0, rows, x.values).clamp(min=1)
        return replace(x, values=x.values / sums[rows])
    return x / x.sum(1, keepdim=True).clamp(min=1)


def with_readout(graph: Graph, batch: Tensor | None, nodes: int, scatter: bool = False) -> Graph:
    """The graph with the matrix (G, N) that sums over nodes; `batch` (N,) is the graph of each, one for all if None."""
    number = torch.arange(nodes, device=graph.x.device)
    if batch is None:
        batch, count = torch.zeros_like(number), 1
    else:
        count = int(batch.max()) + 1 if len(batch) else 0
    ones = torch.ones_like(number, dtype=torch.float32)
    return replace(graph, readout=matrix(torch.stack([number, batch]), ones, (count, nodes), scatter))


def mean(readout: Matrix, x: Tensor) -> Tensor:
    """The mean over the nodes of each graph, (G, H)."""
    return (readout @ x) / (readout @ x.new_ones(x.shape[0], 1)).clamp(min=1)
