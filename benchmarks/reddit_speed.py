"""One epoch of better-gcn on REDDIT-BINARY beside one of a 5-layer GIN of the same width, by PyG and its DataLoader.

    python benchmarks/reddit_speed.py [--dataset reddit-binary] [--graphs 400] [--rounds 3]

Both train on the same graphs of the training split, in batches of 32, in turn in one process, A B B A.
PyG's: five GINConv layers of two linear layers with batch norm, sum readout, Adam. The zoo's: the recipe's net, whose
twins are merged once before the first epoch; that time is printed beside the epochs'.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from typing import Any

import torch
import torch_geometric
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GINConv, global_add_pool

from zoo import datasets, graphsets, optimization, registry
from zoo.graphs import degree_code
from zoo.graphsets import Split
from zoo.loading import build
from zoo.training import resolve

LAYERS = 5


class GIN(nn.Module):
    """As in PyG's example mutag_gin.py."""

    def __init__(self, features: int, channels: int, classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for number in range(LAYERS):
            before = channels if number else features
            layers = (nn.Linear(before, channels), nn.BatchNorm1d(channels), nn.ReLU(), nn.Linear(channels, channels))
            self.convs.append(GINConv(nn.Sequential(*layers)))
        self.out = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, classes))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, graphs: int) -> Tensor:
        """Logits, (G, K)."""
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        logits: Tensor = self.out(global_add_pool(x, batch, graphs))
        return logits


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="reddit-binary")
    parser.add_argument("--graphs", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data, plugin = datasets.load(arguments.dataset), registry.load("better-gcn")
    config: Any = resolve(plugin, arguments.dataset, None, {})[1]
    index, *stored = data.split("train")
    tensors = (
        index[torch.randperm(len(index), generator=torch.Generator().manual_seed(0))][: arguments.graphs],
        *stored,
    )
    split = Split.of(tensors, data.info.shape[0])
    x = degree_code(split.x.dense())
    graph_of_edge = split.graph[split.edge_index[1]]
    bounds = torch.searchsorted(graph_of_edge, torch.arange(len(split.offsets)))
    examples = []
    for number in split.index.tolist():
        first, last = split.offsets[number : number + 2].tolist()
        edge_index = split.edge_index[:, bounds[number] : bounds[number + 1]] - first
        examples.append(Data(x=x[first:last], edge_index=edge_index, y=split.label[number : number + 1]))
    gin: nn.Module = GIN(x.shape[1], config.hidden, 2)
    net = build(plugin, config, data.info)
    begun = time.perf_counter()
    batches = graphsets.batches(net, tensors, data.info.shape[0], "graph", config.batch_size, shuffle=True)  # type: ignore[arg-type]
    merging = time.perf_counter() - begun
    optimizers = {"pyg": torch.optim.Adam(gin.parameters(), lr=1e-3), "zoo": optimization.optimizer(net, config)}

    def epoch(kind: str) -> float:
        begun, optimizer = time.perf_counter(), optimizers[kind]
        if kind == "pyg":
            for batch in DataLoader(examples, config.batch_size, shuffle=True, drop_last=True):
                loss = F.cross_entropy(gin(batch.x, batch.edge_index, batch.batch, batch.num_graphs), batch.y)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        else:
            for chosen in batches.plan(torch.Generator().manual_seed(0)):
                graph, _, label = batches.take(chosen)
                loss = F.cross_entropy(net.classify(graph), label)  # type: ignore[operator]
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return time.perf_counter() - begun

    epoch("zoo"), epoch("pyg")  # warm up both
    seconds: dict[str, list[float]] = {"zoo": [], "pyg": []}
    for number in range(arguments.rounds):
        for kind in ("zoo", "pyg") if number % 2 else ("pyg", "zoo"):
            seconds[kind].append(epoch(kind))
    ratios = [b / a for a, b in zip(seconds["zoo"], seconds["pyg"], strict=True)]
    print(
        json.dumps(
            {
                "times_faster": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
                "seconds_per_epoch": {kind: statistics.median(values) for kind, values in seconds.items()},
                "merging_seconds": merging,
                "graphs": len(examples),
                "channels": config.hidden,
                "layers": {"zoo": config.layers, "pyg": LAYERS},
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "torch_geometric": torch_geometric.__version__,
                "python": platform.python_version(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
