"""Data sets of graphs: what they hold, what a damaged or hostile raw file gets, and how folds are dealt."""

from __future__ import annotations

import os
import pickle
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from conftest import Cli

import zoo
from zoo import datasets
from zoo.datasets import folds, planetoid, specs, tu
from zoo.errors import DatasetError, UnknownNameError

NODES, TRAIN, TEST = 560, 4, 20
TINY = replace(specs.spec("cora"), shape=(6,), classes=("a", "b"), digest="")


def planetoid_files(folder: Path, **changed: Any) -> Path:
    """A data set in Planetoid's format: 560 nodes, 6 features, 2 classes; each node cites the next."""
    draw = np.random.default_rng(0)
    known = NODES - TEST
    x = scipy.sparse.csr_matrix((draw.random((NODES, 6)) < 0.3).astype(np.float32))
    y = np.eye(2, dtype=np.int32)[draw.integers(0, 2, NODES)]
    order = known + draw.permutation(TEST)  # test rows lie in the order of the index file
    graph = defaultdict(list, {k: [(k + 1) % NODES, k] for k in range(NODES)})
    graph[5] += [6]
    parts = {"x": x[:TRAIN], "y": y[:TRAIN], "allx": x[:known], "ally": y[:known], "tx": x[order], "ty": y[order]}
    parts |= {"graph": graph, **changed}
    raw = folder / "Planetoid/Cora/raw"
    raw.mkdir(parents=True)
    for name, part in parts.items():
        (raw / f"ind.cora.{name}").write_bytes(pickle.dumps(part, protocol=3))
    (raw / "ind.cora.test.index").write_text("\n".join(map(str, order)))
    np.savez(folder / "expected.npz", x=x.toarray(), y=y.argmax(1))
    return raw


def test_planetoid_files_are_read_with_every_row_in_its_place(tmp_path: Path) -> None:
    planetoid_files(tmp_path)
    expected = np.load(tmp_path / "expected.npz")
    splits = planetoid.read(TINY, tmp_path)
    index, offsets, edge_index, starts, columns, values, label = splits["test"]
    assert {name: len(split[0]) for name, split in splits.items()} == {"train": TRAIN, "val": 500, "test": TEST}
    assert offsets.tolist() == [0, NODES]
    assert index.tolist() == list(range(NODES - TEST, NODES))
    assert label.tolist() == expected["y"].tolist()
    made = torch.sparse_csr_tensor(starts, columns, values, (NODES, 6), check_invariants=True).to_dense()
    assert made.tolist() == expected["x"].tolist()
    pairs = set(map(tuple, edge_index.T.tolist()))
    assert pairs == {(k, (k + 1) % NODES) for k in range(NODES)}  # no loops, no doubles
    assert edge_index.shape[1] == NODES


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


