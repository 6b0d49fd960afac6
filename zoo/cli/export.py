"""zoo export: files for other programs, each compared with the model before it gets its name."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.command("export", epilog="Example: zoo export cnn-mnist:mnist --format onnx --to exported")
@click.argument("reference", metavar="ID|RUN|ADDRESS", shell_complete=shared.complete_reference)
@click.option("--format", "formats", multiple=True, help="safetensors, pt2 or onnx; may be repeated. [default: all]")
@click.option("--to", type=click.Path(path_type=Path), help="Folder for the files. [default: exports/...]")
@shared.runs_folder
@shared.offline
@shared.as_json
def command(reference: str, formats: tuple[str, ...], to: Path | None, out: Path, as_json: bool) -> None:
    """Write ID (model or model:tag) or RUN as safetensors, pt2 (torch.export) and ONNX, with a dynamic batch.

    Beside each file lies its certificate: what was compared with the original, and the largest difference.
    """
    from zoo.exports import export

    certificates = export(reference, formats, to=to, out=out)
    if as_json:
        return shared.print_json(certificates)
    for made in certificates:
        worst, sizes = made["compared"]["largest_difference"], made["compared"]["sizes"]
        click.echo(f"{made['path']}  {made['size']:,} bytes, largest difference {worst:.3g} in batches of {sizes}")
    return None
