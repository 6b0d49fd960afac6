"""From a name to a model with its weights: published ones by the registry, a run's own by its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo import addresses, cache, pulling, registry, runs, weights
from zoo.config import keys
from zoo.entries import Entry
from zoo.errors import ConfigError, RunError, UnknownNameError, WeightsMismatchError
from zoo.runs import Run
from zoo.spec import DatasetInfo

OUT = Path("runs")
"""Where run folders go unless told otherwise."""
FORMAT = 1
"""Of the metadata in a weights file."""


@dataclass(frozen=True)
class Opened:
    """A model with its weights, and where they came from."""

    model: registry.Model
    run: Run
    source: dict[str, str]
    """{"tag": ...}, {"run": ...} or {"source": ...}."""
    metadata: dict[str, Any]
    entry: Entry | None = None
    folder: Path | None = None

    @property
    def label(self) -> str:
        """A name for files about it, e.g. "cnn-mnist-digits"."""
        return "-".join((self.model.spec.name, *(Path(value).name for value in self.source.values())))


def load(reference: str | Path, *, device: str = "cpu", out: str | Path = OUT, finite: bool = True) -> nn.Module:
    """A model in eval mode with verified weights.

    Args:
        reference: "model" (its default tag), "model:tag", a run (its folder or id), or an address to which one was
            pushed, such as hf://owner/name@commit. The code is that of an installed plugin, never of the address.
        device: "cpu", "cuda", "mps" or "auto".
        out: where runs are looked for by id.
        finite: refuse weights that hold NaN or infinities.

    Raises:
        UnknownNameError: there is no such model, tag or run.
        WeightsError: the file is not the one that was published, is damaged, or does not fit the model.
        TransferError: the weights are not here and cannot be fetched.
    """
    return open_model(reference, Path(out), finite).run.model.to(resolve_device(device))


def open_model(reference: str | Path, out: Path, finite: bool = True) -> Opened:
    """As `load`, with all that is known of the model beside it."""
    reference = str(reference)
    name = reference.partition(":")[0]
    models = [plugin.name for plugin in registry.plugins()]
    if name in models:
        model, entry = registry.load(name), pulling.find(reference)
        run, metadata = _restore(model, *cache.read(entry), entry.id, finite)
        return Opened(model, run, {"tag": entry.tag}, metadata, entry)
    if addresses.is_address(reference):
        entry = pulling.find(reference)
        if entry.model not in models:
            raise UnknownNameError("model", entry.model, models, f"{reference} needs its plugin: pip install it first.")
        model = registry.load(entry.model)
        run, metadata = _restore(model, *cache.read(entry), reference, finite)
        return Opened(model, run, {"source": entry.sources[0]}, metadata, entry)
    folder = runs.find(reference, out, models)
    record, _ = runs.read(folder)
    if "sha256" not in record:
        raise RunError(f"{folder} has no weights yet: it is {record.get('state')}. Next: zoo train --resume {folder}")
    model = registry.load(record["model"])
    path = folder / runs.WEIGHTS
    run, metadata = _restore(model, *weights.read(path, record["sha256"]), str(path), finite)
    run.folder, run.seed = folder, record["seed"]
    return Opened(model, run, {"run": str(folder)}, metadata, folder=folder)


def build(model: registry.Model, config: Any, info: DatasetInfo) -> nn.Module:
    """The module that a plugin builds for a config; random weights are drawn from torch's global generator."""
    return model.expect("zoo_build", nn.Module, config=config, dataset=info)


def describe_weights(model: registry.Model, run: Run) -> dict[str, Any]:
    """The metadata that lets a weights file be loaded without the run; nothing in it changes from run to run."""
    return {
        "format": FORMAT,
        "model": model.spec.name,
        "distribution": model.plugin.distribution,
        "version": model.plugin.version,
        "config": run.config.to_json(),
        "dataset": run.info.to_json(),
    }


def resolve_device(device: str) -> str:
    """The device to use; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: the device is not on this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, found in there.items() if found)
    if not there.get(device, False):
        here = ", ".join(name for name, found in there.items() if found)
        raise ConfigError(f"device {device!r} is not on this machine, which has: {here}. Next: --device auto")
    return device


def _restore(
    model: registry.Model, tensors: Mapping[str, Tensor], metadata: dict[str, Any], what: str, finite: bool
) -> tuple[Run, dict[str, Any]]:
    _check(metadata, model, what)
    run = Run(model.spec, model.spec.config(**metadata["config"]), DatasetInfo.from_json(metadata["dataset"]))
    with torch.random.fork_rng(devices=[]), _Uninitialised():
        run.model = build(model, run.config, run.info)
    weights.apply(weights.widen(tensors, run.config.weights_dtype), run.model, what, finite)
    run.model.eval()
    return run, metadata


class _Uninitialised(TorchFunctionMode):
    """Leaves parameters as they are allocated: each gets its value from the file, and drawing them takes longest.

    Only parameters, which a state dict always has, and only what torch.nn.init draws.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **kwargs)


def _check(metadata: Mapping[str, Any], model: registry.Model, what: str) -> None:
    found = metadata.get("format"), metadata.get("model")
    if found != (FORMAT, model.spec.name):
        raise WeightsMismatchError(
            f"{what} holds weights of model {found[1]!r} in format {found[0]}, expected {model.spec.name!r} in format "
            f"{FORMAT}. Nothing was loaded."
        )
    known = {item.name for item in keys(model.spec.config)}
    if strange := sorted(metadata["config"].keys() - known):
        raise WeightsMismatchError(
            f"{what} was made with config keys that {model.plugin} does not know: {', '.join(strange)}. "
            f"It was made by {metadata.get('distribution')} {metadata.get('version')}: install that version."
        )
