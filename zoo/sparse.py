"""Sparse matrices, and their products with dense ones. The only file that multiplies them.

Letters: N rows, M columns, E entries, H columns of a dense matrix, G blocks on a diagonal.
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

    `starts` (N + 1,) and `columns` (E,) are int32, to read less memory; `values` (E,). `transposed` is
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


Matrix = Sparse | Scatter


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
