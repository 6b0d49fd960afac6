"""Synthetic discussion threads as graphs of who answered whom: a stand-in for REDDIT-BINARY that needs no network.

In a question/answer thread a few experts answer many askers; in a discussion anyone replies to anyone, most often to
who spoke last. A part of the replies of each follows the other's habit, so that no single degree tells them apart.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from zoo.datasets import graphs
from zoo.datasets.folds import FOLDS, deal, parts
from zoo.datasets.specs import DatasetSpec

THREADS = 400
NODES = (12, 48)
STRAY = 0.35
"""Share of the replies that follow the other habit."""


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """400 threads of 12 to 48 people, half of each kind; the same ones on every machine, and the first of ten folds."""
    draw = random.Random(0)
    offsets, pairs, labels = [0], set(), []
    for number in range(THREADS):
        first, count, kind = offsets[-1], draw.randint(*NODES), number % 2
        experts = draw.randint(1, 4)
        for speaker in range(1, count):
            asks = (kind == 0) == (draw.random() >= STRAY)
            late = int(draw.expovariate(0.5)) if not asks else 0
            partner = draw.randrange(min(experts, speaker)) if asks else max(0, speaker - 1 - late)
            pairs |= {(first + speaker, first + partner), (first + partner, first + speaker)}
        offsets.append(first + count)
        labels.append(kind)
    label, edge_index = torch.tensor(labels), torch.tensor(sorted(pairs)).T
    every = torch.arange(offsets[-1])
    x = every, torch.zeros_like(every), torch.bincount(edge_index[1], minlength=len(every)).float()
    stored = graphs.store(torch.tensor(offsets), edge_index, x, label, spec)
    return {name: (index, *stored) for name, index in parts(deal(label, FOLDS, 0), 0).items()}
