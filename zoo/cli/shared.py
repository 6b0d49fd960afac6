"""What several commands share: options, completion, JSON, tables. Imports nothing slow."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from zoo.errors import ConfigError


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of installed models."""
    from zoo import registry

    return [CompletionItem(plugin.name) for plugin in registry.plugins() if plugin.name.startswith(incomplete)]


def complete_reference(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of published weights, and folders for runs."""
    from zoo import catalog

    found = [CompletionItem(identity) for identity in catalog.everything() if identity.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]


def complete_dataset(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of data sets."""
    from zoo import datasets

    return [CompletionItem(name) for name in datasets.SPECS if name.startswith(incomplete)]


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value instead of text.")
runs_folder = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs."
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default=None,
    help="Where to compute. [default: auto]",
)
dataset = click.option("--dataset", shell_complete=complete_dataset, help="A data set; see: zoo data list")
settings = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe; may be repeated."
)


def set_offline(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """For --offline: what the environment variable says."""
    if value and not ctx.resilient_parsing:
        os.environ["ZOO_OFFLINE"] = "1"


offline = click.option(
    "--offline", is_flag=True, expose_value=False, callback=set_offline, help="Fetch nothing; use what is here."
)


def print_json(value: Any) -> None:
    """One JSON value on one line of stdout."""
    from zoo.files import finite

    click.echo(json.dumps(finite(value), ensure_ascii=False, allow_nan=False))


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows under their headings; the last column may be long and is wrapped by the terminal, not cut."""
    texts = [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    click.secho(
        "  ".join(name.upper().ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip(), bold=True
    )
    for line in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; a value is read as TOML (numbers, true, [1, 2]), as a number, or as plain text.

    Raises:
        ConfigError: a setting without "=".
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {setting!r}: expected KEY=VALUE, for example --set lr=0.01")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = _number(value)
    return found


def _number(text: str) -> float | str:
    """A number that TOML does not take, such as .5, or the text itself."""
    try:
        return float(text)
    except ValueError:
        return text


def parse_tolerances(tolerances: Sequence[str]) -> dict[str, float]:
    """METRIC=VALUE pairs.

    Raises:
        ConfigError: a value that is no number.
    """
    found = parse_settings(tolerances)
    for name, value in found.items():
        if not isinstance(value, (int, float)):
            raise ConfigError(f"--tolerance {name}={value}: expected a number, for example --tolerance {name}=0.001")
    return {name: float(value) for name, value in found.items()}


def on_terminal() -> bool:
    """Whether colour and bars make sense on stderr."""
    return sys.stderr.isatty()
