"""Importance-weighted log-likelihood of a vae on the first test images, with as many samples as the literature takes.

    python benchmarks/vae_likelihood.py vae:mnist --images 500 --samples 5000

`zoo evaluate` takes fewer of both, so that it answers within a minute; `zoo evaluate --full` takes all images, which
lasts hours. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from zoo_vae.model import SEED, binary, likelihood

from zoo import datasets
from zoo.loading import open_model


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--samples", type=int, default=5000)
    arguments = parser.parse_args()
    run = open_model(arguments.reference, Path("runs")).run
    images = binary(datasets.load(run.info.name).split("test")[0])[: arguments.images]
    begun = time.monotonic()
    nll = -likelihood(run, images, arguments.samples)
    facts = {"reference": arguments.reference, "dataset": run.info.name, "first_test_images": len(images)}
    facts |= {"samples": arguments.samples, "binarisation": f"dynamic, one draw, seed {SEED}"}
    facts |= {"nll": nll.mean().item(), "standard_error": (nll.std() / math.sqrt(len(nll))).item()}
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({**facts, "seconds": seconds, "threads": torch.get_num_threads(), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
