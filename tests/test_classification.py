"""Accuracy, F1 and the confusion matrix by hand."""

from __future__ import annotations

import pytest
import torch

from zoo.classification import figures


def test_figures_by_hand() -> None:
    guess = torch.tensor([0, 0, 0, 1, 1, 1, 0])
    label = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    found = figures(torch.nn.functional.one_hot(guess, 4).float(), label, ("a", "b", "c", "d"))
    assert found["accuracy"] == pytest.approx(5 / 7)
    assert [row["f1"] for row in found["per_class"]] == [pytest.approx(6 / 8), pytest.approx(4 / 5), 0.0, None]
    assert found["macro_f1"] == pytest.approx((6 / 8 + 4 / 5 + 0) / 3)
    assert found["confusion_matrix"] == [[3, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert [row["n"] for row in found["per_class"]] == [4, 2, 1, 0]
