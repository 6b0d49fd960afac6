"""Mean and spread of a model's figures over seeds: every run is whole, every figure is of its last epoch.

    python benchmarks/seeds.py cnn-mnist --dataset mnist --seeds 5 [--config FILE] [--set KEY=VALUE] [--out runs]

Seeds 0, 1, ... are trained one after the other; a finished run of the same code, config and seed in --out is reused, so
that the script goes on where it was stopped. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import zoo
from zoo import examine, registry, runs
from zoo.cli.shared import parse_settings
from zoo.crossval import finished
from zoo.training import resolve


def main() -> None:
    """Trains what is missing and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--dataset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--config", help="TOML with keys of the recipe, or a named one")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    plugin = registry.load(arguments.model)
    values = parse_settings(arguments.settings)
    dataset, config, _ = resolve(plugin, arguments.dataset, arguments.config, values)
    code = examine.code_digest(plugin.plugin.module)
    folders = []
    for seed in range(arguments.seeds):
        wanted = {"config": config.to_json(), "code": code, "seed": seed}
        found = finished(arguments.out, arguments.model, dataset, wanted)
        if found is None:
            keys = {"config": values, "config_file": arguments.config}
            trained = zoo.train(arguments.model, dataset, **keys, seed=seed, out=arguments.out)
            assert trained is not None
            found = trained.run
        folders.append(found)
    records = [runs.read(folder)[0] for folder in folders]
    metrics = {}
    for name in records[0]["metrics"]:
        figures = [record["metrics"][name] for record in records]
        spread = statistics.stdev(figures) if len(figures) > 1 else 0.0
        metrics[name] = {"mean": statistics.mean(figures), "std": spread, "n": len(figures), "values": figures}
    first = records[0]
    facts = {"model": arguments.model, "dataset": dataset, "config": arguments.config}
    facts |= {"split": "test", "metrics": metrics}
    facts |= {"parameters": first["parameters"], "seconds": [record["seconds"] for record in records]}
    facts |= {"device": first["device"], "precision": first["precision"], "threads": first["threads"]}
    print(json.dumps({**facts, "versions": first["environment"]["versions"]}, indent=2))


if __name__ == "__main__":
    main()
