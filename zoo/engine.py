"""The one training loop, for any kind of batch: fit() and score().

    for each epoch, for each batch of the epoch's plan:
        loss -> gradient -> clip -> optimizer -> schedule -> average (EMA) -> log -> checkpoint

What a step depends on is in `checkpoint.State`, in the generators and in the plan, which is a function of (seed,
epoch): restoring these makes a resumed run bitwise equal to one that was never stopped.
"""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo import checkpoint, generators, optimization, precision
from zoo.batches import Batches
from zoo.config import Config
from zoo.errors import InterruptedRunError, RunError, TrainingError
from zoo.processes import Processes
from zoo.runs import Run
from zoo.signals import Signals
from zoo.spec import Event, numbers

Figures = Tensor | dict[str, Tensor]
Loss = Callable[[nn.Module, Any], Figures]
"""(model, batch) -> the loss to minimise, or {"loss": ..., further figures to log}; each a scalar tensor."""

LOGGED_STEPS = 400  # about so many steps of a run get a line in metrics.jsonl
ONE_STEP_SECONDS = 1.0  # between checkpoints where an epoch is one step, as on one graph; else each epoch ends with one


def fit(run: Run, loss: Loss, batches: Batches, validate: Callable[[], Mapping[str, Any]] | None = None) -> None:
    """Trains `run.model` in place by the run's config and leaves it with the weights to be saved, in eval mode.

    Args:
        run: the run; its folder gets checkpoints and metrics.jsonl; if it was stopped before, training goes on there.
        loss: what to minimise on a batch. The model it is given computes in the run's precision.
        batches: the training data.
        validate: called after each epoch with the weights to be saved in `run.model`; its numbers are logged as val_*.

    Raises:
        TrainingError: the loss or a weight is not finite, or memory ran out; the last checkpoint is kept.
        InterruptedRunError: SIGINT or SIGTERM came; a checkpoint was written first.
        RunError: the run folder cannot be written, or cannot be resumed.
    """
    with Processes.join(run.device) as processes, Signals() as signals:
        try:
            _Fit(run, loss, batches, validate, processes, signals).train()
        finally:
            run.close_log()


@torch.inference_mode()
def score(run: Run, measure: Callable[[nn.Module, Any], dict[str, Tensor]], batches: Batches) -> dict[str, Tensor]:
    """What `measure(model, batch)` says of each example, (B, ...) a figure, joined over all batches as (N, ...).

    The model is in eval mode and computes in float32, so that a figure does not depend on the machine's arithmetic.
    """
    model, device = run.model.eval(), torch.device(run.device)
    if any(parameter.device != device for parameter in model.parameters()):
        model.to(device)
    batches.to(device)
    found = [measure(model, batches.take(index)) for index in batches.plan(None)]
    return {name: torch.cat([part[name].cpu() for part in found]) for name in found[0]}


