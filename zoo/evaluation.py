"""What a trained model does with data: its figures on a split, and its answer to a user's own inputs."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zoo import datasets, files, images, pictures, registry, report
from zoo.entries import Claim
from zoo.errors import PluginError
from zoo.loading import OUT, open_model, resolve_device
from zoo.runs import Run, slug
from zoo.spec import numbers


@dataclass(frozen=True)
class Evaluation:
    """Figures of a model on a split, and the claims that its publisher made for the same split."""

    model: str
    source: dict[str, str]
    """{"tag": ...}, {"run": ...} or {"source": ...}."""
    dataset: str
    split: str
    n: int
    metrics: dict[str, float]
    details: dict[str, Any] = field(repr=False)
    claims: dict[str, Claim] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every claim holds."""
        return all(claim.holds(self.metrics.get(name, float("nan"))) for name, claim in self.claims.items())

    def to_json(self) -> dict[str, Any]:
        """One plain object."""
        plain = dataclasses.asdict(self)
        shown = {"model": plain.pop("model"), **plain.pop("source"), **plain, "files": list(self.files)}
        return {**shown, "agrees": self.agrees} if self.claims else shown


def evaluate(
    reference: str | Path,
    *,
    dataset: str | None = None,
    split: str = "test",
    device: str = "cpu",
    out: str | Path = OUT,
    to: str | Path | None = None,
    full: bool = False,
) -> Evaluation:
    """Scores published weights or a run, beside what was claimed for them.

    Args:
        reference: "model", "model:tag", a run or an address, as for `load`.
        dataset: the data set that the weights were trained for, unless another is named.
        split: "test", or another split of the data set.
        device: where to compute; always in float32.
        out: where runs are looked for by id.
        to: folder for figures and pictures; the run's own, or one under `evaluations/`, unless named.
        full: take all examples and samples, however long it takes, where a figure is else estimated from fewer.

    Raises:
        ZooError: unknown names, refused weights, or a data set that cannot be had.
    """
    opened = open_model(reference, Path(out))
    run = opened.run
    run.device, run.split, run.full = resolve_device(device), split, full
    name = dataset or run.info.name
    run.load_data = lambda: datasets.load(name)
    claimed = opened.entry is not None and name == run.info.name and split == "test"
    claims = opened.entry.metrics if opened.entry is not None and claimed else {}
    folder = Path(to) if to else opened.folder or Path("evaluations") / slug(f"{opened.label}-{name}-{split}")
    return measure(opened.model, run, opened.source, folder, claims)


def measure(
    model: registry.Model, run: Run, source: dict[str, str], folder: Path, claims: Mapping[str, Claim]
) -> Evaluation:
    """Calls the plugin on `run.split`, checks what it returns, and writes figures and pictures to a folder.

    Raises:
        PluginError: the plugin returned something other than figures, or lacks a metric that it declares.
    """
    data = run.data
    examples = len(data.split(run.split)[0])
    torch.manual_seed(run.seed)
    run.model.to(run.device).eval()
    results = model.expect("zoo_evaluate", dict, run=run)
    metrics = numbers(results)
    if missing := [metric.name for metric in model.spec.metrics if metric.name not in metrics]:
        raise PluginError(f"{model.plugin}: zoo_evaluate returned no number for {', '.join(missing)}.")
    details = {name: value for name, value in results.items() if name not in metrics}
    pictures = model.call("zoo_plots", run=run, results=results) if model.has("zoo_plots") else {}
    written = [report.save_figure(figure, folder / "plots" / f"{name}.png") for name, figure in pictures.items()]
    path = folder / f"evaluation-{run.split}.json"
    evaluation = Evaluation(
        model=model.spec.name,
        source=source,
        dataset=data.info.name,
        split=run.split,
        n=examples,
        metrics=metrics,
        details=files.finite(details),
        claims=dict(claims),
        files=(str(path), *map(str, written)),
    )
    files.write_json(path, evaluation.to_json())
    return evaluation


def predict(
    reference: str | Path, inputs: Sequence[str], *, out: str | Path = OUT, to: str | Path = "predictions"
) -> list[dict[str, Any]]:
    """What a model makes of a user's own inputs, in their order: {"input", "text", ...} each.

    An image that it makes is written to the folder `to`, and "image" is its path; rows are written there as CSV, and
    "table" is its path.

    Raises:
        PluginError: the model takes no inputs of a user's own.
        InputError: an input cannot be read; the message names it.
    """
    opened = open_model(reference, Path(out))
    if not opened.model.has("zoo_predict"):
        raise PluginError(f"{opened.model.plugin} has no zoo_predict: it takes no inputs of your own.")
    results: list[dict[str, Any]] = opened.model.expect("zoo_predict", list, run=opened.run, inputs=list(inputs))
    for number, result in enumerate(results):
        stem = Path(inputs[number]).stem
        same = sum(Path(other).stem == stem for other in inputs[:number])
        path = Path(to) / f"{stem}{f'-{same + 1}' if same else ''}-{opened.model.spec.name}"
        if "image" in result:
            result["image"] = str(images.save(result["image"][0].numpy(), path.with_name(f"{path.name}.png")))
            result["text"] += f"  {result['image']}"
        if result.get("rows"):
            table = io.StringIO()
            writer = csv.DictWriter(table, list(result["rows"][0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(result["rows"])
            result["table"] = str(path.with_name(f"{path.name}.csv"))
            files.write(Path(result["table"]), table.getvalue())
            result["text"] += f"  {result['table']}"
    return results


def sample(
    reference: str | Path,
    count: int = 64,
    *,
    seed: int = 0,
    between: Sequence[str] = (),
    to: str | Path | None = None,
    out: str | Path = OUT,
) -> Path:
    """Draws new images from a generative model and writes them as one picture, or text as lines; returns the path.

    Args:
        reference: "model", "model:tag", a run or an address, as for `load`.
        count: how many.
        seed: fixes them.
        between: two image files or sentences: instead, `count` steps of the way from one to the other.
        to: the file to write; under `samples/` unless named.
        out: where runs are looked for by id.

    Raises:
        PluginError: the model does not generate.
        InputError: a file cannot be read; or the model only walks between two inputs, and none are given.
    """
    opened = open_model(reference, Path(out))
    if not opened.model.has("zoo_sample"):
        raise PluginError(f"{opened.model.plugin} has no zoo_sample: it generates nothing.")
    torch.manual_seed(seed)
    made = opened.model.call("zoo_sample", run=opened.run, count=count, between=list(between))
    name = f"{opened.label}-{'-'.join(slug(Path(path).stem) for path in between) or f'seed{seed}'}"
    if isinstance(made, list):
        path = Path(to) if to else Path("samples") / f"{name}.txt"
        files.write(path, "".join(f"{line}\n" for line in made))
        return path
    if not isinstance(made, torch.Tensor):
        raise PluginError(f"{opened.model.plugin}: zoo_sample returned {type(made).__name__}, expected Tensor or list.")
    words = f"{Path(between[0]).name} to {Path(between[1]).name}" if between else f"{count} samples, seed {seed}"
    columns = count if between else math.ceil(math.sqrt(count))
    figure = pictures.grid(made.float().cpu(), columns, f"{opened.label}: {words}")
    return report.save_figure(figure, Path(to) if to else Path("samples") / f"{name}.png")
