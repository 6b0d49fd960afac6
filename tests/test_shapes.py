"""The arithmetic of layers, against the worked examples of the textbooks and against torch itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.errors import ConfigError
from zoo.shapes import conv_size, trace


@pytest.mark.parametrize(("width", "kernel", "stride", "padding", "size"), [(50, 4, 1, 1, 49), (50, 10, 2, 2, 23)])
def test_what_fits(width: int, kernel: int, stride: int, padding: int, size: int) -> None:
    assert conv_size(width, kernel, stride, padding) == size
    layer = nn.Conv2d(1, 1, kernel, stride, padding)
    assert layer(torch.zeros(1, 1, width, width)).shape[-1] == size


def test_what_does_not_fit_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(ConfigError, match=r"W=50, K=8, S=5, P=0: \(50 - 8 \+ 2\*0\)/5 \+ 1 = 9\.4 does not fit"):
        conv_size(50, 8, 5, 0)
    with pytest.raises(ConfigError, match="wider than the padded input"):
        conv_size(3, 5, 1, 0)
    with pytest.raises(ConfigError, match="at least 1"):
        conv_size(3, 1, 0, 0)


def test_every_layer_is_traced_with_its_window() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2 * 4 * 4, 5))
    rows = trace(model, {"input": torch.zeros(2, 1, 8, 8)})
    assert [row["shape"] for row in rows] == [[2, 8, 8], [2, 4, 4], [32], [5]]
    assert [row["parameters"] for row in rows] == [20, 0, 0, 165]
    assert rows[0]["arithmetic"] == "(8 - 3 + 2*1)/1 + 1 = 8"
    assert rows[1]["arithmetic"] == "(8 - 2 + 2*0)/2 + 1 = 4"
    assert rows[3]["arithmetic"] == ""
