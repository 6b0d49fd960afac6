"""train(): from a model's name to a run folder with all that came out of it, and back into a run that was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zoo import config as configs
from zoo import datasets, environment, evaluation, examine, generators, listing, registry, report, runs, shapes, weights
from zoo.catalog import read_toml
from zoo.errors import ConfigError, InterruptedRunError, PluginError, RunError, UnknownNameError
from zoo.loading import OUT, build, describe_weights, resolve_device
from zoo.runs import Listener, Run
from zoo.spec import DatasetInfo, Event, ExportSpec, ModelSpec


@dataclass(frozen=True)
class Trained:
    """What training left behind."""

    run: Path
    weights: Path
    sha256: str
    metrics: dict[str, float]
    seconds: float


def train(
    model: str | None = None,
    dataset: str | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    config_file: str | Path | None = None,
    seed: int | None = None,
    device: str | None = None,
    out: str | Path = OUT,
    resume: str | Path | None = None,
    deterministic: bool = False,
    listeners: Iterable[Listener] = (),
) -> Trained | None:
    """Trains a model, scores it on the test split, and leaves all of it in a run folder.

    Args:
        model: the model's name; may be left out when resuming.
        dataset: one of its data sets; the first by default.
        config: keys of the recipe to change; they win over `config_file`, which wins over the plugin's recipe.
        config_file: TOML with keys of the recipe, or the name of one of the plugin's other recipes.
        seed: fixes initial weights, data order, augmentation and dropout; 0 by default.
        device: "auto", the default, takes a GPU where there is one.
        out: the folder of run folders.
        resume: a run, as folder or id, to go on with exactly; everything else must be as it was.
        deterministic: ask torch for algorithms that never vary, which matters on GPUs.
        listeners: called with each Event.

    Returns:
        What training left behind; None in the other processes of a torchrun than the first.

    Raises:
        ZooError: see `zoo.errors`; a run that was stopped or failed keeps its last checkpoint.
    """
    if resume is not None:
        asked = {"model": model, "dataset": dataset, "seed": seed, "device": device}
        plugin, run = _reopen(runs.find(str(resume), Path(out)), asked, config_file, config)
    elif model is None:
        raise UnknownNameError("model", "", listing.list_models(), "Name one, or: --resume RUN")
    else:
        plugin = registry.load(model)
        run = _begin(plugin, dataset, config_file, config, seed or 0, device or "auto", deterministic, Path(out))
    run.listeners += [*listeners]
    _add_trackers(plugin, run)
    if not run.primary:
        plugin.call("zoo_train", run=run)
        return None
    with run.lock():
        if run.resuming:
            _warn_of_changes(plugin, run)
        try:
            return _train(plugin, run)
        except BaseException as error:
            stopped = isinstance(error, (InterruptedRunError, KeyboardInterrupt))
            run.record(state="interrupted" if stopped else "failed", reason=str(error) or type(error).__name__)
            raise


def resolve(
    plugin: registry.Model, dataset: str | None, config_file: str | Path | None, config: Mapping[str, Any] | None
) -> tuple[str, configs.Config, dict[str, str]]:
    """(data set, config, who set each key): arguments, then file, then the recipe for the data set, then the default.

    Raises:
        UnknownNameError: the model is not made for that data set.
        ConfigError: an unknown key or a value that its key does not take.
    """
    spec = plugin.spec
    name = dataset or spec.datasets[0]
    if not datasets.matches(name, spec.datasets):
        raise UnknownNameError(f"data set of {spec.name}", name, spec.datasets)
    recipe = spec.recipes.get(datasets.entry(name, spec.datasets) or name, {})
    layers = [(f"recipe for {name}", recipe), *_layers(spec, config_file, config)]
    return name, *configs.resolve(spec.config, layers)


def layers(model: str, dataset: str | None = None, config: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Each layer of a model as a config builds it: output shape, the arithmetic that gives it, parameters.

    Raises:
        ConfigError: the config's sizes do not fit.
    """
    plugin = registry.load(model)
    name, resolved, _ = resolve(plugin, dataset, None, config)
    run = Run(plugin.spec, resolved, datasets.describe(name))
    run.model = build(plugin, resolved, run.info)
    return shapes.trace(run.model, plugin.expect("zoo_export", ExportSpec, run=run).inputs)


def _layers(
    spec: ModelSpec, config_file: str | Path | None, config: Mapping[str, Any] | None
) -> list[tuple[str, Mapping[str, Any]]]:
    named = str(config_file) in spec.recipes and str(config_file) not in spec.datasets
    who = f"recipe {config_file}" if named else f"file {config_file}"
    kept = spec.recipes[str(config_file)] if named else read_toml(Path(config_file), ConfigError) if config_file else {}
    return [(who, kept), ("argument", config or {})]


