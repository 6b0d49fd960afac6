"""zoo predict: a model applied to a user's own files."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.command("predict", epilog="Example: zoo predict cnn-mnist photo.jpg scan.png")
@click.argument("reference", metavar="ID|RUN|ADDRESS", shell_complete=shared.complete_reference)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--to", type=click.Path(path_type=Path), default="predictions", help="Folder for images and tables that it makes."
)
@shared.runs_folder
@shared.offline
@shared.as_json
def command(reference: str, inputs: tuple[str, ...], to: Path, out: Path, as_json: bool) -> None:
    """Apply ID (model or model:tag), RUN or what lies at ADDRESS to each INPUT.

    An INPUT is an image file, a "sentence", or a graph as .json (node-link) or .graphml.
    """
    from zoo.evaluation import predict

    results = predict(reference, inputs, out=out, to=to)
    if as_json:
        return shared.print_json(results)
    for result in results:
        click.echo(f"{result['input']}:  {result['text']}")
    return None
