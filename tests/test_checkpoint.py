"""Checkpoints: exact, few, and whole. That a resumed run is bitwise equal stands in test_engine.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from zoo import checkpoint, generators
from zoo.errors import RunError, TrainingError

CPU = torch.device("cpu")


def state(step: int) -> checkpoint.State:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return checkpoint.State(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer), None, step)


def save(folder: Path, at: checkpoint.State) -> Path:
    stacked = {name: tensor[None] for name, tensor in generators.get_random_state(CPU).items()}
    return checkpoint.save(folder, at, stacked, {"note": "x"})


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10, 300):
        save(tmp_path, state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000010.safetensors",
        "step-00000300.safetensors",
    ]
    _, facts, damaged = checkpoint.load(tmp_path)
    assert (facts["step"], facts["note"], damaged) == (300, "x", [])


def test_litter_of_a_killed_writer_is_swept(tmp_path: Path) -> None:
    save(tmp_path, state(1))
    (tmp_path / ".staged-0badcafe-step-00000002.safetensors").write_bytes(b"half")
    assert checkpoint.load(tmp_path)[1]["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    bad = state(3)
    bad.model.get_parameter("bias").data[0] = float("inf")
    with pytest.raises(TrainingError, match=r"model\.bias has 1 values"):
        save(tmp_path, bad)
    with pytest.raises(RunError, match="no checkpoint"):
        checkpoint.load(tmp_path)


def test_moments_take_the_layout_of_their_weights(tmp_path: Path) -> None:
    def conv() -> checkpoint.State:
        torch.manual_seed(0)
        model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        return checkpoint.State(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer), None)

    def step(at: checkpoint.State, seed: int) -> None:
        at.optimizer.zero_grad()
        at.model(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))).square().sum().backward()
        at.optimizer.step()

    whole, resumed = conv(), conv()
    step(whole, 1)
    save(tmp_path, whole)
    tensors, facts, _ = checkpoint.load(tmp_path)
    checkpoint.restore(resumed, tensors, facts)
    step(whole, 2)
    step(resumed, 2)
    assert torch.equal(whole.model.weight, resumed.model.weight)  # type: ignore[arg-type]
