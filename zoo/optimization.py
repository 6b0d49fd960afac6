"""What a step does with the gradient: optimizer, learning rate over the run, and the average of the weights (EMA)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.config import Config


def optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """The optimizer that a config asks for; weight decay spares biases and norms, which have one axis."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1 and config.weight_decay]
    spared = [p for p in parameters if p.ndim <= 1 or not config.weight_decay]  # all, where none decays: one group
    groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((decayed, config.weight_decay), (spared, 0.0))
        if group
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0, fused=fused
        )
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, config.beta2), fused=fused)


def scheduler(optimizer: torch.optim.Optimizer, config: Config, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate over the steps of a run: one cycle (arXiv:1708.07120), half a cosine, or constant."""
    # One more than the steps taken: torch's schedules are also asked for the rate after the last step.
    if config.schedule == "onecycle":
        # A climb of exactly one step is divided by its length less one; of a little less, it begins at the peak.
        warmup = config.warmup * (0.99 if math.isclose(config.warmup * (steps + 1), 1) else 1)
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.lr, total_steps=steps + 1, pct_start=warmup, cycle_momentum=False
        )
    if config.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps + 1)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)


@torch.no_grad()
def average(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Moves the averaged weights and norms towards the model's.

    Early steps weigh more, 9/(10 + step) at least, so that the random start is soon forgotten.
    """
    kept: list[Tensor] = list(averaged.parameters())
    new: list[Tensor] = list(model.parameters())
    for ours, theirs in zip(averaged.buffers(), model.buffers(), strict=True):
        if ours.is_floating_point():
            kept.append(ours)
            new.append(theirs)
        else:
            ours.copy_(theirs)
    torch._foreach_lerp_(kept, new, 1 - min(decay, (1 + step) / (10 + step)))
