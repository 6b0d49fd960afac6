"""Loading: nothing is drawn at random on the way, and nothing but parameters is left to the file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import zoo
from zoo import loading, runs, weights


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


def test_weights_stored_narrow_are_the_weights_that_the_figures_are_of(small_run: Path) -> None:
    config = {**runs.read(small_run)[1]["config"], "weights_dtype": "float16"}
    trained = zoo.train("cnn-mnist", "digits", config=config)
    assert trained is not None
    stored, _ = weights.read(trained.weights)
    assert {str(tensor.dtype) for tensor in stored.values()} == {"torch.float16", "torch.float32", "torch.int64"}
    wide = zoo.load(str(small_run)).state_dict()
    model = zoo.load(str(trained.run))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, wide[name].half().float()), name
    assert zoo.evaluate(trained.run).metrics == trained.metrics
