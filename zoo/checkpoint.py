"""The exact state of a run in one safetensors file: tensors as tensors, everything else as JSON, sealed by a digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import files, weights
from zoo.errors import RunError, TrainingError, WeightsCorruptError, WeightsError

KEEP = 2
"""Checkpoints kept: the newest, and the one before in case the newest is damaged."""


@dataclass
class State:
    """All that the next step of a run depends on, beside the config and the data."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    average: nn.Module | None
    """The model with averaged weights (EMA)."""
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Sums of the epoch's figures up to `step`."""
    precision: str = "float32"


def save(folder: Path, state: State, random_state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Writes a checkpoint beside the older ones, then removes all but the newest `KEEP`.

    `random_state` has the processes on its first axis; `facts` is JSON that a resume compares.

    Raises:
        TrainingError: a weight is not finite; the older checkpoints stay.
        RunError: the file cannot be written; the older checkpoints stay.
    """
    groups, tensors = _flatten(state)
    for name, tensor in tensors.items():
        if bad := weights.not_finite(tensor):
            raise TrainingError(f"{name} has {bad} values that are NaN or infinite at step {state.step}.")
    tensors |= {f"random.{name}": tensor for name, tensor in random_state.items()}
    seal = {
        "step": state.step,
        "precision": state.precision,
        "optimizer": groups,
        "scheduler": state.scheduler.state_dict(),
        "digest": weights.digest(tensors),
        **facts,
    }
    path = folder / f"step-{state.step:08d}.safetensors"
    weights.write(path, tensors, seal)
    for old in list(_newest_first(folder))[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """The newest sound checkpoint as (tensors, facts), and what was wrong with any newer one.

    Raises:
        RunError: there is no sound checkpoint.
    """
    files.sweep(folder)
    damaged: list[str] = []
    for path in _newest_first(folder):
        try:
            tensors, facts = weights.read(path)
            if facts.get("digest") != weights.digest(tensors):
                raise WeightsCorruptError(f"{path}: its tensors do not match the digest that it carries.")
            # Memory of their own: views lie unaligned, which torch's generators cannot bear, and keep the file alive.
            return {name: tensor.clone() for name, tensor in tensors.items()}, facts, damaged
        except WeightsError as error:
            damaged.append(str(error).partition("\n")[0])
    reasons = "".join(f"\n  {reason}" for reason in damaged)
    raise RunError(f"{folder} has no checkpoint to resume from.{reasons}\nNext: start the run anew with zoo train.")


def restore(state: State, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Puts a checkpoint into a freshly built state.

    Raises:
        WeightsMismatchError: the checkpoint is of another model.
    """
    weights.apply(_under("model.", tensors), state.model, "the checkpoint")
    if state.average is not None:
        weights.apply(_under("average.", tensors), state.average, "the checkpoint's averaged weights")
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = tensor
    state.optimizer.load_state_dict({"state": moments, "param_groups": facts["optimizer"]})
    for parameter, restored in state.optimizer.state.items():  # fused kernels want moments laid out as their weights
        for key, tensor in restored.items():
            if tensor.shape == parameter.shape:
                restored[key] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
    state.scheduler.load_state_dict(facts["scheduler"])
    state.sums = _under("sums.", tensors)
    state.step, state.precision = facts["step"], facts["precision"]


def random_state_of(tensors: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    """The random state that a checkpoint holds for one process."""
    return {name: stacked[rank] for name, stacked in _under("random.", tensors).items()}


def _flatten(state: State) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    optimizer = state.optimizer.state_dict()
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    if state.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    for index, moments in optimizer["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()}
    tensors |= {f"sums.{name}": tensor for name, tensor in state.sums.items()}
    return optimizer["param_groups"], tensors


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _newest_first(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("step-*.safetensors"), reverse=True)
