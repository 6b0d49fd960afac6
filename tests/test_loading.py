"""Loading: nothing is drawn at random on the way, and nothing but parameters is left to the file."""

from __future__ import annotations

import torch
from torch import nn

import zoo
from zoo import loading


def test_loading_leaves_the_callers_random_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = zoo.load("cnn-mnist:digits"), zoo.load("cnn-mnist:digits")
    assert torch.equal(before, torch.get_rng_state())
    assert not first.training
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_only_parameters_stay_unset_while_a_module_is_built() -> None:
    drawn = torch.get_rng_state()
    with loading._Uninitialised():
        layer = nn.Linear(50, 50)
        buffer = nn.init.constant_(torch.empty(3), 7.0)
    assert torch.equal(drawn, torch.get_rng_state())
    assert isinstance(layer.weight, nn.Parameter)
    assert buffer.tolist() == [7.0] * 3
