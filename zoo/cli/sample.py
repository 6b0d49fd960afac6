"""zoo sample: new images or sentences from a generative model."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.command(
    "sample", epilog="Example: zoo sample vae -n 64 --seed 0    zoo sample vae --interpolate a.png b.png -n 10"
)
@click.argument("reference", metavar="ID|RUN|ADDRESS", shell_complete=shared.complete_reference)
@click.option("-n", "--count", type=click.IntRange(1, 10_000), default=64, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Fixes them.")
@click.option(
    "--interpolate", nargs=2, default=None, metavar="A B", help="Walk from one image file, or sentence, to another."
)
@click.option("--to", type=click.Path(path_type=Path), help="The file to write. [default: samples/...]")
@shared.runs_folder
@shared.offline
@shared.as_json
def command(
    reference: str,
    count: int,
    seed: int,
    interpolate: tuple[str, str] | None,
    to: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """Draw from the model of ID (model or model:tag), RUN or ADDRESS and write one picture, or a text."""
    from zoo.evaluation import sample

    path = sample(reference, count, seed=seed, between=interpolate or (), to=to, out=out)
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".txt" else []
    if as_json:
        facts = {"path": str(path), "count": count, "seed": seed}
        return shared.print_json({**facts, "text": lines} if lines else facts)
    for line in lines:
        click.echo(line)
    click.echo(path)
    return None
