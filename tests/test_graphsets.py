"""Twins are merged without a trace in the outputs; one graph is one batch; many graphs are cut into batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from zoo_better_gcn import plugin as better
from zoo_better_gcn.model import BetterGCN
from zoo_gcn import plugin as plain
from zoo_gcn.model import GCN

from zoo import datasets, graphsets
from zoo.errors import ConfigError
from zoo.graphsets import Split


def nets(classes: int, level: str, features: int, degree: bool) -> list[GCN | BetterGCN]:
    torch.manual_seed(0)
    recipe = {"threads": plain.GRAPHS, "karate": {}}["threads" if level == "graph" else "karate"]
    second = better.GRAPHS if level == "graph" else {}
    made: list[GCN | BetterGCN] = [
        GCN(plain.Config(**recipe), features, classes, level, degree),  # type: ignore[arg-type]
        BetterGCN(better.Config(**second), features, classes, level, degree),  # type: ignore[arg-type]
    ]
    for net in made:
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return [net.eval() for net in made]


def gradient(net: GCN | BetterGCN, logits: Tensor) -> Tensor:
    net.zero_grad()
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


@pytest.mark.parametrize("which", [0, 1])
def test_merging_twins_changes_neither_outputs_nor_gradients(which: int) -> None:
    data = datasets.load("threads")
    net = nets(2, "graph", 1, True)[which]
    split = Split.of(data.split("val"), 1)
    batches = graphsets.batches(net, data.split("val"), 1, "graph", 7, shuffle=False)
    assert isinstance(batches, graphsets.ManyGraphs)
    assert len(batches.count) < 0.8 * len(split.graph)
    assert batches.count.sum() == len(split.graph)
    taken = [batches.take(index) for index in batches.plan(None)]
    assert [len(label) for _, _, label in taken] == [7] * 5 + [5]
    merged = torch.cat([net.classify(graph) for graph, _, _ in taken])
    own = gradient(net, merged)
    whole = net(split.x.dense(), split.edge_index, None, split.graph)[split.index]
    torch.testing.assert_close(merged, whole)
    assert whole.std() > 0.01
    expected = gradient(net, whole)
    assert (own - expected).norm() < 1e-5 * expected.norm()
    assert torch.equal(torch.cat([label for _, _, label in taken]), split.label[split.index])


def test_nodes_that_differ_far_away_are_no_twins_of_deep_nets() -> None:
    path = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 4, 4, 0], [1, 0, 2, 1, 3, 2, 4, 3, 0, 4]])  # a ring: all are twins
    ends = path[:, :8]  # a path: its ends are twins, its middle has none
    for edges, expected in ((path, [1, 1, 1]), (ends, [1, 2, 3])):
        every = torch.arange(5)
        x = torch.arange(6), torch.zeros(5, dtype=torch.int64), torch.ones(5)
        split = Split.of((every[:1], torch.tensor([0, 5]), edges, *x, torch.zeros(1, dtype=torch.int64)), 1)
        found = [int(graphsets.twins(split, edges, depth).max()) + 1 for depth in (0, 1, 2)]
        assert found == expected


def test_a_node_model_is_one_batch_and_is_refused_to_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets.load("karate")
    net = nets(4, "node", 34, False)[0]
    batches = graphsets.batches(net, data.split("train"), 34, "node", 1, shuffle=True)
    assert len(batches) == len(batches.plan(torch.Generator())) == 1
    graph, index, label = batches.take(torch.zeros(1))
    assert graph.x.shape == (34, 34)  # type: ignore[attr-defined]
    assert len(index) == len(label) == 4
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one graph is one batch"):
        graphsets.batches(net, data.split("train"), 34, "node", 1, shuffle=True)
