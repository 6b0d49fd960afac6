"""What one looks at after a run: the training curve, and a model card whose every figure comes from the run.

The core's only file that knows matplotlib.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import files, runs
from zoo.entries import Entry
from zoo.runs import Run
from zoo.spec import ModelSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.evaluation import Evaluation


def write(run: Run, evaluation: Evaluation) -> None:
    """Draws the curve and writes the card of a finished run."""
    save_figure(curve(run), run.folder / "plots" / "training.png")
    files.write(run.folder / "README.md", card(run, evaluation))


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure as PNG, whole."""
    with files.staged(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return path


def curve(run: Run) -> Figure:
    """Loss and other figures over the epochs, from metrics.jsonl; single steps lie faintly behind."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, StrMethodFormatter

    lines = runs.read_log(run.folder)
    steps = [line for line in lines if line["kind"] == "step"]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    per_epoch = epochs[0]["step"] / epochs[0]["epoch"] if epochs else 1
    skipped = {"kind", "epoch", "step", "seconds"}
    names = [name for name in (epochs[0] if epochs else {}) if name not in skipped and not name.startswith("val_")]
    figure = Figure(figsize=(4.2 * max(1, len(names)), 3.4), layout="constrained")
    for position, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), position)
        axes.plot(
            [s["step"] / per_epoch for s in steps], [s[name] for s in steps], color="tab:blue", alpha=0.25, lw=0.8
        )
        axes.plot(
            [e["epoch"] for e in epochs], [e[name] for e in epochs], color="tab:blue", marker=".", label="training"
        )
        if f"val_{name}" in epochs[0]:
            held = [e[f"val_{name}"] for e in epochs]
            axes.plot([e["epoch"] for e in epochs], held, color="tab:orange", marker=".", label="validation")
            axes.legend(frameon=False)
        low, high = min(e[name] for e in epochs), max(e[name] for e in epochs)
        if name == "loss" and low > 0:
            axes.set_yscale("log")
            bottom, top = axes.get_ylim()
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            # A narrow range may hold no more than one of 1, 2 and 5; in a wide one, further numbers would overlap.
            axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}" if top < 5 * bottom else ""))
        elif high > low:  # the first steps would flatten all that follows
            axes.set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{run.spec.name} on {run.info.name}, seed {run.seed}", fontsize=11)
    return figure


def card(run: Run, evaluation: Evaluation) -> str:
    """The model card, in Markdown."""
    record, config = runs.read(run.folder)
    environment = record["environment"]
    rows = []
    for name, value in evaluation.metrics.items():
        metric = run.spec.metric(name)
        doc = f"{metric.doc} ({'higher' if metric.direction == 'max' else 'lower'} is better)" if metric else ""
        rows.append(f"| {name} | {value:.6g} | {_cell(doc)} |")
    changed = [
        f"- `{key}` = `{json.dumps(config['config'][key])}` ({who})"
        for key, who in config["set_by"].items()
        if who != "recipe"
    ]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    pictures = sorted((run.folder / "plots").glob("*.png"))
    parts = [
        f"# {run.spec.name} on {run.info.name}",
        f"{_prose(run.spec.summary)}.",
        f"Paper: {_prose(run.spec.paper)}" if run.spec.paper else "",
        f"## Result\n\nOn the {evaluation.n:,} examples of the {evaluation.split} split, with the weights of the last "
        f"epoch; nothing was selected on this split. One run, seed {run.seed}.\n\n"
        "| metric | value | |\n|---|---|---|\n" + "\n".join(rows),
        "## How it came about\n\n"
        f"- command: `{record['command']}`\n"
        f"- data: {run.info.name}, digest `{run.info.digest}`\n"
        f"- parameters: {record['parameters']:,}\n"
        f"- training time: {record['seconds']:g} s on {run.device} ({environment['cpu']}, {record.get('threads')} "
        f"threads), {record.get('precision')}\n"
        f"- versions: python {environment['python']}, {versions}\n"
        f"- weights: `{runs.WEIGHTS}`, sha256 `{record['sha256']}`",
        "## Recipe\n\n"
        + ("\n".join(changed) if changed else "The plugin's own, unchanged.")
        + "\n\nAll keys, and who set each: `config.json`.",
        "## Use\n\n```python\nimport zoo\n\nmodel = zoo.load(" + json.dumps(str(run.folder)) + ")\n```",
        "## Pictures\n\n" + "\n\n".join(f"![{picture.stem}](plots/{picture.name})" for picture in pictures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def publication(entry: Entry, spec: ModelSpec) -> str:
    """The model card of published weights, in Markdown; nothing in it changes from one push to the next."""
    rows = []
    for name, claim in entry.metrics.items():
        metric = spec.metric(name)
        doc = f"{metric.doc} ({'higher' if metric.direction == 'max' else 'lower'} is better)" if metric else ""
        rows.append(f"| {_cell(name)} | {claim.value:.6g} | {claim.tolerance:.2g} | {claim.spread} | {_cell(doc)} |")
    versions = ", ".join(f"{name} {version}" for name, version in entry.versions.items())
    parts = [
        f"# {entry.id}",
        f"{_prose(spec.summary)}.",
        f"Paper: {_prose(spec.paper)}" if spec.paper else "",
        f"## Result\n\nOn the test split of {_prose(entry.dataset)}; nothing was selected on it.\n\n"
        "| metric | value | a re-evaluation may differ by | over seeds | |\n|---|---|---|---|---|\n" + "\n".join(rows),
        "## Use\n\nThe weights are safetensors, and are loaded by an installed plugin; no code is fetched.\n\n"
        "    pip install plugin-zoo\n    zoo evaluate hf://OWNER/NAME@COMMIT\n\n"
        '    import zoo\n    model = zoo.load("hf://OWNER/NAME@COMMIT")',
        f"## How they came about\n\n    {entry.command}\n\n"
        f"- data: {_prose(entry.dataset)}, digest `{entry.dataset_digest}`\n"
        f"- parameters: {entry.parameters:,}\n"
        f"- versions: {_prose(versions)}\n"
        f"- sha256 of the file: `{entry.sha256}`\n"
        f"- digest of the tensors: `{entry.digest}`",
        f"Licence: {_prose(entry.license)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _prose(text: str) -> str:
    """Text in one line that is shown as it is."""
    return html.escape(" ".join(text.split()), quote=False)
