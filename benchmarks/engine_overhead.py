"""What the engine costs beside a plain hand-written loop: the same net, batches, augmentation, optimizer and average.

    python benchmarks/engine_overhead.py [--dataset mnist] [--steps 200] [--rounds 5]

Both train in turn in one process, A B B A ..., on the data in memory; the ratio of a round is taken from its own pair,
so that a machine whose speed drifts does not favour either. Loading, checkpoints at the start and scoring are outside
of both; within its epoch the engine also logs, tells its listeners, checks the loss and watches for signals.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from zoo_cnn_mnist import model as science
from zoo_cnn_mnist.plugin import Config

import zoo
from zoo import datasets, generators, registry
from zoo.loading import build
from zoo.runs import Run


def plain_loop(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, config: Config, bf16: bool) -> float:
    """Seconds of an epoch as one would write it by hand."""
    average = copy.deepcopy(net).eval()
    augment, objective, steps = science.Augment(config), science.loss(config), len(images) // config.batch_size
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, config.beta2), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps + 1, cycle_momentum=False)
    begun = time.perf_counter()
    net.train()
    order = torch.randperm(len(images))
    for step in range(steps):
        index = order[step * config.batch_size : (step + 1) * config.batch_size]
        image, label = augment(images[index], labels[index])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = objective(net, (image, label))["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - config.ema_decay)
            for ours, theirs in zip(average.buffers(), net.buffers(), strict=True):
                if ours.is_floating_point():
                    ours.lerp_(theirs, 1 - config.ema_decay)
    return time.perf_counter() - begun


def engine_loop(
    net: nn.Module, images: torch.Tensor, labels: torch.Tensor, config: Config, info: zoo.DatasetInfo
) -> float:
    """Seconds of an epoch of zoo.fit, from its first step to its last."""
    marks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Run(registry.load("cnn-mnist").spec, config, info, folder=Path(folder))
        run.model = net
        augment = science.Augment(config)

        def timed(image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            marks.setdefault(0, time.perf_counter())
            return augment(image, label)

        def listen(event: zoo.Event) -> None:
            if event.kind == "step":
                marks[1] = time.perf_counter()

        run.listeners.append(listen)
        zoo.fit(run, science.loss(config), zoo.Batches(images, labels, batch_size=config.batch_size, transform=timed))
    return marks[1] - marks[0]


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="mnist" if datasets.spec("mnist").present else "digits")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = datasets.load(arguments.dataset)
    plugin = registry.load("cnn-mnist")
    images, labels = data.split("train")
    bf16 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    config = Config(epochs=1, precision="bfloat16" if bf16 else "float32")
    count = arguments.steps * config.batch_size
    repeats = -(-count // len(images))
    images, labels = images.repeat(repeats, 1, 1, 1)[:count], labels.repeat(repeats)[:count]
    seconds: dict[str, list[float]] = {"engine": [], "plain": []}
    for number in range(-1, arguments.rounds):  # the first pair warms up and is not counted
        for kind in ("engine", "plain") if number % 2 else ("plain", "engine"):
            generators.seed_everything(0)
            net = build(plugin, config, data.info).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if kind == "engine":
                took = engine_loop(net, images, labels, config, data.info)
            else:
                took = plain_loop(net, images, labels, config, bf16)
            if number >= 0:
                seconds[kind].append(took)
    ratios = [a / b for a, b in zip(seconds["engine"], seconds["plain"], strict=True)]
    print(
        json.dumps(
            {
                "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
                "rounds": len(ratios),
                "ms_per_step": {k: 1000 * statistics.median(v) / arguments.steps for k, v in seconds.items()},
                "steps": arguments.steps,
                "batch_size": config.batch_size,
                "precision": config.precision,
                "dataset": arguments.dataset,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
