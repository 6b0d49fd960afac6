"""A user's own graph: JSON in node-link form, or GraphML. The only file that knows networkx.

    {"directed": false,
     "nodes": [{"id": "a", "x": [0, 1, 0.5]}, {"id": "b", "x": {"1": 1}}],
     "edges": [{"source": "a", "target": "b", "weight": 2}]}

`x` is a node's features: all of them, or by number those that are not zero; in GraphML, where values are plain, the
same as JSON in a string. Where a model knows a node by its degree alone, there is none. `weight` is 1 unless given.
"links" may stand for "edges". An undirected edge goes both ways.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import InputError
from zoo.graphs import problem

LARGEST = 512 * 2**20
"""Bytes of a file that is read."""


@dataclass(frozen=True)
class UserGraph:
    """As in `zoo.graphs`: x (N, F), edge_index (2, E), edge_weight (E,), and what the nodes are called."""

    names: tuple[str, ...]
    x: Tensor
    edge_index: Tensor
    edge_weight: Tensor


def read_graph(path: str, features: int, degree: bool) -> UserGraph:
    """The graph in a file.

    Args:
        path: *.json or *.graphml.
        features: F, that each node must have.
        degree: the one feature is the degree, which is counted.

    Raises:
        InputError: the file is no such graph; what of it is not as expected.
    """
    graph = _parse(path)
    names = list(graph.nodes)
    number = {name: position for position, name in enumerate(names)}
    pairs: list[tuple[int, int]] = []
    weights: list[float] = []
    for source, target, facts in graph.edges(data=True):
        weight = _number(path, f"edge {source} - {target}", facts.get("weight", 1))
        both = not graph.is_directed() and source != target
        pairs += [(number[source], number[target])] + ([(number[target], number[source])] if both else [])
        weights += [weight] * (2 if both else 1)
    edge_index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    if degree:
        own = edge_index[0] != edge_index[1]
        x = torch.bincount(edge_index[1, own], minlength=len(names)).float()[:, None]
    else:
        rows = [_features(path, name, graph.nodes[name].get("x"), features) for name in names]
        x = torch.tensor(rows, dtype=torch.float32).reshape(len(names), features)
    edge_weight = torch.tensor(weights, dtype=torch.float32)
    if wrong := problem(edge_index, len(names), edge_weight, x):
        raise InputError(f"{path}: {wrong}.")
    return UserGraph(tuple(map(str, names)), x, edge_index, edge_weight)


def _parse(path: str) -> Any:
    import networkx

    kind = Path(path).suffix.lower()
    if kind not in (".json", ".graphml"):
        raise InputError(f"{path}: expected a graph as .json (node-link) or .graphml; see plugins/README.md.")
    try:
        if Path(path).stat().st_size > LARGEST:
            raise InputError(f"{path} has more than {LARGEST >> 20} MiB: expected a smaller graph.")
        if kind == ".graphml":
            return networkx.read_graphml(path)
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        edges = found.get("edges", found.get("links"))
        known = {node["id"] for node in found["nodes"]}
        for edge in edges:
            for end in ("source", "target"):
                if edge[end] not in known:
                    raise InputError(f"{path}: an edge has the {end} {edge[end]!r}, which is no node's id.")
        return networkx.node_link_graph({**found, "edges": edges}, edges="edges")
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    except Exception as error:  # parsers of XML and JSON raise what they like
        raise InputError(
            f"{path} is no graph: {type(error).__name__}: {error}. Expected JSON in node-link form or GraphML; see "
            "plugins/README.md."
        ) from error


def _features(path: str, name: Any, given: Any, count: int) -> list[float]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if isinstance(given, dict) and all(str(key).isdecimal() and int(key) < count for key in given):
        row = [0.0] * count
        for key, value in given.items():
            row[int(key)] = _number(path, f"node {name!r}, feature {key}", value)
        return row
    if not isinstance(given, list) or len(given) != count:
        got = f"{len(given)} numbers" if isinstance(given, list) else "none" if given is None else f"{given!r:.60}"
        raise InputError(f'{path}: node {name!r} has as features "x" {got}, expected {count} numbers, or by number.')
    return [_number(path, f"node {name!r}, feature {k}", value) for k, value in enumerate(given)]


def _number(path: str, where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{path}: {where} is {value!r:.60}, expected a number.")
    return float(value)