def _begin(
    plugin: registry.Model,
    dataset: str | None,
    config_file: str | Path | None,
    config: Mapping[str, Any] | None,
    seed: int,
    device: str,
    deterministic: bool,
    out: Path,
) -> Run:
    name, resolved, set_by = resolve(plugin, dataset, config_file, config)
    device = resolve_device(device)
    data = datasets.load(name)
    run = Run(plugin.spec, resolved, data.info, device, seed, deterministic=deterministic, load_data=lambda: data)
    generators.seed_everything(seed, deterministic)
    run.model = build(plugin, resolved, data.info)
    if run.primary:
        run.folder = runs.create(out, plugin.spec.name, name, seed)
        runs.describe(run, set_by, _code(plugin))
    return run


def _reopen(
    folder: Path, asked: Mapping[str, Any], config_file: str | Path | None, config: Mapping[str, Any] | None
) -> tuple[registry.Model, Run]:
    record, kept = runs.read(folder)
    if record.get("state") == "finished":
        raise RunError(f"{folder} is finished: there is nothing to resume. Next: zoo evaluate {folder}")
    plugin = registry.load(record["model"])
    info = DatasetInfo.from_json(record["dataset"])
    was = {"model": record["model"], "dataset": info.name, "seed": record["seed"], "device": record["device"]}
    was |= kept["config"]
    wanted = {key: value for key, value in asked.items() if value is not None and value != "auto"}
    wanted |= {k: value for _, layer in _layers(plugin.spec, config_file, config) for k, value in layer.items()}
    changed = [f"{key} was {was.get(key)!r}, is {value!r}" for key, value in wanted.items() if was.get(key) != value]
    if changed:
        raise RunError(
            f"cannot resume {folder} with another config: {'; '.join(changed)}.\n"
            f"Next: resume it as it was (zoo train --resume {folder}), or start a new run without --resume."
        )
    data = datasets.load(info.name)
    if data.info.digest != info.digest:
        raise RunError(f"cannot resume {folder}: its data set {info.name} has changed since. Next: start a new run.")
    was_config = plugin.spec.config(**kept["config"])
    run = Run(plugin.spec, was_config, info, resolve_device(record["device"]), record["seed"], load_data=lambda: data)
    run.folder, run.resuming, run.deterministic = folder, True, record["deterministic"]
    generators.seed_everything(run.seed, run.deterministic)
    run.model = build(plugin, was_config, info)
    return plugin, run


def _train(plugin: registry.Model, run: Run) -> Trained:
    begun = time.monotonic()
    before = runs.read(run.folder)[0].get("seconds") or 0.0
    run.record(state="training", reason=None)

    def spent() -> float:
        return round(before + time.monotonic() - begun, 2)

    def keep(event: Event) -> None:
        if event.kind == "checkpoint":  # so that what kill -9 ends is not forgotten
            run.record(seconds=spent())

    run.listeners.append(keep)
    try:
        plugin.call("zoo_train", run=run)
    finally:
        seconds = spent()
        run.record(seconds=seconds)
    path = run.folder / runs.WEIGHTS
    tensors = weights.narrow(run.model, run.config.weights_dtype)
    weights.apply(weights.widen(tensors, run.config.weights_dtype), run.model, "the trained model")
    sha256 = weights.write(path, tensors, describe_weights(plugin, run))
    found = evaluation.measure(plugin, run, {"run": str(run.folder)}, run.folder, {})
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    run.record(state="finished", sha256=sha256, parameters=parameters, metrics=found.metrics)
    report.write(run, found)
    run.emit(Event("finished", values=found.metrics))
    return Trained(run.folder, path, sha256, found.metrics, seconds)


def _add_trackers(plugin: registry.Model, run: Run) -> None:
    if plugin.has("zoo_on_event"):
        run.listeners.append(lambda event: plugin.call("zoo_on_event", event=event))
    for _, listener in registry.trackers():
        if isinstance(listener, PluginError):
            run.emit(Event("warning", message=str(listener)))
        else:
            run.listeners.append(listener)


def _code(plugin: registry.Model) -> dict[str, str]:
    """Whose code a run executes."""
    described = plugin.plugin
    digest = examine.code_digest(described.module)
    return {"distribution": described.distribution, "version": described.version, "code": digest}


def _warn_of_changes(plugin: registry.Model, run: Run) -> None:
    record, _ = runs.read(run.folder)
    was, now = record["environment"], environment.conditions(run.device)
    facts = {"python": (was["python"], now["python"]), "cpu": (was["cpu"], now["cpu"])}
    facts |= {name: (old, now["versions"].get(name)) for name, old in was["versions"].items()}
    facts |= {f"the plugin's {name}": (record[name], new) for name, new in _code(plugin).items()}
    facts["threads"] = (record.get("threads", torch.get_num_threads()), torch.get_num_threads())
    changed = [f"{name} was {old}, is {new}" for name, (old, new) in facts.items() if old != new]
    if changed:
        what = "; ".join(changed)
        run.emit(
            Event("warning", message=f"{what}: the resumed run may differ in the last bits from one never stopped.")
        )
