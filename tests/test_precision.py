"""The choice of arithmetic: measured once, remembered, harmless."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from zoo import precision
from zoo.environment import cache_folder


def mean(model: nn.Module, batch: tuple[torch.Tensor]) -> torch.Tensor:
    value: torch.Tensor = model(batch[0]).float().mean()
    return value


SECONDS = {"float32": 1.0, "float32-channels-last": 0.8, "bfloat16": 0.6}


@pytest.mark.parametrize(
    ("changed", "chosen"),
    [
        ({}, "bfloat16"),
        ({"bfloat16": 2.0}, "float32-channels-last"),
        ({"bfloat16": 2.0, "float32-channels-last": 0.96}, "float32"),  # no clear win
        ({"float32": 0.1}, "float32"),
    ],
)
def test_the_fastest_wins_and_the_verdict_is_kept(
    changed: dict[str, float], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_seconds", lambda *arguments: {**SECONDS, **changed}[arguments[-1]])
    model, batch = nn.Conv2d(1, 2, 3), (torch.zeros(3, 1, 4, 4),)
    assert precision.choose(model, mean, batch, torch.device("cpu")) == chosen
    monkeypatch.setattr(precision, "_seconds", lambda *arguments: 1 / 0)
    assert precision.choose(model, mean, batch, torch.device("cpu")) == chosen
    assert list(json.loads((cache_folder() / "probes.json").read_text()).values()) == [chosen]


def test_a_probe_leaves_model_and_generator_alone_and_survives_a_broken_cache() -> None:
    cache_folder().mkdir(parents=True)
    (cache_folder() / "probes.json").write_text("not json")
    model, batch = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)), (torch.rand(4, 1, 8, 8),)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    assert precision.choose(model, mean, batch, torch.device("cpu")) in precision.KINDS
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_cannot_be_computed_in_bfloat16_is_computed_in_float32() -> None:
    def complex_numbers(model: nn.Module, batch: tuple[torch.Tensor]) -> torch.Tensor:
        y = model(batch[0])
        return torch.complex(y, y).abs().mean()  # made of full precision alone

    model, batch = nn.Linear(2, 2), (torch.ones(3, 2),)
    assert precision.choose(model, complex_numbers, batch, torch.device("cpu")) == "float32"
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError, match="BFloat16"):
        complex_numbers(model, batch)
