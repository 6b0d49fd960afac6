"""zoo.load() of cached weights beside what it cannot do without: load_file, construct the module, load_state_dict.

    python benchmarks/load.py --rounds 20

Both sides run in this process, in turn; the ratio of a round is ours over theirs. Ours also hashes the file, compares
names, shapes, dtypes and finiteness, and reads the config from the file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch

import zoo
from zoo import cache, loading, pulling, registry, weights


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def widened(folder: Path, width: int) -> str:
    """A cnn-mnist of many parameters with random weights, published in a folder; returns its address."""
    model = registry.load("cnn-mnist")
    opened = loading.open_model("cnn-mnist", folder)
    config = model.spec.config(**{**opened.metadata["config"], "channels": [width] * 6})
    run = zoo.Run(model.spec, config, opened.run.info)
    run.model = loading.build(model, config, run.info)
    sha256 = weights.write(folder / "weights.safetensors", run.model.state_dict(), loading.describe_weights(model, run))
    size = (folder / "weights.safetensors").stat().st_size
    entry = opened.entry
    assert entry is not None
    table = {**entry.to_json(), "size": size, "sha256": sha256, "config": config.to_json()}
    table.pop("sources")
    manifest = {"format": 1, "id": "cnn-mnist:wide", "weights": table, "files": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return f"file:{folder}"


def compare(reference: str, rounds: int) -> dict[str, object]:
    """Medians, and the ratio of each round."""
    entry = pulling.find(reference)
    path = cache.obtain(entry)
    opened = loading.open_model(reference, Path())

    def plain() -> None:
        module = loading.build(opened.model, opened.run.config, opened.run.info)
        module.load_state_dict(safetensors.torch.load_file(path))
        module.eval()

    def ours() -> None:
        zoo.load(reference)

    for warm in (plain, ours):
        warm()
    pairs = [(seconds(plain), seconds(ours)) for _ in range(rounds)]
    ratios = sorted(ours / plain for plain, ours in pairs)
    return {
        "weights": reference,
        "megabytes": round(entry.size / 1e6, 2),
        "plain_ms": round(1e3 * statistics.median(plain for plain, _ in pairs), 2),
        "zoo_ms": round(1e3 * statistics.median(ours for _, ours in pairs), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
        "rounds": rounds,
    }


def main() -> None:
    """Prints a line of JSON for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}))
    print(json.dumps(compare("cnn-mnist", rounds)))
    with tempfile.TemporaryDirectory() as folder:
        for width in (256, 640):
            place = Path(folder) / str(width)
            place.mkdir()
            print(json.dumps(compare(widened(place, width), rounds)))


if __name__ == "__main__":
    main()