class _Objective(nn.Module):
    """Model and loss as one module, so that data parallelism sees a single forward pass."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Any) -> dict[str, Tensor]:
        value = self.loss(self.model, batch)
        return value if isinstance(value, dict) else {"loss": value}


class _Fit:
    def __init__(
        self,
        run: Run,
        loss: Loss,
        batches: Batches,
        validate: Callable[[], Mapping[str, Any]] | None,
        processes: Processes,
        signals: Signals,
    ) -> None:
        self.run, self.batches, self.validate = run, batches, validate
        self.processes, self.signals = processes, signals
        self.config: Config = run.config
        self.device = processes.device
        processes.share(self.config.batch_size)
        self.model = run.model.to(self.device).train()
        self.batches = batches.to(self.device)
        self.per_epoch = len(batches)
        self.steps = self.per_epoch * self.config.epochs
        generators.seed_everything(run.seed + 1_000_003 * processes.rank, run.deterministic)
        optimizer = optimization.optimizer(self.model, self.config)
        average = copy.deepcopy(self.model).eval().requires_grad_(False) if self.config.ema_decay else None
        self.state = checkpoint.State(
            self.model, optimizer, optimization.scheduler(optimizer, self.config, self.steps), average
        )
        self.sum_type = torch.float32 if self.device.type == "mps" else torch.float64  # MPS has no float64
        self.facts = {"world": processes.world, "per_epoch": self.per_epoch}
        if run.resuming:
            self._resume()
        else:
            self.state.precision = self._precision(loss)
        precision.prepare(self.model, self.state.precision)
        if average is not None:
            precision.prepare(average, self.state.precision)
        self.arithmetic: contextlib.AbstractContextManager[object] = (
            torch.autocast(self.device.type, torch.bfloat16)
            if self.state.precision == "bfloat16"
            else contextlib.nullcontext()
        )
        self.objective = processes.wrap(_Objective(self.model, loss))
        self.saved_at = time.monotonic()
        self.run.record(precision=self.state.precision, threads=torch.get_num_threads(), world=processes.world)

    def train(self) -> None:
        self._emit("started")
        if not self.run.resuming:
            self._save()  # so that a run can be resumed from wherever it is stopped
        first = self.state.step // self.per_epoch
        try:
            for epoch in range(first, self.config.epochs):
                self._epoch(epoch)
        except RuntimeError as error:
            at, said = f"at step {self.state.step}", str(error)
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in said:
                raise self._failed(f"out of memory {at}", "a smaller batch: --set batch_size=...") from error
            if self.state.precision == "bfloat16" and ("primitive desc" in said or "BFloat16" in said):
                raise self._failed(f"no bfloat16 here {at}: {said}", "--set precision=auto") from error
            raise
        self._use_average()
        self.model.eval()

    def _epoch(self, epoch: int) -> None:
        begun = time.monotonic()
        done = self.state.step - epoch * self.per_epoch
        every = max(1, self.steps // LOGGED_STEPS)
        plan = self.batches.plan(torch.Generator().manual_seed(generators.mix(self.run.seed, epoch)))
        self.model.train()
        for index in plan[done:]:
            share = index[self.processes.rank :: self.processes.world]
            self.run.progress = self.state.step / self.steps
            figures = self._step(self.batches.take(share.to(self.device)))
            self._log_step(figures, epoch, every)
            if self.state.step < (epoch + 1) * self.per_epoch:
                self._pause()
        sums = {name: self.processes.sum(value) for name, value in self.state.sums.items()}
        count = self.per_epoch * self.processes.world
        values = {name: value.item() / count for name, value in sums.items()}
        self._require_finite(values["loss"])
        values |= {f"val_{name}": value for name, value in numbers(self._validate()).items()}
        self.state.sums = {}
        line = {"kind": "epoch", "epoch": epoch + 1, "step": self.state.step, **values}
        self.run.log({**line, "seconds": round(time.monotonic() - begun, 3)})
        if self.per_epoch * self.processes.world > 1 or self.state.step == self.steps or self._due(ONE_STEP_SECONDS):
            self._save()
        self._emit("epoch", epoch, values)
        self._stop_if_asked()

    def _step(self, batch: Any) -> dict[str, Tensor]:
        state = self.state
        with self.arithmetic:
            figures = self.objective(batch)
        self.model.zero_grad(set_to_none=True)  # the optimizer's own also enters a profiler
        figures["loss"].backward()
        if self.config.grad_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        if self.device.type == "cpu":
            self._require_finite(figures["loss"].item())  # free here; on a GPU it would wait for the device
        state.optimizer.step()
        state.scheduler.step()
        state.step += 1
        if state.average is not None:
            optimization.average(state.average, self.model, self.config.ema_decay, state.step)
        found = {name: value.detach().to(self.sum_type) for name, value in figures.items()}
        state.sums = {name: state.sums.get(name, 0) + value for name, value in found.items()}
        return found

    def _log_step(self, figures: dict[str, Tensor], epoch: int, every: int) -> None:
        step = self.state.step
        values: dict[str, float] = {}
        if step % every == 0:
            values = {name: value.item() for name, value in figures.items()}
            self._require_finite(values["loss"])
            values["lr"] = self.state.optimizer.param_groups[0]["lr"]
            if self.per_epoch > 1:  # else the epoch's line says it
                self.run.log({"kind": "step", "epoch": epoch + 1, "step": step, **values})
        self._emit("step", epoch, values)

    def _pause(self) -> None:
        """Within an epoch: a checkpoint where one is due, and an end where one is asked for."""
        if self._due(self.config.checkpoint_seconds) and self.processes.world == 1:
            self._save()
        self._stop_if_asked()

    def _due(self, seconds: float) -> bool:
        """Whether the last checkpoint is that old, or as old as the config allows."""
        return time.monotonic() - self.saved_at >= min(seconds, self.config.checkpoint_seconds)

    def _stop_if_asked(self) -> None:
        if self.state.step < self.steps and self.processes.any(self.signals.received is not None):
            self._save()
            self._emit("interrupted")
            received = self.signals.received or signal.SIGTERM
            raise InterruptedRunError(
                f"stopped by {signal.Signals(received).name} after step {self.state.step} of {self.steps}; a "
                f"checkpoint is written.\nNext: {self.run.resume_command}",
                received,
            )

    def _save(self) -> None:
        random_state = self.processes.stack(generators.get_random_state(self.device))
        if self.run.primary:
            try:
                checkpoint.save(self.run.checkpoints, self.state, random_state, self.facts)
            except TrainingError as error:
                raise self._failed(str(error), "a smaller step: --set lr=... or --set grad_clip=1") from error
        self.saved_at = time.monotonic()
        self._emit("checkpoint", (self.state.step - 1) // self.per_epoch)

    def _resume(self) -> None:
        tensors, facts, damaged = checkpoint.load(self.run.checkpoints)
        for reason in damaged:
            self._emit("warning", message=f"{reason} Going on from the checkpoint before it, step {facts['step']}.")
        changed = {key: (facts.get(key), value) for key, value in self.facts.items() if facts.get(key) != value}
        if changed:
            words = ", ".join(f"{key} was {old}, is {new}" for key, (old, new) in changed.items())
            raise RunError(f"cannot resume {self.run.folder}: {words}. Resume as it was started.")
        precision.prepare(self.model, facts["precision"])  # optimizer moments take the layout of their weights
        checkpoint.restore(self.state, tensors, facts)
        self.state.sums = {name: value.to(self.device) for name, value in self.state.sums.items()}
        generators.set_random_state(checkpoint.random_state_of(tensors, self.processes.rank), self.device)
        self.run.cut_log(self.state.step)

    def _precision(self, loss: Loss) -> str:
        if self.config.precision != "auto":
            return self.config.precision
        chosen = precision.KINDS[0]
        if self.run.primary:
            index = self.batches.plan(torch.Generator().manual_seed(0))[0]
            share = index[self.processes.rank :: self.processes.world]
            kept = generators.get_random_state(self.device)
            batch = self.batches.take(share.to(self.device))
            chosen = precision.choose(self.model, loss, batch, self.device)
            generators.set_random_state(kept, self.device)
        return precision.KINDS[int(self.processes.first(torch.tensor(precision.KINDS.index(chosen))).item())]

    def _validate(self) -> Mapping[str, Any]:
        if self.validate is None or not self.run.primary:
            return {}
        self.run.model = self.state.average or self.model
        with generators.kept_random_state(self.device):
            values = self.validate()
        self.run.model = self.model
        return values

    def _use_average(self) -> None:
        if self.state.average is not None:
            self.model.load_state_dict(self.state.average.state_dict())

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            lr = self.state.optimizer.param_groups[0]["lr"]
            raise self._failed(
                f"the loss is {loss} at step {self.state.step + 1} of {self.steps} (lr {lr:.3g})",
                "a smaller step: --set lr=... or --set grad_clip=1, or look for NaN in the data",
            )

    def _failed(self, what: str, advice: str) -> TrainingError:
        kept = sorted(self.run.checkpoints.glob("step-*.safetensors")) if self.run.primary else []
        last = f"The last good checkpoint is {kept[-1]}." if kept else "No checkpoint was written yet."
        return TrainingError(f"{what}. {last}\nNext: train again with {advice}.")

    def _emit(self, kind: str, epoch: int = 0, values: Mapping[str, Any] | None = None, message: str = "") -> None:
        if not self.run.listeners:
            return
        event = Event(kind, self.state.step, self.steps, epoch + 1, self.config.epochs, values or {}, message)
        self.run.emit(event)
