"""Cross-validation: "NAME@fold3of10" is the data set NAME with its third fold of ten as the test split.

The examples of each class are shuffled by a seed and dealt out, so that each fold has its share of every class. The
fold after the test fold is the validation split (an inner hold-out), all others are the training split.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.datasets.specs import Fold
from zoo.errors import DatasetError

FOLDS = 10


def deal(label: Tensor, count: int, seed: int) -> Tensor:
    """The fold, 0 to count - 1, of each example; `label` is (n,).

    Raises:
        DatasetError: a class has fewer examples than there are folds.
    """
    fold = torch.empty(len(label), dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    dealt = 0
    for kind in label.unique():  # type: ignore[no-untyped-call]
        own = (label == kind).nonzero()[:, 0]
        if len(own) < count:
            raise DatasetError(f"a class has {len(own)} examples, too few for {count} folds. Next: --folds {len(own)}")
        own = own[torch.randperm(len(own), generator=generator)]
        fold[own] = (torch.arange(len(own)) + dealt) % count
        dealt += len(own)
    return fold


def parts(fold: Tensor, number: int) -> dict[str, Tensor]:
    """Indices of the splits when `number`, from 0, is the test fold."""
    held = (number + 1) % (int(fold.max()) + 1)
    chosen = {"train": (fold != number) & (fold != held), "val": fold == held, "test": fold == number}
    return {name: mask.nonzero()[:, 0] for name, mask in chosen.items()}


def splits(whole: Mapping[str, tuple[Tensor, ...]], fold: Fold) -> dict[str, tuple[Tensor, ...]]:
    """The splits of a fold, from any splits of the whole; see `zoo.datasets.graphs` for how these lie."""
    _, *stored = next(iter(whole.values()))
    chosen = parts(deal(stored[-1], fold.count, fold.seed), fold.number - 1)
    return {name: (index, *stored) for name, index in chosen.items()}
