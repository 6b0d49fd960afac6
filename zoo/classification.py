"""Figures of a classifier: accuracy, F1 of each class, the confusion matrix. Letters: n examples, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def figures(logits: Tensor, label: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """From logits (n, K) and classes (n,): numbers, and details as JSON.

    F1 = 2 TP / (2 TP + FP + FN); a class that neither occurs nor is predicted has none, and `macro_f1` is the plain
    mean over the others.
    """
    guess, size = logits.argmax(1), len(classes)
    confusion = torch.bincount(label * size + guess, minlength=size**2).view(size, size)
    right, true, guessed = confusion.diag().double(), confusion.sum(1), confusion.sum(0)
    f1 = [float(2 * right[k] / (true[k] + guessed[k])) if true[k] + guessed[k] else None for k in range(size)]
    defined = [value for value in f1 if value is not None]
    rows = [{"class": name, "n": int(true[k]), "f1": f1[k]} for k, name in enumerate(classes)]
    return {
        "accuracy": (guess == label).double().mean().item(),
        "macro_f1": sum(defined) / len(defined),
        "per_class": rows,
        "confusion_matrix": confusion.tolist(),
    }
