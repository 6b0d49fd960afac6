"""Cora, CiteSeer and PubMed as Yang et al. published them (arXiv:1603.08861), with their public split.

The raw files are pickles. They are read by an unpickler of our own that knows arrays, sparse matrices, lists and dicts,
and refuses everything else by name: nothing in such a file can run.
"""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from zoo.datasets import graphs
from zoo.datasets.specs import DatasetSpec
from zoo.errors import DatasetError

VALIDATION = 500
"""The nodes after the training nodes."""


_empty_array = np.zeros(0).__reduce__()[0]  # numpy's own, whose module differs between versions


class _Matrix:
    """Stands for scipy's csr_matrix: what its pickle says of it, and no code of it."""

    data: np.ndarray[Any, Any]
    indices: np.ndarray[Any, Any]
    indptr: np.ndarray[Any, Any]
    _shape: tuple[int, int]


class _Unpickler(pickle.Unpickler):
    """Admits what a raw file of Planetoid is made of, under the names that it had in 2016."""

    KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("scipy.sparse.csr", "csr_matrix"): _Matrix,
        ("scipy.sparse._csr", "csr_matrix"): _Matrix,
        ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        ("numpy._core.multiarray", "_reconstruct"): _empty_array,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("collections", "defaultdict"): defaultdict,
        ("__builtin__", "list"): list,
        ("builtins", "list"): list,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.KNOWN:
            raise DatasetError(f"it names {module}.{name}, which no raw file of this data set holds; nothing was run")
        return self.KNOWN[module, name]


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """The splits as `zoo.datasets.graphs.node_splits` lays them out: 20 nodes of each class, 500, 1,000.

    Raises:
        DatasetError: a file is cut short, holds something else than it should, or does not fit the others.
    """
    paths = {name.rpartition("ind.")[2].partition(".")[2]: folder / name for name in spec.files}
    try:
        test = torch.from_numpy(np.loadtxt(paths.pop("test.index"), dtype=np.int64, ndmin=1))
    except ValueError as error:
        raise DatasetError(f"{spec.files[-1]}: {error}") from error
    parts = {name: _unpickle(path) for name, path in paths.items()}
    known, train = len(parts["ally"]), len(parts["y"])
    if min(test.min().item(), known) < 0 or train + VALIDATION > known or len(test) != len(parts["ty"]):
        raise DatasetError("its files do not fit each other: they are not of one data set")
    ordered = test.sort()[0]
    nodes = int(ordered[-1]) + 1  # those of CiteSeer that are missing in between have no features and no class
    label = torch.zeros(nodes, dtype=torch.int64)
    label[:known] = torch.from_numpy(parts["ally"].argmax(1))
    label[test] = torch.from_numpy(parts["ty"].argmax(1))  # rows of tx and ty are in the order of the file
    rows, columns, values = (
        torch.cat(pair) for pair in zip(_entries(parts["allx"]), _entries(parts["tx"]), strict=True)
    )
    later = rows.clone()
    later[len(parts["allx"].indices) :] = test[rows[len(parts["allx"].indices) :]]
    pairs = [(source, target) for source, targets in parts["graph"].items() for target in targets]
    edge_index = torch.tensor(pairs).T
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]  # as everyone does: no loops, no doubles
    edge_index = edge_index.unique(dim=1)  # type: ignore[no-untyped-call]
    split = {"train": torch.arange(train), "val": torch.arange(train, train + VALIDATION), "test": ordered}
    store = graphs.store(torch.tensor([0, nodes]), edge_index, (later, columns, values), label, spec)
    return {name: (index, *store) for name, index in split.items()}


def fetch(spec: DatasetSpec, folder: Path) -> None:
    """By PyG's own downloader, each file whole or not at all."""
    graphs.fetch_planetoid(spec, folder)


def _unpickle(path: Path) -> Any:
    try:
        found = _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except DatasetError as error:
        raise DatasetError(f"{path.name}: {error}") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DatasetError(f"{path.name} is cut short or damaged: {type(error).__name__}: {error}") from error
    kind = path.name.rpartition(".")[2]
    wanted = dict if kind == "graph" else _Matrix if kind.endswith("x") else np.ndarray
    if not isinstance(found, wanted):
        raise DatasetError(f"{path.name} holds a {type(found).__name__}, expected a {wanted.__name__.strip('_')}")
    return found


def _entries(matrix: _Matrix) -> tuple[Tensor, Tensor, Tensor]:
    """(rows, columns, values) of a sparse matrix."""
    starts = torch.from_numpy(matrix.indptr.astype(np.int64))
    rows = torch.repeat_interleave(torch.arange(len(starts) - 1), starts.diff())
    return rows, torch.from_numpy(matrix.indices.astype(np.int64)), torch.from_numpy(matrix.data.astype(np.float32))
