"""A user's own graphs: JSON and GraphML are read alike, and what is wrong with one is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx
import pytest
import torch

from zoo.errors import InputError
from zoo.graphfiles import read_graph

GOOD: dict[str, Any] = {
    "directed": True,
    "nodes": [{"id": "a", "x": [1, 0, 2.5]}, {"id": "b", "x": {"1": 3}}, {"id": "c", "x": "[0, 0, 1]"}],
    "edges": [{"source": "a", "target": "b", "weight": 2}, {"source": "c", "target": "c"}],
}


def written(path: Path, graph: Any) -> str:
    path.write_text(json.dumps(graph))
    return str(path)


def test_directions_weights_loops_and_three_ways_to_give_features(tmp_path: Path) -> None:
    found = read_graph(written(tmp_path / "g.json", GOOD), 3, degree=False)
    assert found.names == ("a", "b", "c")
    assert found.x.tolist() == [[1, 0, 2.5], [0, 3, 0], [0, 0, 1]]
    assert found.edge_index.tolist() == [[0, 2], [1, 2]]
    assert found.edge_weight.tolist() == [2, 1]
    links = {**GOOD, "directed": False, "links": GOOD["edges"]}
    del links["edges"]
    both = read_graph(written(tmp_path / "u.json", links), 3, degree=False)
    assert both.edge_index.tolist() == [[0, 1, 2], [1, 0, 2]]
    assert both.edge_weight.tolist() == [2, 2, 1]


def test_graphml_is_read_as_json_is(tmp_path: Path) -> None:
    graph = networkx.DiGraph()
    for node in GOOD["nodes"]:
        graph.add_node(node["id"], x=node["x"] if isinstance(node["x"], str) else json.dumps(node["x"]))
    for edge in GOOD["edges"]:
        graph.add_edge(edge["source"], edge["target"], weight=float(edge.get("weight", 1)))
    networkx.write_graphml(graph, tmp_path / "g.graphml")
    first = read_graph(str(tmp_path / "g.graphml"), 3, degree=False)
    second = read_graph(written(tmp_path / "g.json", GOOD), 3, degree=False)
    assert first.names == second.names
    for name in ("x", "edge_index", "edge_weight"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_degrees_are_counted_and_a_graph_without_edges_is_one(tmp_path: Path) -> None:
    star = {"nodes": [{"id": k} for k in range(4)], "edges": [{"source": 0, "target": k} for k in (1, 2, 3)]}
    assert read_graph(written(tmp_path / "s.json", star), 1, degree=True).x.tolist() == [[3], [1], [1], [1]]
    lone = read_graph(written(tmp_path / "l.json", {"nodes": [{"id": 0}], "edges": []}), 1, degree=True)
    assert lone.x.tolist() == [[0]]
    assert lone.edge_index.shape == (2, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edges": [{"source": "a", "target": "z"}]}, "'z', which is no node's id"),
        ({"edges": [{"source": "a", "target": "b", "weight": "heavy"}]}, "'heavy', expected a number"),
        ({"edges": [{"source": "a", "target": "b", "weight": -1}]}, "expected no negative weight"),
        ({"nodes": [{"id": "a", "x": [1, 2]}], "edges": []}, "2 numbers, expected 3 numbers"),
        ({"nodes": [{"id": "a"}], "edges": []}, "none, expected 3 numbers"),
        ({"nodes": [{"id": "a", "x": {"7": 1}}], "edges": []}, "expected 3 numbers, or by number"),
        ({"nodes": [{"id": "a", "x": [1, 2, float("nan")]}], "edges": []}, "1 values that are NaN"),
        ({"nodes": 5}, "is no graph"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_graph(written(tmp_path / "bad.json", {**GOOD, **change}), 3, degree=False)
    assert "bad.json" in str(caught.value)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text("{")
    (tmp_path / "g.graphml").write_text("<graphml><no")
    (tmp_path / "g.gml").write_text("")
    for name in ("g.json", "g.graphml", "g.gml", "none.json"):
        with pytest.raises(InputError, match=name):
            read_graph(str(tmp_path / name), 3, degree=False)
