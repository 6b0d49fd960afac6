"""cross_validate(): one run for each fold of a data set, and the mean and spread of their figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import datasets, examine, files, registry, runs
from zoo.environment import rank_and_world
from zoo.errors import DatasetError
from zoo.loading import OUT
from zoo.runs import Listener
from zoo.spec import Event
from zoo.training import resolve, train


@dataclass(frozen=True)
class CrossValidated:
    """What cross-validation found."""

    model: str
    dataset: str
    folds: int
    seed: int
    metrics: dict[str, float]
    """The mean over the folds of each figure; under NAME_std its sample standard deviation; and "folds"."""
    runs: tuple[Path, ...]
    path: Path
    """The same as JSON."""


def cross_validate(
    model: str,
    dataset: str | None = None,
    folds: int = 10,
    *,
    config: Mapping[str, Any] | None = None,
    config_file: str | Path | None = None,
    seed: int = 0,
    device: str | None = None,
    out: str | Path = OUT,
    deterministic: bool = False,
    listeners: Iterable[Listener] = (),
) -> CrossValidated | None:
    """Trains a model once for each fold, scores each on its test fold, and joins the figures.

    The folds are stratified and fixed by the seed; within each, the next fold is held out as the validation split.
    A fold that was finished before under `out`, with the same code, config, seed and data, is not trained again: so a
    cross-validation that was stopped goes on where it was.

    Args:
        folds: K, how many.
        seed: fixes the folds and all else that `train` draws.

    For the other arguments and errors see `train`. None in the other processes of a torchrun than the first.

    Raises:
        DatasetError: the data set has no folds, or too few examples of a class for so many.
    """
    plugin = registry.load(model)
    base, resolved, _ = resolve(plugin, dataset, config_file, config)
    if datasets.fold(base):
        raise DatasetError(f"data set {base!r} is one fold. Next: --dataset {datasets.fold(base).base}")  # type: ignore[union-attr]
    wanted = {"config": resolved.to_json(), "code": examine.code_digest(plugin.plugin.module), "seed": seed}
    listeners, found = list(listeners), []
    for number in range(1, folds + 1):
        name = datasets.Fold(base, number, folds, seed).name
        run = finished(Path(out), model, name, wanted)
        if run is None:
            for listener in listeners if rank_and_world()[0] == 0 else ():
                listener(Event("fold", message=f"fold {number} of {folds}"))
            trained = train(
                model,
                name,
                config=config,
                config_file=config_file,
                seed=seed,
                device=device,
                out=out,
                deterministic=deterministic,
                listeners=listeners,
            )
            run = trained.run if trained else None
        if run is not None:
            found.append(run)
    if rank_and_world()[0] != 0:
        return None
    records = [runs.read(run)[0]["metrics"] for run in found]
    metrics: dict[str, float] = {"folds": folds}
    for metric in records[0]:
        values = [record[metric] for record in records]
        metrics |= {metric: statistics.mean(values), f"{metric}_std": statistics.stdev(values)}
    path = Path(out) / model / f"{runs.slug(base)}-{folds}folds-seed{seed}.json"
    facts = {"model": model, "dataset": base, "folds": folds, "seed": seed, "metrics": metrics}
    files.write_json(path, {**facts, "runs": [str(run) for run in found], "each": records})
    return CrossValidated(model, base, folds, seed, metrics, tuple(found), path)


def finished(out: Path, model: str, dataset: str, wanted: Mapping[str, Any]) -> Path | None:
    """A finished run under `out` of the same data set, and of the wanted "config", "code" and "seed"; None if none."""
    for path in (out / model).glob(f"*-{runs.slug(dataset)}-seed{wanted['seed']}*/run.json"):
        folder = path.parent
        record, kept = runs.read(folder)
        found = {"config": kept["config"], "code": record.get("code"), "seed": record.get("seed")}
        if record.get("state") == "finished" and record["dataset"]["name"] == dataset and found == wanted:
            return folder
    return None
