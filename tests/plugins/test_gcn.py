"""gcn: the same as PyG's, indifferent to the order of nodes, at home with odd graphs; exact when resumed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv
from zoo_better_gcn import plugin as better
from zoo_better_gcn.model import BetterGCN
from zoo_gcn import plugin as plain
from zoo_gcn.model import GCN, Convolution

import zoo
from zoo import datasets, generators, graphs, graphtasks, registry, weights
from zoo.errors import InterruptedRunError
from zoo.loading import build
from zoo.runs import Run
from zoo.training import resolve

MAKERS: dict[str, Callable[[str], GCN | BetterGCN]] = {
    "gcn": lambda level: GCN(plain.Config(row_norm=False), 5, 3, level, False),
    "better-gcn": lambda level: BetterGCN(
        better.Config(row_norm=False, mlp=1, gate=0.0, self_weight=0.5), 5, 3, level, False
    ),
}


def net(name: str, level: str) -> GCN | BetterGCN:
    torch.manual_seed(0)
    return MAKERS[name](level).eval()


def data(nodes: int = 9, edges: int = 30, seed: int = 0) -> Data:
    draw = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(0, nodes - 1, (2, edges), generator=draw).unique(dim=1)  # type: ignore[no-untyped-call]
    weight = torch.rand(edge_index.shape[1], generator=draw) + 0.2
    return Data(x=torch.randn(nodes, 5, generator=draw), edge_index=edge_index, edge_weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_layer_is_gcnconv_tensor_by_tensor(weighted: bool) -> None:
    given = data()
    assert (given.edge_index[0] == given.edge_index[1]).any(), "needs a loop of its own"
    weight = given.edge_weight if weighted else None
    theirs, ours = GCNConv(5, 4), Convolution(5, 4)
    assert {name: p.shape for name, p in ours.named_parameters()} == {"weight": (4, 5), "bias": (4,)}
    with torch.no_grad():
        theirs.lin.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias.normal_())
    ones = torch.ones(given.edge_index.shape[1]) if weight is None else weight
    edges = graphs.with_loops(given.edge_index, ones, 9)
    propagation = graphs.matrix(edges[0], graphs.normalised(*edges, 9), (9, 9))
    mine, their = (given.x.clone().requires_grad_() for _ in range(2))
    found, expected = ours(mine, propagation), theirs(their, given.edge_index, weight)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(9, 4)
    found.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(mine.grad, their.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.lin.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


@pytest.mark.parametrize("name", MAKERS)
def test_message_passing_gives_what_the_sparse_product_gives(name: str) -> None:
    given = data()
    for level in ("node", "graph"):
        model = net(name, level)
        both = [model(given.x, given.edge_index, given.edge_weight, scatter=scatter) for scatter in (False, True)]
        torch.testing.assert_close(*both)


@pytest.mark.parametrize("name", MAKERS)
def test_another_order_of_nodes_gives_the_same_in_that_order(name: str) -> None:
    given, order = data(), torch.randperm(9)
    place = order.argsort()
    moved = given.x[order], place[given.edge_index], given.edge_weight
    own = given.x, given.edge_index, given.edge_weight
    torch.testing.assert_close(net(name, "node")(*moved), net(name, "node")(*own)[order])
    torch.testing.assert_close(net(name, "graph")(*moved), net(name, "graph")(*own))


@pytest.mark.parametrize("name", MAKERS)
def test_graphs_of_a_batch_do_not_see_each_other(name: str) -> None:
    several = [data(seed=1), data(4, 3, seed=2), data(6, 8, seed=3)]
    batch = Batch.from_data_list(several)
    model = net(name, "graph")
    together = model(batch.x, batch.edge_index, batch.edge_weight, batch.batch)
    apart = torch.cat([model(one.x, one.edge_index, one.edge_weight) for one in several])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("level", ["node", "graph"])
def test_odd_graphs_have_finite_logits(name: str, level: str) -> None:
    none = torch.zeros(2, 0, dtype=torch.int64)
    loop, one = torch.zeros(2, 1, dtype=torch.int64), torch.tensor([[0], [1]])
    for nodes, edge_index in ((1, none), (5, none), (1, loop), (4, one)):
        logits = net(name, level)(torch.randn(nodes, 5), edge_index)
        assert logits.shape == (nodes if level == "node" else 1, 3)
        assert logits.isfinite().all()


@pytest.mark.parametrize("name", MAKERS)
def test_directions_and_weights_of_edges_matter(name: str) -> None:
    model, x = net(name, "node"), torch.randn(3, 5)
    there, back = torch.tensor([[0], [1]]), torch.tensor([[1], [0]])

    def out(edge_index: Tensor, weight: float = 1.0) -> Tensor:
        logits: Tensor = model(x, edge_index, torch.tensor([weight]))
        return logits

    lone = model(x, torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(out(there)[[0, 2]], lone[[0, 2]])  # nothing comes into these
    assert (out(there)[1] - lone[1]).abs().max() > 1e-3
    torch.testing.assert_close(out(back)[[1, 2]], lone[[1, 2]])
    assert (out(there, 5.0)[1] - out(there)[1]).abs().max() > 1e-3


def test_better_gcn_has_weights_of_its_own_for_a_node() -> None:
    model = net("better-gcn", "node")
    layer: Any = model.layers[0]
    with torch.no_grad():
        layer.both.weight[:64] = 0
    x, none = torch.randn(2, 64), torch.zeros(2, 0, dtype=torch.int64)
    empty = graphs.matrix(none, torch.zeros(0), (2, 2))
    found = layer(x, empty, empty) - 0.5 * x
    torch.testing.assert_close(found[0], found[1])  # without W0 and neighbours nothing tells two nodes apart


def karate(folder: Path, stop_at: int = 0, resuming: bool = False) -> dict[str, Tensor]:
    """A run on one graph, stopped by a signal at a step."""
    loaded, plugin = datasets.load("karate"), registry.load("gcn")
    run = Run(plugin.spec, plain.Config(epochs=9), loaded.info, folder=folder, load_data=lambda: loaded)
    run.resuming = resuming
    generators.seed_everything(0)
    run.model = build(plugin, run.config, loaded.info)

    def stop(event: zoo.Event) -> None:
        if event.kind == "step" and event.step == stop_at:
            signal.raise_signal(signal.SIGTERM)

    run.listeners.append(stop)
    graphtasks.train(run)
    return run.model.state_dict()


def test_a_node_run_that_was_stopped_resumes_bit_by_bit(tmp_path: Path) -> None:
    whole = karate(tmp_path / "whole")
    with pytest.raises(InterruptedRunError, match="after step 4 of 9"):
        karate(tmp_path / "cut", stop_at=4)
    again = karate(tmp_path / "cut", resuming=True)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, dataset in (("gcn", "karate"), ("better-gcn", "threads")):
        out = tmp_path_factory.mktemp("runs")
        trained = zoo.train(name, dataset, config={"epochs": 100 if name == "gcn" else 6}, out=out)
        assert trained is not None
        made[name] = trained.run
    return made


def test_a_graph_is_learnt_from_four_nodes_and_evaluated_with_pictures(runs: dict[str, Path]) -> None:
    found = zoo.evaluate(runs["gcn"])
    assert found.metrics["accuracy"] > 0.6, "guessing reaches 0.38"
    assert found.n == sum(map(sum, found.details["confusion_matrix"])) == 30
    assert {Path(path).name for path in found.files} >= {"confusion-test.png", "embedding-test.png"}
    assert len(found.details["embedding"]["points"]) == 30


def test_each_node_of_a_users_graph_gets_a_label_and_each_graph_one(
    runs: dict[str, Path], json_of: Callable[..., Any], cli: Cli
) -> None:
    nodes = [{"id": f"n{k}", "x": {str(k): 1}} for k in range(3)]
    graph = {"nodes": nodes, "edges": [{"source": "n0", "target": "n1"}]}
    Path("mine.json").write_text(json.dumps(graph))
    (found,) = json_of("predict", str(runs["gcn"]), "mine.json")
    assert [row["node"] for row in found["rows"]] == ["n0", "n1", "n2"]
    table = Path(found["table"]).read_text().splitlines()
    assert table[0] == "node,label,probability"
    assert [line.split(",")[1] for line in table[1:]] == [row["label"] for row in found["rows"]]
    (whole,) = json_of("predict", str(runs["better-gcn"]), "mine.json")
    assert "synthetic" in whole["label"]
    graph["edges"] = [{"source": "n0", "target": "n9"}]
    Path("bad.json").write_text(json.dumps(graph))
    assert "'n9', which is no node's id" in cli("predict", str(runs["gcn"]), "bad.json", expect=1).stderr


@pytest.mark.parametrize("name", ["gcn", "better-gcn"])
def test_the_export_is_proven(runs: dict[str, Path], name: str) -> None:
    made = {row["format"]: row for row in zoo.export(str(runs[name]), ["pt2", "onnx"], to="out")}
    assert made["pt2"]["compared"]["largest_difference"] == 0
    assert made["onnx"]["dynamic"]["edge_index"] == {"1": "edges"}


def test_the_nodes_of_a_users_graph_are_embedded_and_graphs_as_a_whole(runs: dict[str, Path]) -> None:
    nodes = [{"id": k, "x": {str(k): 1}} for k in range(2)]
    Path("mine.json").write_text(json.dumps({"nodes": nodes, "edges": [{"source": 0, "target": 1}]}))
    found = zoo.embed(runs["gcn"], ["mine.json"], to="nodes.npz")
    assert found.inputs == ("mine.json:0", "mine.json:1")
    assert found.vectors.shape == (2, 64)
    with np.load("nodes.npz", allow_pickle=False) as kept:
        assert np.array_equal(kept["vectors"], found.vectors.numpy())
    whole = zoo.embed(runs["better-gcn"], ["mine.json", "mine.json"])
    assert whole.inputs == ("mine.json", "mine.json")
    assert whole.vectors.shape == (2, 2 * 64 * 5)
    assert torch.equal(whole.vectors[0], whole.vectors[1])


def test_torchrun_is_refused_with_the_reason(cli: Cli) -> None:
    said = cli("train", "gcn", "--dataset", "karate", expect=1, WORLD_SIZE="2", RANK="0").stderr
    assert "its one graph is one batch" in said


def test_graphs_are_shared_out_to_two_processes_that_train_as_one(tmp_path: Path) -> None:
    flags = ["--set", "dropout=0.0", "--set", "input_dropout=0.0", "--epochs", "3"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "zoo"]
    for out, command in (("two", launch), ("one", [sys.executable, "-m", "zoo"])):
        arguments = ["train", "gcn", "--dataset", "threads", *flags, "--out", str(tmp_path / out)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    ours, theirs = (weights.read(next((tmp_path / out).glob("*/*/weights.safetensors")))[0] for out in ("two", "one"))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-5)


def test_the_papers_recipe_is_a_named_config() -> None:
    _, resolved, set_by = resolve(registry.load("gcn"), "cora", "paper", {"epochs": 7})
    config: Any = resolved
    assert (config.hidden, config.dropout, config.l2, config.consistency, config.epochs) == ((16,), 0.5, 5e-4, 0, 7)
    assert (set_by["hidden"], set_by["epochs"]) == ("recipe paper", "argument")
    with pytest.raises(zoo.ConfigError, match="at least 2 draws"):
        plain.Config(draws=1)
