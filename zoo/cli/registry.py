"""zoo registry: what registry.toml says, and how a run gets into it."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.group("registry", epilog="Example: zoo registry check")
def command() -> None:
    """Published weights, as registry.toml lists them."""


@command.command("check", epilog="Example: zoo registry check    zoo registry check my_plugin/registry.toml")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@shared.as_json
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check each FILE, or all that are installed, without a network: format, names, and the files that are here."""
    from zoo.checking import check

    faults, entries = check(list(paths))
    if as_json:
        shared.print_json({"entries": entries, "faults": faults})
    else:
        click.echo("\n".join(faults) if faults else f"{entries} entries, no fault")
    if faults:
        ctx.exit(1)


@command.command(
    "entry", epilog="Example: zoo registry entry RUN --tag mnist --source package:my_plugin/weights/m.safetensors"
)
@click.argument("run")
@click.argument("others", nargs=-1, metavar="[OTHER_SEED]...")
@click.option("--tag", required=True, help="TAG of model:TAG, which the weights are published as.")
@click.option("--source", required=True, help="Where they will lie: package:NAME/file, https://..., file:/...")
@click.option("--default", is_flag=True, help="Take this tag where none is named.")
@click.option("--license", default="Apache-2.0", show_default=True, help="An SPDX identifier.")
@click.option("--tolerance", multiple=True, metavar="METRIC=VALUE", help="How far a re-run may differ; repeated.")
@shared.runs_folder
def entry(
    run: str,
    others: tuple[str, ...],
    tag: str,
    source: str,
    default: bool,
    license: str,
    tolerance: tuple[str, ...],
    out: Path,
) -> None:
    """Print the entry of registry.toml that publishes a finished RUN; every figure in it is read from the run.

    Runs of the same thing with other seeds may follow: they add mean and spread to each figure.
    """
    from zoo import addresses, catalog
    from zoo.pushing import entry_of

    addresses.source(source)
    bounds = shared.parse_tolerances(tolerance)
    made = entry_of(run, tag, source, default=default, license=license, tolerances=bounds, others=others, out=out)
    click.echo(catalog.to_toml(made), nl=False)
