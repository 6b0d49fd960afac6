"""A run and its folder: what was asked for, under what conditions, what happened, and what came out.

runs/<model>/<id>/
    config.json              every key, its value and who set it
    run.json                 model, plugin, data and its digest, seed, environment, state, result
    metrics.jsonl            a line for each logged step and each epoch
    checkpoints/             the newest two, exact
    weights.safetensors      the result
    evaluation-<split>.json  figures of the result
    plots/  README.md        pictures and the model card
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import filelock

from zoo import files
from zoo.environment import conditions, rank_and_world
from zoo.errors import PluginError, RunError, UnknownNameError, ZooError
from zoo.spec import DatasetInfo, Event, ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from zoo.datasets import Dataset

log = logging.getLogger(__name__)
WEIGHTS = "weights.safetensors"
Listener = Callable[[Event], None]


@dataclass
class Run:
    """What a plugin's hooks are given: the model, the data, the config, and a folder to write to."""

    spec: ModelSpec
    config: Any
    """The plugin's own Config, resolved."""
    info: DatasetInfo
    """What the model knows of the data set that it was built for."""
    device: str = "cpu"
    seed: int = 0
    split: str = "test"
    """What zoo_evaluate scores: "train", "val" or "test"."""
    folder: Path = Path()
    progress: float = 0.0
    """Share of the training steps that are done; for what changes in the course of a run, such as a warm-up."""
    full: bool = False
    """Whether zoo_evaluate is to take all the time that it needs."""
    resuming: bool = False
    deterministic: bool = False
    listeners: list[Listener] = field(default_factory=list)
    load_data: Callable[[], Dataset] | None = None
    _model: nn.Module | None = None

    @property
    def model(self) -> nn.Module:
        """The module: freshly built before zoo_train, with its weights before every other hook."""
        if self._model is None:
            raise PluginError("run.model is not there yet: it is built before zoo_train is called")
        return self._model

    @model.setter
    def model(self, module: nn.Module) -> None:
        self._model = module

    @cached_property
    def data(self) -> Dataset:
        """The data set, read when it is first asked for."""
        if self.load_data is None:
            raise PluginError("this hook is given no data set; it must not use run.data")
        return self.load_data()

    @property
    def primary(self) -> bool:
        """Whether this process is the one that writes and logs."""
        return rank_and_world()[0] == 0

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.folder / "checkpoints"

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        return f"zoo train --resume {shlex.quote(str(self.folder))}"

    def emit(self, event: Event) -> None:
        """Tells every listener, in one process only; one that fails is reported once, and not called again."""
        for listener in list(self.listeners) if self.primary else ():
            try:
                listener(event)
            except Exception as error:
                self.listeners.remove(listener)
                name = getattr(listener, "__module__", repr(listener))
                message = f"a listener failed and is left out from now on: {name}: {error!r}"
                if self.listeners:
                    self.emit(Event("warning", message=message))
                else:
                    log.warning(message)

    def log(self, line: Mapping[str, Any]) -> None:
        """Appends a line to metrics.jsonl; it is handed to the system at once."""
        if self.primary:
            try:
                self._log.write(json.dumps(files.finite(dict(line))) + "\n")
            except OSError as error:
                raise RunError(f"cannot write {self.folder / 'metrics.jsonl'}: {error.strerror}.") from error

    @cached_property
    def _log(self) -> TextIO:
        return (self.folder / "metrics.jsonl").open("a", encoding="utf-8", buffering=1)

    def close_log(self) -> None:
        """Closes metrics.jsonl; the next line opens it again."""
        if file := self.__dict__.pop("_log", None):
            file.close()

    def cut_log(self, step: int) -> None:
        """Drops what was logged after a step, and a last line that was cut short."""
        if self.primary:
            kept = [line for line in read_log(self.folder) if line["step"] <= step]
            files.write(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def record(self, **facts: Any) -> None:
        """Adds facts to run.json."""
        if self.primary:
            path = self.folder / "run.json"
            files.write_json(path, {**(files.read_json(path) if path.exists() else {}), **facts})

    def lock(self) -> filelock.BaseFileLock:
        """A lock on the folder, freed by the system when its owner dies.

        Raises:
            RunError: another process trains this run.
        """
        lock = filelock.FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise RunError(
                f"{self.folder} is being trained by another process. Wait for it, or stop it first."
            ) from None
        return lock


def create(out: Path, model: str, dataset: str, seed: int) -> Path:
    """A new, empty run folder; never one that exists.

    Raises:
        RunError: the folder cannot be made.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{slug(dataset)}-seed{seed}"
    for number in range(1, 1000):
        folder = out / model / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise RunError(
                    f"cannot make {folder}: a file is in its way. Choose another folder: --out DIR."
                ) from None
        except OSError as error:
            raise RunError(f"cannot make {folder}: {error.strerror}. Choose another folder: --out DIR.") from error
    raise RunError(f"{out / model} has too many runs of this second.")


def slug(name: str) -> str:
    """A name, such as that of the data set "text:some/file.txt", as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80]


