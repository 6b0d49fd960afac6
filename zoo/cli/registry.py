"""zoo registry: what registry.toml says, and how a run gets into it."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.group("registry", epilog="Example: zoo registry entry runs/cnn-mnist/... --tag mnist --source package:...")
def command() -> None:
    """Published weights, as registry.toml lists them."""


@command.command(
    "entry", epilog="Example: zoo registry entry RUN --tag mnist --source package:my_plugin/weights/m.safetensors"
)
@click.argument("run")
@click.option("--tag", required=True, help="What the weights are published as: model:tag.")
@click.option("--source", required=True, help="Where they will lie: package:NAME/path/inside/it.")
@click.option("--default", is_flag=True, help="Take this tag where none is named.")
@click.option("--tolerance", multiple=True, metavar="METRIC=VALUE", help="How far a re-run may differ; repeated.")
@shared.runs_folder
def entry(run: str, tag: str, source: str, default: bool, tolerance: tuple[str, ...], out: Path) -> None:
    """Print the entry of registry.toml that publishes a finished RUN; every figure in it is read from the run."""
    from zoo import catalog
    from zoo.loading import entry_of

    bounds = {name: float(value) for name, value in shared.parse_settings(tolerance).items()}
    click.echo(catalog.to_toml(entry_of(run, tag, source, default, bounds, out)), nl=False)
