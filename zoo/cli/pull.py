"""zoo pull: published weights onto this machine, verified."""

from __future__ import annotations

import click

from zoo.cli import shared


@click.command("pull", epilog="Example: zoo pull cnn-mnist:mnist    zoo pull hf://owner/name@main")
@click.argument(
    "references", nargs=-1, required=True, metavar="ID|ADDRESS...", shell_complete=shared.complete_reference
)
@shared.offline
@shared.as_json
def command(references: tuple[str, ...], as_json: bool) -> None:
    """Fetch and verify weights by ID (model or model:tag) or by ADDRESS: hf://owner/name[@revision], file:DIR, s3://...

    No code is fetched or run.
    """
    from zoo.pulling import pull

    found = [pull(reference) for reference in references]
    if as_json:
        return shared.print_json([item.to_json() for item in found])
    for item in found:
        click.echo(f"{item.id}  {item.size:,} bytes  sha256 {item.sha256}\n  from {item.source}\n  at   {item.path}")
    return None
