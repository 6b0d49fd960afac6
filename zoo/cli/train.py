"""zoo train: parse, call, print."""

from __future__ import annotations

import ctypes
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import shared
from zoo.cli.progress import Progress
from zoo.environment import rank_and_world

if TYPE_CHECKING:
    from zoo.crossval import CrossValidated


@click.command("train", epilog="Example: zoo train cnn-mnist --dataset digits --epochs 20 --set lr=0.003 --seed 1")
@click.argument("model", required=False, shell_complete=shared.complete_model)
@shared.dataset
@shared.settings
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="TOML with keys of the recipe, or a named one."
)
@click.option("--epochs", type=int, help="Short for --set epochs=N.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=None, help="Fixes all randomness. [default: 0]")
@shared.device
@click.option("--folds", type=click.IntRange(3), help="Cross-validate: a run for each of so many folds.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was stopped, exactly.")
@shared.runs_folder
@click.option("--deterministic", is_flag=True, help="Only algorithms that never vary; matters on GPUs.")
@shared.offline
@shared.as_json
def command(
    model: str | None,
    dataset: str | None,
    settings: tuple[str, ...],
    config_file: Path | None,
    epochs: int | None,
    seed: int | None,
    folds: int | None,
    device: str | None,
    resume: str | None,
    out: Path,
    deterministic: bool,
    as_json: bool,
) -> None:
    """Train a MODEL and leave a run folder: weights, figures, pictures, a card, and all it takes to do it again.

    Flags win over the --config file, which wins over the plugin's recipe.
    """
    if model is None and resume is None:
        raise click.UsageError("name a MODEL (see: zoo list), or --resume RUN (see: zoo runs)")
    values = shared.parse_settings(settings) | ({} if epochs is None else {"epochs": epochs})
    if folds is not None and (model is None or resume is not None):
        raise click.UsageError("--folds needs a MODEL, and goes on by itself where it was stopped: without --resume")
    with Progress() as progress:
        if rank_and_world()[0] == 0:
            progress.say("loading torch and the data ...")
        _keep_freed_memory()
        from zoo.training import train

        if folds is not None:
            from zoo.crossval import cross_validate

            joined = cross_validate(
                model or "",
                dataset,
                folds,
                config=values,
                config_file=config_file,
                seed=seed or 0,
                device=device,
                out=out,
                deterministic=deterministic,
                listeners=[progress.listen],
            )
            return _show(joined, as_json)
        trained = train(
            model,
            dataset,
            config=values,
            config_file=config_file,
            seed=seed,
            device=device,
            out=out,
            resume=resume,
            deterministic=deterministic,
            listeners=[progress.listen],
        )
    if trained is None:
        return
    if as_json:
        plain = {name: str(v) if isinstance(v, Path) else v for name, v in dataclasses.asdict(trained).items()}
        return shared.print_json(plain)
    for name, value in trained.metrics.items():
        click.echo(f"{name:16} {value:.5g}")
    click.echo(f"{'time':16} {trained.seconds:.0f} s\n{'run':16} {trained.run}\n")
    click.echo(
        f"Next:  zoo evaluate {trained.run}\n       zoo export {trained.run}\n       open {trained.run}/README.md"
    )


def _keep_freed_memory() -> None:
    """Lets the C library keep what a step frees for the next one; handing it back and forth costs 2 to 5 % of a step.

    Only here, where the process is ours and ends with the training. Nothing happens where it is not the GNU one.
    """
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(trim_threshold, 2**31 - 1)
            mallopt(mmap_threshold, 2**25)


def _show(found: CrossValidated | None, as_json: bool) -> None:
    """Mean and spread over the folds."""
    if found is None:
        return
    if as_json:
        plain = {**dataclasses.asdict(found), "runs": [str(run) for run in found.runs], "path": str(found.path)}
        return shared.print_json(plain)
    for name, value in found.metrics.items():
        if f"{name}_std" in found.metrics:
            click.echo(f"{name:16} {value:.5g}  std {found.metrics[f'{name}_std']:.5g} over {found.folds} folds")
    click.echo(f"{'runs':16} {found.path}")
    return None
