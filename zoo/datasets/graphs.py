"""How data sets of graphs lie in memory, and what PyG brings or fetches. The only file that knows torch_geometric.

A split is (index, offsets, edge_index, x_starts, x_columns, x_values, label): all but the index is the same in each.

    index       (n,)      the split's examples: nodes of one graph, or graphs
    offsets     (G + 1,)  graph g has the nodes offsets[g] to offsets[g + 1] - 1
    edge_index  (2, E)    from, to; sorted by target, then by source
    x_*                   features (N, F) by rows (CSR)
    label       (N,) or (G,)
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.datasets.specs import DatasetSpec
from zoo.errors import DatasetError


def store(
    offsets: Tensor, edge_index: Tensor, x: tuple[Tensor, Tensor, Tensor], label: Tensor, spec: DatasetSpec
) -> tuple[Tensor, ...]:
    """What follows the index in each split; `x` is (rows, columns, values) of the entries of the features.

    Raises:
        DatasetError: an edge or a feature lies out of range, an edge joins two graphs, a feature is not finite, a label
            is none of the classes.
    """
    nodes, width, classes = int(offsets[-1]), spec.shape[0], len(spec.classes)
    rows, columns, values = x
    bounds = ("edge_index", edge_index, nodes), ("x", rows, nodes), ("x", columns, width), ("label", label, classes)
    for what, found, bound in bounds:
        if found.numel() and not 0 <= int(found.min()) <= int(found.max()) < bound:
            raise DatasetError(f"{what} has {int(found.min())} to {int(found.max())}, expected 0 to {bound - 1}")
    if bad := int((~values.isfinite()).sum()):
        raise DatasetError(f"x has {bad} values that are NaN or infinite")
    graph = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
    if (graph[edge_index[0]] != graph[edge_index[1]]).any():
        raise DatasetError("an edge joins nodes of two graphs")
    edge_index = edge_index[:, torch.argsort(edge_index[1] * nodes + edge_index[0])]
    order = torch.argsort(rows * width + columns)
    starts = F.pad(torch.bincount(rows, minlength=nodes).cumsum(0), (1, 0))
    return offsets, edge_index, starts, columns[order], values[order].float(), label


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """Zachary's karate club with the four communities of Kipf & Welling, embedded in PyG.

    One member of each community is the training split, as there; the others are the test split. There is no other
    validation split than the training nodes.
    """
    from torch_geometric.datasets import KarateClub

    data = KarateClub()[0]
    every = torch.arange(data.num_nodes)
    x = every, every, torch.ones(len(every))
    parts = store(torch.tensor([0, len(every)]), data.edge_index, x, data.y, spec)
    return {"train": (every[data.train_mask], *parts), "test": (every[~data.train_mask], *parts)}


def fetch_planetoid(spec: DatasetSpec, folder: Path) -> None:
    """Downloads beside the place where the files belong, then moves them there, each whole."""
    from torch_geometric.datasets import Planetoid

    class Raw(Planetoid):  # type: ignore[misc]
        """Its downloader alone: the constructor would unpickle what came."""

        def __init__(self, root: str, name: str) -> None:
            self.root, self.name, self.split = root, name, "public"

    _fetch(Raw, spec, folder)


def fetch_tu(spec: DatasetSpec, folder: Path) -> None:
    """As `fetch_planetoid`, for a data set of TUDortmund."""
    from torch_geometric.datasets import TUDataset

    class Raw(TUDataset):  # type: ignore[misc]
        """Its downloader alone."""

        def __init__(self, root: str, name: str) -> None:
            self.root, self.name, self.cleaned = root, name, False

    _fetch(Raw, spec, folder)


def _fetch(raw: type, spec: DatasetSpec, folder: Path) -> None:
    family, name = spec.files[0].split("/")[:2]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
        raw(temporary, name).download()
        for path in sorted((Path(temporary) / name / "raw").iterdir()):
            place = folder / family / name / "raw" / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
