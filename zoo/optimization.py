"""What a step does with the gradient: optimizer, learning rate over the run, and the average of the weights (EMA)."""

from __future__ import annotations

import math
from typing import Any

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
    kind = Muon if config.optimizer == "muon" else torch.optim.AdamW
    return kind(groups, lr=config.lr, betas=(config.momentum, config.beta2), fused=fused)


class Muon(torch.optim.AdamW):
    """Muon for the weights of two or four axes, that is matrices and filters, AdamW for all others.

    A matrix moves by its momentum with all singular values brought near one, so that no direction is slow. The step
    is scaled to be as large as AdamW's, which lets both use one learning rate (arXiv:2502.16982, equation 4).
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; the gradients of matrices are used up."""
        for group in self.param_groups:
            if matrices := [p for p in group["params"] if p.grad is not None and p.ndim in (2, 4)]:
                self._move(matrices, group)
        super().step()

    def _move(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        lr, momentum = group["lr"], group["betas"][0]
        gradients = [weight.grad for weight in matrices if weight.grad is not None]
        for weight in matrices:
            if not self.state[weight]:  # named as AdamW's, which reads and restores them
                self.state[weight].update(step=torch.zeros(()), exp_avg=torch.zeros_like(weight))
            weight.grad = None  # AdamW's own step leaves it out
        averages = [self.state[weight]["exp_avg"] for weight in matrices]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        steps = torch._foreach_lerp(gradients, averages, momentum)  # Nesterov's look ahead
        torch._foreach_mul_(matrices, 1 - lr * group["weight_decay"])
        for shape in dict.fromkeys(weight.shape for weight in matrices):
            alike = [number for number, weight in enumerate(matrices) if weight.shape == shape]
            moved = orthogonal(torch.stack([steps[number].flatten(1) for number in alike]))
            scale = 0.2 * math.sqrt(max(moved.shape[1:]))
            for number, step in zip(alike, moved, strict=True):
                matrices[number].add_(step.view(shape), alpha=-lr * scale)


def orthogonal(matrices: Tensor, iterations: int = 3) -> Tensor:
    """(n, rows, columns) with the large singular values of each matrix brought near 1, by Newton-Schulz iterations.

    The quintic polynomial of Jordan et al., "Muon", 2024. It is applied to the Gram matrix of the shorter side, which
    is exact in exact arithmetic and for filters costs a third.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT, iterations).mT
    gram = matrices @ matrices.mT
    norm = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None].clamp_min(1e-30)
    gram, product = gram / norm, torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device) / norm.sqrt()
    for left in reversed(range(iterations)):
        factor = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        factor.diagonal(dim1=1, dim2=2).add_(3.4445)
        product = factor @ product
        if left:
            gram = factor @ gram @ factor
    return product @ matrices


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
