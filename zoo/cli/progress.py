"""What one sees while it works: bars with rate and time left on a terminal, a few lines elsewhere; on stderr."""

from __future__ import annotations

import math
from functools import cache
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from zoo.cli.shared import on_terminal
from zoo.spec import Event

LINES = 40
"""About so many epochs of a run are told."""


class Progress:
    """Listens to a run's events."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True) if on_terminal() else None
        self.first_step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self.bar is not None and self.bar.live.is_started:
            self.bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)

    def listen(self, event: Event) -> None:
        """Shows an event."""
        if event.kind == "started":
            self.first_step = event.step
            self.say(
                f"{event.steps} steps, {event.epochs} epochs" + (f", from step {event.step}" if event.step else "")
            )
            if self.bar is not None:
                for old in self.bar.task_ids:  # of the fold before
                    self.bar.remove_task(old)
                self.bar.add_task("training", total=event.steps, completed=event.step, rate="")
                self.bar.start()
        elif event.kind == "step" and self.bar is not None:
            task = self.bar.tasks[0]
            speed = (event.step - self.first_step) / task.elapsed if task.elapsed else 0.0
            self.bar.update(task.id, completed=event.step, rate=f"{speed:.1f} steps/s")
        elif event.kind == "epoch" and self._shown(event):
            figures = "  ".join(f"{name} {value:.5g}" for name, value in event.values.items())
            self.say(f"epoch {event.epoch}/{event.epochs}  {figures}")
        elif event.kind == "fold":
            self.say(event.message)
        elif event.kind == "warning":
            self.say(f"warning: {event.message}")

    def _shown(self, event: Event) -> bool:
        """Whether an epoch gets a line: of many only some do, evenly spread."""
        return event.epoch in (1, event.epochs) or event.epoch % math.ceil(event.epochs / LINES) == 0


@cache
def transfers() -> Transfers:
    """The one display of transfers."""
    return Transfers()


class Transfers:
    """A bar for each file on its way; elsewhere than on a terminal a line when a long one begins."""

    LONG = 1_000_000

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True) if on_terminal() else None
        self.tasks: dict[str, TaskID | None] = {}

    def show(self, what: str, done: int, total: int) -> None:
        """`done` of `total` bytes have come."""
        if what not in self.tasks:
            name = what if len(what) <= 60 else f"...{what[-57:]}"
            self.tasks[what] = self.bar.add_task(name, total=total) if self.bar is not None else None
            if self.bar is None and total >= self.LONG:
                click.echo(f"transferring {what} ({total:,} bytes)", err=True)
            elif self.bar is not None:
                self.bar.start()
        task = self.tasks[what]
        if self.bar is not None and task is not None:
            self.bar.update(task, completed=done)
            if done >= total:
                self.bar.remove_task(task)
                del self.tasks[what]
                if not self.tasks:
                    self.bar.stop()
