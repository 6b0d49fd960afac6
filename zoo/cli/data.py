"""zoo data: which data sets there are, fetching them, and where they lie."""

from __future__ import annotations

import click

from zoo import datasets
from zoo.cli import shared
from zoo.environment import data_folder


@click.group("data", epilog="Example: zoo data fetch mnist")
def command() -> None:
    """Data sets: torchvision's and others' own files, under ZOO_DATA."""


@command.command("list", epilog="Example: zoo data list --json")
@shared.as_json
def list_(as_json: bool) -> None:
    """All data sets and whether they are here."""
    rows = []
    for spec in datasets.SPECS.values():
        state = "embedded" if spec.embedded else "present" if spec.present else "missing"
        splits: object = (
            dict(spec.splits) if as_json else " + ".join(f"{n:,} {name}" for name, n in spec.splits.items())
        )
        row = {"name": spec.name, "state": state, "splits": splits, "license": spec.license, "summary": spec.summary}
        rows.append(row)
    for family in datasets.FAMILIES.values():
        none: object = {} if as_json else ""
        facts = {"name": family.name, "state": "any", "splits": none, "license": "its own", "summary": family.summary}
        rows.append(facts)
    if as_json:
        return shared.print_json(rows)
    shared.print_table(rows, ("name", "state", "splits", "license", "summary"))
    return None


@command.command("fetch", epilog="Example: zoo data fetch mnist")
@click.argument("name", shell_complete=shared.complete_dataset)
@shared.as_json
def fetch(name: str, as_json: bool) -> None:
    """Download a data set, check it, and say where it is."""
    folder = datasets.fetch(name)
    loaded = datasets.load(name)
    facts = {
        "name": name,
        "folder": str(folder),
        "digest": loaded.info.digest,
        "embedded": datasets.spec(name).embedded,
    }
    if as_json:
        return shared.print_json(facts)
    where = "is embedded in a package that is installed" if facts["embedded"] else f"is in {folder}"
    click.echo(f"{name} {where}, complete; digest {loaded.info.digest}")
    return None


@command.command("where", epilog="Example: zoo data where mnist")
@click.argument("name", required=False, shell_complete=shared.complete_dataset)
@shared.as_json
def where(name: str | None, as_json: bool) -> None:
    """The folder of data sets, or the files that a data set needs."""
    folder = data_folder()
    files = [str(folder / file) for file in datasets.spec(name).files] if name else []
    if as_json:
        return shared.print_json({"folder": str(folder), "files": files})
    click.echo("\n".join(files) if files else str(folder))
    return None
