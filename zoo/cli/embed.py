"""zoo embed: the vectors of a user's own sentences or images, into a file."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.command(
    "embed", epilog="Example: zoo embed lstm-ae lines.txt --to vectors.npz    zoo embed RUN *.png --to v.parquet"
)
@click.argument("reference", metavar="ID|RUN|ADDRESS", shell_complete=shared.complete_reference)
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option(
    "--to", "--out", "to", type=click.Path(path_type=Path), default=Path("vectors.npz"), show_default=True,
    help="The file to write, .npz or .parquet.",
)  # fmt: skip
@shared.offline
@shared.as_json
def command(reference: str, inputs: tuple[str, ...], to: Path, as_json: bool) -> None:
    """Write the vectors that the encoder of ID (model or model:tag), RUN or ADDRESS makes of each FILE.

    For text models a FILE has one sentence a line, and each line gets a vector; for image models each FILE does; for
    graph models each node of a FILE, or each FILE if the model tells whole graphs apart.
    """
    from zoo.embedding import embed

    found = embed(reference, inputs, to=to)
    count, size = found.vectors.shape
    if as_json:
        return shared.print_json({"path": str(found.path), "n": count, "dim": size, "inputs": list(found.inputs)})
    click.echo(f"{found.path}: {count:,} vectors of {size} numbers")
    return None
