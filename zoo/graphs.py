"""Graphs as sparse matrices: what graph models compute with. The only file that multiplies them.

Letters: N nodes, E edges, F features, G graphs, H channels. Edge k goes from edge_index[0, k] to edge_index[1, k], as
in PyG's `Data`; a matrix of edges has a row for each target, so that its product with x sums over what comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Sparse:
    """A sparse matrix (N, M) by rows (CSR), with what it takes to multiply by its transpose.

    `starts` (N + 1,) and `columns` (E,) are int32, as MKL and cuSPARSE take them; `values` (E,). `transposed` is
    (starts, columns, order) of the transpose, whose values are `values[order]`; None for a symmetric matrix.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor
    width: int
    transposed: tuple[Tensor, Tensor, Tensor] | None = None

    @classmethod
    def of(cls, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Sparse:
        """From entries in any order, (E,) each; entries at the same place add up in products."""
        order = torch.argsort(rows * shape[1] + columns, stable=True)
        rows, columns, values = rows[order], columns[order], values[order]
        back = torch.argsort(columns * shape[0] + rows, stable=True)
        made = cls(_starts(rows, shape[0]), columns.int(), values.float(), shape[1])
        across = _starts(columns[back], shape[1]), rows[back].int(), back
        symmetric = shape[0] == shape[1] and all(
            torch.equal(a, b)
            for a, b in zip((made.starts, made.columns, made.values), (*across[:2], made.values[back]), strict=True)
        )
        return made if symmetric else replace(made, transposed=across)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        return len(self.starts) - 1, self.width

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.values.device

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product with (M, H), (N, H), in the precision of the values."""
        product: Tensor = _Product.apply(dense.to(self.values.dtype), self)  # type: ignore[no-untyped-call]
        return product

    def rows(self) -> Tensor:
        """The row of each entry, (E,) int64."""
        return torch.repeat_interleave(torch.arange(len(self.starts) - 1, device=self.device), self.starts.diff())

    def dense(self) -> Tensor:
        """The same as a dense matrix."""
        made = self.values.new_zeros(self.shape)
        return made.index_put_((self.rows(), self.columns.long()), self.values, accumulate=True)

    def to(self, device: torch.device | str) -> Sparse:
        """The same on another device."""
        across = tuple(part.to(device) for part in self.transposed) if self.transposed else None
        return Sparse(self.starts.to(device), self.columns.to(device), self.values.to(device), self.width, across)  # type: ignore[arg-type]

    def blocks(self, offsets: Tensor, index: Tensor) -> Sparse:
        """The block-diagonal matrix of some blocks of this one, which is square and block-diagonal itself.

        `offsets` (G + 1,) says where the blocks begin, `index` (B,) which are wanted, in which order.
        """
        columns, starts, entries = _cut(self.columns, self.starts, offsets, index)
        values = self.values[entries]
        if self.transposed is None:
            return Sparse(starts, columns, values, len(starts) - 1)
        t_starts, t_columns, order = self.transposed
        t_columns, t_new, t_entries = _cut(t_columns, t_starts, offsets, index)
        bounds = self.starts[offsets].long()
        count = bounds.diff()[index]  # as many entries by rows as by columns
        shift = count.cumsum(0) - count - bounds[index]
        across = t_new, t_columns, order[t_entries] + torch.repeat_interleave(shift, count)
        return Sparse(starts, columns, values, len(starts) - 1, across)


class _Product(torch.autograd.Function):
    """CSR times dense. The gradient is one product with the transpose; a symmetric matrix is its own."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: Sparse) -> Tensor:
        ctx.matrix = matrix
        return _multiply(matrix.starts, matrix.columns, matrix.values, dense.detach())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        matrix: Sparse = ctx.matrix
        if matrix.transposed is None:
            return _multiply(matrix.starts, matrix.columns, matrix.values, gradient), None
        starts, columns, order = matrix.transposed
        return _multiply(starts, columns, matrix.values.index_select(0, order), gradient), None


def _multiply(starts: Tensor, columns: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """Each row is a weighted sum of rows of `dense`: what torch calls a bag of embeddings, and does faster than CSR."""
    if not len(starts) - 1 or not dense.shape[1]:
        return dense.new_zeros(len(starts) - 1, dense.shape[1])
    return F.embedding_bag(
        columns, dense.contiguous(), starts, mode="sum", per_sample_weights=values, include_last_offset=True
    )


@dataclass(frozen=True)
class Scatter:
    """The same product by gathering and adding (message passing), in operators that every exporter knows."""

    sources: Tensor
    targets: Tensor
    values: Tensor
    height: int

    def to(self, device: torch.device | str) -> Scatter:
        """The same on another device."""
        return Scatter(self.sources.to(device), self.targets.to(device), self.values.to(device), self.height)

    def __matmul__(self, dense: Tensor) -> Tensor:
        """(M, H) to (N, H)."""
        messages = dense[self.sources] * self.values[:, None]
        return dense.new_zeros(self.height, dense.shape[1]).index_add(0, self.targets, messages)


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


Matrix = Sparse | Scatter


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


def _starts(rows: Tensor, count: int) -> Tensor:
    return F.pad(torch.bincount(rows, minlength=count).cumsum(0), (1, 0)).int()


def ranges(first: Tensor, size: Tensor) -> Tensor:
    """The numbers first[i] to first[i] + size[i] - 1 for each i, one after the other."""
    ends = size.cumsum(0)
    return torch.arange(int(size.sum()), device=size.device) + torch.repeat_interleave(first - (ends - size), size)


def _cut(columns: Tensor, starts: Tensor, offsets: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(columns, starts, which entries) of some diagonal blocks, renumbered to follow each other."""
    bounds = starts[offsets].long()
    count, nodes = bounds.diff()[index], offsets.diff()[index]
    entries = ranges(bounds[index], count)
    shift = (nodes.cumsum(0) - nodes) - offsets[index]
    moved = columns[entries] + torch.repeat_interleave(shift, count).int()
    rows = ranges(offsets[index], nodes)
    lengths = starts.diff()[rows]
    return moved, F.pad(lengths.cumsum(0), (1, 0)).int(), entries


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