@pytest.mark.parametrize("part", ["x", "graph"])
def test_a_raw_file_that_would_run_code_is_refused_by_name_and_nothing_runs(tmp_path: Path, part: str) -> None:
    planetoid_files(tmp_path, **{part: Hostile()})
    with pytest.raises(DatasetError, match=rf"ind\.cora\.{part}: it names (posix|nt)\.system.*nothing was run"):
        planetoid.read(TINY, tmp_path)
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"graph": {0: [NODES]}}, f"edge_index has 0 to {NODES}, expected 0 to {NODES - 1}"),
        ({"graph": {0: [-1]}}, "edge_index has -1 to 0"),
        ({"graph": [1, 2]}, r"ind\.cora\.graph holds a list, expected a dict"),
        ({"ally": {}}, r"ind\.cora\.ally holds a dict, expected a ndarray"),
        ({"ty": np.eye(2)[[0, 1]]}, "do not fit each other"),
        ({"allx": scipy.sparse.csr_matrix(np.full((NODES - TEST, 6), np.nan))}, "x has .* values that are NaN"),
        ({"ally": np.eye(3)[np.full(NODES - TEST, 2)]}, "label has 0 to 2, expected 0 to 1"),
    ],
)
def test_raw_files_that_are_not_what_they_should_be_are_named(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    planetoid_files(tmp_path, **changed)
    with pytest.raises(DatasetError, match=said):
        planetoid.read(TINY, tmp_path)


def test_a_truncated_or_tampered_file_ends_training_before_it_begins(cli: Cli, tmp_path: Path) -> None:
    raw = planetoid_files(tmp_path)
    said = cli("train", "gcn", "--dataset", "cora", expect=1, ZOO_DATA=str(tmp_path)).stderr
    assert "data set 'cora' is not what it should be" in said
    path = raw / "ind.cora.allx"
    path.write_bytes(path.read_bytes()[:-100])
    said = cli("train", "gcn", "--dataset", "cora", expect=1, ZOO_DATA=str(tmp_path)).stderr
    assert "ind.cora.allx is cut short or damaged" in said
    assert "zoo data fetch cora" in said
    assert not Path("runs").exists()


def test_cora_is_what_it_was() -> None:
    if not datasets.spec("cora").present:
        pytest.skip("needs Cora: set ZOO_DATA to a folder that holds Planetoid/Cora/raw/, or run: zoo data fetch cora")
    cora = datasets.load("cora")
    assert cora.info.digest == datasets.spec("cora").digest
    _, offsets, edge_index, _, columns, _, label = cora.split("train")
    assert (offsets.tolist(), edge_index.shape[1], len(columns)) == ([0, 2708], 10556, 49216)
    assert label.bincount().tolist() == [351, 217, 418, 818, 426, 298, 180]


@pytest.mark.parametrize("name", ["karate", "threads"])
def test_embedded_data_sets_are_what_they_were(name: str) -> None:
    data = datasets.load(name)
    assert data.info.digest == datasets.spec(name).digest
    assert {split: len(data.split(split)[0]) for split in data.splits} == dict(datasets.spec(name).splits)
    with pytest.raises(UnknownNameError, match="unknown split"):
        data.split("valid")


def test_synthetic_data_is_called_so_wherever_it_is_named(cli: Cli) -> None:
    threads = datasets.spec("threads")
    assert "SYNTHETIC" in threads.summary
    assert all("synthetic" in name for name in threads.classes)
    assert "SYNTHETIC" in cli("data", "list").stdout


def tu_files(folder: Path, **changed: str) -> Path:
    """Twelve graphs in TUDortmund's format: six rings of three, labelled 1, six paths of two, labelled -1."""
    edges, indicator, first = [], [], 1
    for number in range(12):
        size = 3 if number < 6 else 2
        ring = [(first + k, first + (k + 1) % size) for k in range(size)]
        edges += sorted({*ring, *((b, a) for a, b in ring)})
        indicator += [number + 1] * size
        first += size
    texts = {"A": "\n".join(f"{a}, {b}" for a, b in edges), "graph_indicator": "\n".join(map(str, indicator))}
    texts |= {"graph_labels": "\n".join(["1"] * 6 + ["-1"] * 6), **changed}
    raw = folder / "TUDataset/TOY/raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (raw / f"TOY_{name}.txt").write_text(text)
    return raw


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    monkeypatch.setattr(tu, "FOLDS", 3)
    return tmp_path


def test_tu_files_without_features_get_the_degree(toy: Path) -> None:
    tu_files(toy)
    data = datasets.load("tu:TOY")
    assert (data.info.shape, data.info.classes, data.info.extra["features"]) == ((1,), ("-1", "1"), "degree")
    _, offsets, edge_index, _, _, values, label = data.split("test")
    assert offsets.tolist() == [*range(0, 18, 3), *range(18, 31, 2)]
    assert values.tolist() == [2.0] * 18 + [1.0] * 12
    assert label.tolist() == [1] * 6 + [0] * 6
    assert edge_index.shape[1] == 6 * 6 + 6 * 2
    every = sorted(int(index) for split in data.splits.values() for index in split[0])
    assert every == list(range(12))


def test_tu_labels_and_attributes_of_nodes_become_features(toy: Path) -> None:
    labels = "\n".join(["4"] * 18 + ["5", "6"] * 6)
    tu_files(toy, node_labels=labels, node_attributes="\n".join("0.5, -1" for _ in range(30)))
    data = datasets.load("tu:TOY")
    assert data.info.shape == (5,)
    assert "features" not in data.info.extra
    _, _, _, starts, columns, values, _ = data.split("train")
    x = torch.sparse_csr_tensor(starts, columns, values, (30, 5), check_invariants=True).to_dense()
    assert x[0].tolist() == [0.5, -1, 1, 0, 0]
    assert x[19].tolist() == [0.5, -1, 0, 0, 1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"A": "1, 99"}, "nodes 1 to 99, expected 1 to 30"),
        ({"A": "0, 1"}, "nodes 0 to 1, expected 1 to 30"),
        ({"A": "1, 2\n3"}, "TOY_A.txt is cut short or damaged"),
        ({"A": "1\n2"}, "TOY_A.txt has 1 columns, expected 2"),
        ({"A": "1, 4"}, "joins nodes of two graphs"),
        ({"graph_indicator": "1\n2\n1"}, "does not number 12 graphs"),
        ({"graph_labels": "1\n-1\nx"}, "TOY_graph_labels.txt is cut short or damaged"),
        ({"graph_labels": "1\n-1"}, "too few for"),
        ({"node_attributes": "1\n2"}, "features of 2 nodes, expected 30"),
    ],
)
def test_tu_files_that_are_not_what_they_should_be_are_named(toy: Path, changed: dict[str, str], said: str) -> None:
    tu_files(toy, **changed)
    with pytest.raises(DatasetError, match=said):
        datasets.load("tu:TOY")


