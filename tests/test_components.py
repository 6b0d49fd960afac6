"""Principal components: exact on data that they can express, and the known floor on MNIST."""

from __future__ import annotations

import pytest
import torch

from zoo import datasets, layers
from zoo.components import Components


def test_data_of_rank_two_need_two_components() -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(50, 2, generator=generator) @ torch.randn(2, 9, generator=generator) + 3
    found = Components.of(data, 3)
    assert torch.allclose(Components.of(data, 2).reconstruct(data).float(), data, atol=1e-4)
    assert not torch.allclose(Components.of(data, 1).reconstruct(data).float(), data, atol=1e-2)
    assert sum(found.shares) == pytest.approx(1)
    assert found.shares[2] == pytest.approx(0, abs=1e-9)
    assert found.shares[0] > found.shares[1]
    points = found.project(data)
    assert points[:, 0].var() > points[:, 1].var()
    assert torch.allclose(found.axes.T @ found.axes, torch.eye(3, dtype=torch.float64), atol=1e-9)


@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize(("count", "floor"), [(16, 0.02686), (32, 0.01683)])
def test_the_floor_on_mnist_is_the_known_one(count: int, floor: float) -> None:
    mnist = datasets.load("mnist")
    train, test = (layers.pixels(mnist.split(name)[0])[0].double() for name in ("train", "test"))
    error = (Components.of(train, count).reconstruct(test) - test).square().mean().item()
    assert error == pytest.approx(floor, abs=1e-5)