def command(run: Run, set_by: Mapping[str, str]) -> str:
    """What to type for the same run, however it was begun; nothing in it tells where the run or a file of keys lay."""
    words = ["zoo", "train", run.spec.name, "--dataset", run.info.name, "--seed", str(run.seed)]
    for key, value in run.config.to_json().items():
        if set_by[key] not in ("recipe", f"recipe for {run.info.name}") and value is not None:
            plain = isinstance(value, str) and value.isidentifier() and value not in ("true", "false", "inf", "nan")
            words += ["--set", f"{key}={value if plain else json.dumps(value)}"]
    return shlex.join([*words, *(["--deterministic"] if run.deterministic else [])])


def find(reference: str, out: Path, models: Sequence[str] = ()) -> Path:
    """The folder of a run, given as a path or as an id under `out`; `models` are what else could have been meant.

    Raises:
        UnknownNameError: there is no such run.
    """
    path = Path(reference)
    if (path / "run.json").is_file():
        return path
    known = {folder.name: folder for folder in folders(out)}
    if reference not in known:
        kind, hint = ("model or run", "See: zoo list, zoo runs") if models else ("run", "See: zoo runs")
        raise UnknownNameError(kind, reference, [*models, *list(known)[-5:]], hint)
    return known[reference]


def folders(out: Path) -> Iterator[Path]:
    """Every run folder under `out`, oldest first."""
    yield from sorted((path.parent for path in out.glob("*/*/run.json")), key=lambda folder: folder.name)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(run.json, config.json) of a run.

    Raises:
        RunError: they cannot be read.
    """
    record, config = files.read_json(folder / "run.json"), files.read_json(folder / "config.json")
    if not isinstance(record, dict) or not isinstance(config, dict) or "model" not in record or "config" not in config:
        raise RunError(f"{folder} is no run folder of the zoo: run.json or config.json lacks what a run records.")
    return record, config


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; one that a killed process cut short is left out."""
    path = folder / "metrics.jsonl"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def summary(folder: Path) -> dict[str, Any]:
    """A run in a few facts; one whose files cannot be read is "broken" and says why."""
    try:
        record, _ = read(folder)
    except ZooError as error:
        return {"run": str(folder), "state": "broken", "reason": str(error)}
    wanted = ("model", "state", "seed", "started", "seconds", "metrics")
    return {"run": str(folder), **{key: record.get(key) for key in wanted}, "dataset": record["dataset"]["name"]}


def describe(run: Run, set_by: Mapping[str, str], code: Mapping[str, str]) -> None:
    """Writes what is known before the first step: config.json and run.json; `code` says whose code it is."""
    files.write_json(run.folder / "config.json", {"config": run.config.to_json(), "set_by": dict(set_by)})
    run.record(
        model=run.spec.name,
        **code,
        dataset=run.info.to_json(),
        seed=run.seed,
        device=run.device,
        deterministic=run.deterministic,
        state="training",
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        command=command(run, set_by),
        environment=conditions(run.device),
    )
