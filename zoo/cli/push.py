"""zoo push: weights to where others can pull them."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.command("push", epilog="Example: zoo push runs/cnn-mnist/... --to hf://me/cnn-digits --dry-run")
@click.argument("reference", metavar="RUN|ID", shell_complete=shared.complete_reference)
@click.option("--to", required=True, metavar="ADDRESS", help="hf://owner/name, file:DIR or s3://bucket/folder.")
@click.option("--revision", help="On the Hub: the branch to commit to, made if need be. [default: main]")
@click.option("--private", is_flag=True, help="On the Hub: make a new repository private.")
@click.option("--tag", help="What a run is published as, model:tag. [default: its data set]")
@click.option("--license", default="Apache-2.0", show_default=True, help="Of a run's weights: an SPDX identifier.")
@click.option("--tolerance", multiple=True, metavar="METRIC=VALUE", help="How far a re-run may differ; repeated.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@shared.runs_folder
@shared.as_json
def command(
    reference: str,
    to: str,
    revision: str | None,
    private: bool,
    tag: str | None,
    license: str,
    tolerance: tuple[str, ...],
    dry_run: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Publish the weights of a finished RUN or of ID (model:tag) with config, figures, model card and manifest.

    Nothing else is sent. Prints the entry of registry.toml that lists them.
    """
    from zoo import catalog
    from zoo.pushing import push

    done = push(
        reference,
        f"{to}@{revision}" if revision else to,
        tag=tag,
        license=license,
        tolerances=shared.parse_tolerances(tolerance),
        private=private,
        dry_run=dry_run,
        out=out,
    )
    if as_json:
        entry = {"id": done.entry.id, **done.entry.to_json()}
        return shared.print_json({"address": done.address, "sent": done.sent, "files": done.files, "entry": entry})
    click.echo(f"{'published at' if done.sent else 'would be published at'} {done.address}", err=True)
    for name, size in done.files.items():
        click.echo(f"  {name}  {size:,} bytes", err=True)
    click.echo(catalog.to_toml(done.entry), nl=False)
    if done.sent:
        click.echo(f"Next: zoo evaluate {done.address}", err=True)
    return None
