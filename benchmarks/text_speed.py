"""Tokens a second of lstm-ae's training beside a straight loop: nn.LSTM, a DataLoader, padding to the longest sentence.

    python benchmarks/text_speed.py [--dataset multi30k] [--steps 100] [--rounds 3]

The same net, sentences, batch size, optimizer, clipping and loss. The straight loop pads every sentence to the longest
of the data set, as a tensor of one width makes one do, computes in float32, and has no engine around it; ours draws
batches of like length, and computes in what the engine's probe found faster. Both train in turn in one process, A B B A
...; a token is a word or an end token, never padding. The ratio of a round is that of its own pair.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from zoo_lstm_ae import model as science
from zoo_lstm_ae.vocabulary import PAD, Vocabulary

import zoo
from zoo import datasets, generators, optimization, registry
from zoo.datasets import text
from zoo.loading import build
from zoo.runs import Run

FAR = 10_000
"""Epochs that neither reaches."""


class Enough(Exception):  # noqa: N818
    """All steps are taken."""


def straight(run: Run, tokens: Tensor, lengths: Tensor, steps: int) -> float:
    """Tokens a second of a loop as one would write it by hand."""
    net, config = run.model.train(), run.config
    optimizer = optimization.optimizer(net, config)
    loader = DataLoader(TensorDataset(tokens, lengths), batch_size=config.batch_size, shuffle=True, drop_last=True)
    done, taken, begun = 0, 0, time.perf_counter()
    while True:
        for batch, own in loader:
            logits = net(batch, own)[0]
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.flatten(), ignore_index=PAD)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), config.grad_clip)
            optimizer.step()
            done, taken = done + int(own.sum()) + len(own), taken + 1
            if taken == steps:
                return done / (time.perf_counter() - begun)


def ours(run: Run, tokens: Tensor, lengths: Tensor, steps: int) -> float:
    """Tokens a second of zoo.fit, between its first step and its last."""
    marks: list[float] = []
    counts: list[int] = []
    batches = science.batches(run, tokens, lengths)
    take = batches.take

    def counted(index: Tensor) -> tuple[Tensor, ...]:
        batch = take(index)
        counts.append(int(batch[1].sum()) + len(batch[1]))
        return batch

    batches.take = counted  # type: ignore[method-assign]
    of = science.loss(run, batches.mean_tokens)

    def timed(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        if model is run.model:  # and not the copy that the probe for the arithmetic tries
            marks.append(time.perf_counter())
            if len(marks) > steps:
                raise Enough
        return of(model, batch)

    with tempfile.TemporaryDirectory() as folder:
        run.folder = Path(folder)
        with contextlib.suppress(Enough):
            zoo.fit(run, timed, batches)
    return sum(counts[-1 - steps : -1]) / (marks[-1] - marks[0])


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="multi30k" if datasets.spec("multi30k").present else "sentences")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data, plugin = datasets.load(arguments.dataset), registry.load("lstm-ae")
    recipe = plugin.spec.recipes.get(arguments.dataset, {})
    config = plugin.spec.config(**{**recipe, "epochs": FAR, "noise": 0.0, "checkpoint_seconds": 1e6})
    words = Vocabulary.of(data.info, config.min_count)  # type: ignore[attr-defined]
    tokens, lengths = words.encode(text.unpack(data.split("train")))
    found: dict[str, list[float]] = {"ours": [], "straight": []}
    for number in range(arguments.rounds):
        for kind in ("ours", "straight") if number % 2 else ("straight", "ours"):
            generators.seed_everything(0)
            run = Run(plugin.spec, config, data.info)
            run.model = build(plugin, config, data.info)
            measure = ours if kind == "ours" else straight
            found[kind].append(measure(run, tokens, lengths, arguments.steps))
    ratios = [a / b for a, b in zip(found["ours"], found["straight"], strict=True)]
    print(
        json.dumps(
            {
                "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
                "rounds": len(ratios),
                "tokens_per_second": {kind: statistics.median(values) for kind, values in found.items()},
                "width": {"mean": lengths.double().mean().item() + 1, "longest": int(lengths.max()) + 1},
                "steps": arguments.steps,
                "batch_size": config.batch_size,
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
