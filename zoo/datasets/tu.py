"""Data sets of graphs in the text format of TUDortmund (arXiv:2007.08663): REDDIT-BINARY, and "tu:NAME" for the others.

Node features are the attributes, then each node label as one of its values; where a data set has neither, the degree.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.datasets import graphs
from zoo.datasets.folds import FOLDS, deal, parts
from zoo.datasets.specs import DatasetSpec
from zoo.environment import data_folder
from zoo.errors import DatasetError

SOURCE = "https://chrsmrrs.github.io/datasets/"


def spec(argument: str) -> DatasetSpec:
    """Any data set of the collection by its name there, e.g. "PROTEINS".

    What its shape and classes are is known once its files lie under `ZOO_DATA`.

    Raises:
        DatasetError: no name that a data set could have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", argument):
        raise DatasetError(f"data set 'tu:{argument}': expected a name of {SOURCE}, for example tu:PROTEINS")
    raw = f"TUDataset/{argument}/raw/{argument}_"
    files = tuple(f"{raw}{part}.txt" for part in ("A", "graph_indicator", "graph_labels"))
    made = DatasetSpec(
        name=f"tu:{argument}",
        summary=f"{argument} of TUDortmund's collection",
        splits={},
        shape=(1,),
        classes=(),
        license="see its source",
        module="zoo.datasets.tu",
        digest="",
        files=files,
        source=SOURCE,
        extra={"level": "graph"},
    )
    if not made.present:
        return made
    folder = data_folder() / f"TUDataset/{argument}/raw"
    label = _table(folder / f"{argument}_graph_labels.txt", np.int64)[:, 0]
    classes = tuple(str(value) for value in np.unique(label))
    width = sum(part.shape[1] for part in _features(folder, argument)) or 1
    splits = {name: len(index) for name, index in parts(deal(torch.from_numpy(label), FOLDS, 0), 0).items()}
    extra = {"level": "graph"} if _features(folder, argument) else {"level": "graph", "features": "degree"}
    return replace(made, shape=(width,), classes=classes, splits=splits, extra=extra)


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """Splits as `zoo.datasets.graphs` lays them out: the first of ten stratified folds, see `zoo.datasets.folds`.

    Raises:
        DatasetError: a file is cut short, or does not fit the others.
    """
    place = folder / spec.files[0]
    name, raw = place.parent.parent.name, place.parent
    edges = torch.from_numpy(_table(raw / f"{name}_A.txt", np.int64, columns=2)) - 1
    graph = torch.from_numpy(_table(raw / f"{name}_graph_indicator.txt", np.int64)[:, 0]) - 1
    _, label = torch.from_numpy(_table(raw / f"{name}_graph_labels.txt", np.int64)[:, 0]).unique(return_inverse=True)  # type: ignore[no-untyped-call]
    nodes = len(graph)
    if nodes == 0 or (graph.diff() < 0).any() or int(graph[0]) < 0 or int(graph[-1]) + 1 != len(label):
        raise DatasetError(f"{name}_graph_indicator.txt does not number {len(label)} graphs in their order")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < nodes:
        raise DatasetError(
            f"{name}_A.txt has nodes {int(edges.min()) + 1} to {int(edges.max()) + 1}, expected 1 to {nodes}"
        )
    edge_index = edges.T
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    key = (edge_index[1] * nodes + edge_index[0]).unique()  # type: ignore[no-untyped-call]
    edge_index = torch.stack([key % nodes, key // nodes])
    every = torch.arange(nodes)
    if columns := _features(raw, name):
        values = torch.from_numpy(np.concatenate(columns, 1))
        if len(values) != nodes:
            raise DatasetError(f"{name} has features of {len(values)} nodes, expected {nodes}")
        rows, places = values.nonzero().T
        x = rows, places, values[rows, places]
    else:
        x = every, torch.zeros_like(every), torch.bincount(edge_index[1], minlength=nodes).float()
    offsets = torch.searchsorted(graph, torch.arange(len(label) + 1))
    stored = graphs.store(offsets, edge_index, x, label, spec)
    return {split: (index, *stored) for split, index in parts(deal(label, FOLDS, 0), 0).items()}


def fetch(spec: DatasetSpec, folder: Path) -> None:
    """By PyG's own downloader, each file whole or not at all."""
    graphs.fetch_tu(spec, folder)


def _features(raw: Path, name: str) -> list[np.ndarray[Any, Any]]:
    """Attributes and one-hot labels of the nodes, (N, ...) each, of those files that there are."""
    found = []
    if (path := raw / f"{name}_node_attributes.txt").is_file():
        found.append(_table(path, np.float32))
    if (path := raw / f"{name}_node_labels.txt").is_file():
        for column in _table(path, np.int64).T:
            found.append(np.eye(column.max() - column.min() + 1, dtype=np.float32)[column - column.min()])
    return found


def _table(path: Path, kind: Any, columns: int | None = None) -> np.ndarray[Any, Any]:
    try:
        table = np.loadtxt(path, dtype=kind, delimiter=",", ndmin=2)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path.name} is cut short or damaged: {error}") from error
    if columns is not None and table.shape[1] != columns:
        raise DatasetError(f"{path.name} has {table.shape[1]} columns, expected {columns}")
    return table
