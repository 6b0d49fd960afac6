"""Time and memory of a training step against the size of the graph: random graphs of average degree 10.

    python benchmarks/graph_scaling.py [--model gcn] [--nodes 10000 100000 1000000] [--channels 16] [--steps 3]

Each size has a process of its own, whose peak memory is its own. 64 dense features, undirected edges; a step is
forward, backward and Adam on all nodes. The largest graph that fits 16 GiB is drawn from the line through the last two
sizes.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

import zoo
from zoo import registry
from zoo.loading import build
from zoo.training import resolve

DEGREE, FEATURES, CLASSES = 10, 64, 8
ROOM = 16 * 2**30


def measure(model: str, nodes: int, channels: int, steps: int) -> dict[str, float]:
    """One size, in this process."""
    plugin = registry.load(model)
    sizes = {"hidden": [channels]} if model == "gcn" else {"hidden": channels}
    _, config, _ = resolve(plugin, "cora", None, {**sizes, "row_norm": False})
    facts = {"level": "node"}
    info = zoo.DatasetInfo("random", (FEATURES,), tuple(map(str, range(CLASSES))), extra=facts)
    net = build(plugin, config, info)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    torch.manual_seed(0)
    half = torch.randint(0, nodes, (2, nodes * DEGREE // 2))
    edge_index = torch.cat([half, half.flip(0)], 1)
    x, label = torch.randn(nodes, FEATURES), torch.randint(0, CLASSES, (nodes,))
    begun = time.perf_counter()
    graph = net.graph(x, edge_index)  # type: ignore[operator]
    prepared = time.perf_counter() - begun
    optimizer = torch.optim.Adam(net.parameters())
    seconds = []
    for _ in range(steps + 1):
        begun = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(net.classify(graph), label).backward()  # type: ignore[operator, no-untyped-call]
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    edges = edge_index.shape[1]
    made = {"nodes": nodes, "edges": edges, "prepare_seconds": prepared, "step_seconds": min(seconds[1:])}
    return {**made, "peak_bytes": peak, "bytes_of_the_graph": peak - before}


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gcn", choices=["gcn", "better-gcn"])
    parser.add_argument("--nodes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return print(json.dumps(measure(arguments.model, arguments.one, arguments.channels, arguments.steps)))
    rows = []
    for nodes in arguments.nodes:
        settings = ["--model", arguments.model, "--channels", str(arguments.channels), "--steps", str(arguments.steps)]
        command = [sys.executable, __file__, "--one", str(nodes), *settings]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    facts = {"model": arguments.model, "channels": arguments.channels, "features": FEATURES, "rows": rows}
    if len(rows) > 1:
        small, large = rows[-2:]
        each = (large["peak_bytes"] - small["peak_bytes"]) / (large["nodes"] - small["nodes"])
        facts["largest_nodes_in_16_GiB"] = int(large["nodes"] + (ROOM - large["peak_bytes"]) / each)
        facts["growth"] = {
            name: (large[name] / small[name]) / (large["edges"] / small["edges"])
            for name in ("step_seconds", "peak_bytes")
        }
    facts |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version()}
    print(json.dumps(facts, indent=2))
    return None


if __name__ == "__main__":
    main()