def test_names_of_a_family_lead_nowhere_else() -> None:
    for name in ("tu:../../etc", "tu:", "tu:a/b"):
        with pytest.raises(DatasetError, match="expected a name of"):
            datasets.spec(name)


def test_folds_share_out_every_class_and_are_fixed_by_the_seed() -> None:
    label = torch.tensor([0] * 31 + [1] * 12 + [2] * 5)
    dealt = folds.deal(label, 5, seed=3)
    for kind in range(3):
        counts = dealt[label == kind].bincount(minlength=5)
        assert counts.max() - counts.min() <= 1
    assert dealt.bincount().max() - dealt.bincount().min() <= 1
    assert torch.equal(dealt, folds.deal(label, 5, seed=3))
    assert not torch.equal(dealt, folds.deal(label, 5, seed=4))
    tests = [folds.parts(dealt, number) for number in range(5)]
    assert sorted(int(k) for part in tests for k in part["test"]) == list(range(48))
    for part in tests:
        assert sorted(torch.cat([*part.values()]).tolist()) == list(range(48))
    with pytest.raises(DatasetError, match="--folds 5"):
        folds.deal(label, 6, seed=0)


def test_a_fold_is_a_data_set_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))  # of cora nothing is here, nor asked for: it has no folds
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    whole, first, other = (datasets.load(f"threads{end}") for end in ("", "@fold1of10", "@fold2of10-seed7"))
    assert first.info.digest == whole.info.digest != other.info.digest
    assert other.info.name == "threads@fold2of10-seed7"
    assert torch.equal(first.split("test")[0], whole.split("test")[0])
    assert datasets.matches(other.info.name, ("cora", "threads"))
    assert not datasets.matches("cora@fold1of10", ("threads",))
    for name, said in (("threads@fold4of3", "one of 1 to 3"), ("cora@fold1of10", "has no folds")):
        with pytest.raises(DatasetError, match=said):
            datasets.load(name)


@pytest.mark.parametrize("name", ["citeseer", "tu:PROTEINS"])
def test_graphs_that_cannot_be_fetched_end_in_three_ways_out(cli: Cli, tmp_path: Path, name: str) -> None:
    proxy = {f"{scheme}_proxy": "http://127.0.0.1:1" for scheme in ("http", "https")}
    said = cli("train", "gcn", "--dataset", name, expect=1, ZOO_DATA=str(tmp_path / "none"), **proxy).stderr
    assert "Three ways out" in said
    assert list((tmp_path / "none").iterdir()) == []


def test_one_command_trains_all_folds_and_goes_on_where_it_was_stopped(json_of: Callable[..., Any]) -> None:
    found = json_of("train", "gcn", "--dataset", "threads", "--folds", "3", "--epochs", "2", "--set", "hidden=[4]")
    assert found["metrics"]["folds"] == 3
    assert len(found["runs"]) == 3
    each = [zoo.evaluate(run).metrics["accuracy"] for run in found["runs"]]
    assert found["metrics"]["accuracy"] == pytest.approx(float(np.mean(each)))
    assert found["metrics"]["accuracy_std"] == pytest.approx(float(np.std(each, ddof=1)))
    (Path(found["runs"][1]) / "run.json").unlink()  # as a run that cannot be read
    again = zoo.cross_validate("gcn", "threads", 3, config={"epochs": 2, "hidden": [4]})
    assert again is not None
    assert [str(a) == b for a, b in zip(again.runs, found["runs"], strict=True)] == [True, False, True]
    assert again.metrics == found["metrics"]


def test_folds_of_one_graph_are_refused(cli: Cli) -> None:
    said = cli("train", "gcn", "--dataset", "karate", "--folds", "3", expect=1).stderr
    assert "only data sets of many graphs have" in said
