"""200 epochs of a two-layer GCN on Cora, scored after each: this zoo's engine beside the script one writes with PyG.

    python benchmarks/gcn_speed.py [--epochs 200] [--rounds 5]

The same net (16 channels, dropout 0.5, Adam, 200 epochs), side by side in one process, A B B A ... PyG's is its usual
example: dense features, GCNConv(cached=True), a forward pass in eval mode after each epoch. The zoo's is the whole of
`zoo.fit` with `--config paper`: logging, checkpoints, validation. Reading the data is outside of both.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch_geometric
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GCNConv

import zoo
from zoo import datasets, generators, graphtasks, registry
from zoo.graphs import row_normalised
from zoo.graphsets import Split
from zoo.loading import build
from zoo.runs import Run
from zoo.training import resolve


class PyG(nn.Module):
    """The net of PyG's example gcn.py."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.conv1 = GCNConv(features, 16, cached=True)
        self.conv2 = GCNConv(16, classes, cached=True)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Logits."""
        x = F.dropout(x, p=0.5, training=self.training)
        x = self.conv1(x, edge_index).relu()
        x = F.dropout(x, p=0.5, training=self.training)
        logits: Tensor = self.conv2(x, edge_index)
        return logits


def pyg_seconds(data: datasets.Dataset, epochs: int) -> float:
    """Seconds of training and scoring."""
    split, held = Split.of(data.split("train"), data.info.shape[0]), data.split("val")[0]
    x = row_normalised(split.x.dense())
    assert isinstance(x, Tensor)
    net = PyG(x.shape[1], len(data.info.classes))
    groups = [{"params": net.conv1.parameters(), "weight_decay": 5e-4}, {"params": net.conv2.parameters()}]
    optimizer = torch.optim.Adam(groups, lr=0.01)
    begun = time.perf_counter()
    for _ in range(epochs):
        net.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x, split.edge_index)[split.index], split.label[split.index])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        net.eval()
        with torch.no_grad():
            guess = net(x, split.edge_index).argmax(1)
            (guess[held] == split.label[held]).float().mean().item()
    return time.perf_counter() - begun


def zoo_seconds(data: datasets.Dataset, epochs: int) -> float:
    """Seconds of `zoo.fit`, from its start to its end."""
    plugin = registry.load("gcn")
    _, config, _ = resolve(plugin, "cora", "paper", {"epochs": epochs})
    with tempfile.TemporaryDirectory() as folder:
        run = Run(plugin.spec, config, data.info, folder=Path(folder), load_data=lambda: data)
        generators.seed_everything(0)
        run.model = build(plugin, config, data.info)
        begun = time.perf_counter()
        graphtasks.train(run)
        return time.perf_counter() - begun


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = datasets.load("cora")
    seconds: dict[str, list[float]] = {"zoo": [], "pyg": []}
    zoo_seconds(data, 20), pyg_seconds(data, 5)  # warm up both
    for number in range(arguments.rounds):
        for kind in ("zoo", "pyg") if number % 2 else ("pyg", "zoo"):
            run = zoo_seconds if kind == "zoo" else pyg_seconds
            seconds[kind].append(run(data, arguments.epochs))
    ratios = [b / a for a, b in zip(seconds["zoo"], seconds["pyg"], strict=True)]
    print(
        json.dumps(
            {
                "times_faster": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
                "seconds": {kind: statistics.median(values) for kind, values in seconds.items()},
                "rounds": arguments.rounds,
                "epochs": arguments.epochs,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "torch_geometric": torch_geometric.__version__,
                "zoo": zoo.__version__,
                "python": platform.python_version(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
