"""zoo plugins: which there are and what is wrong with them, without running their code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import click

from zoo import registry
from zoo.cli import shared


def complete_plugin(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of plugins, usable or not."""
    return [plugin.name for plugin in registry.plugins() if plugin.name.startswith(incomplete)]


@click.group("plugins", epilog="Example: zoo plugins doctor")
def command() -> None:
    """Plugins found through the entry-point group zoo.plugins."""


def _print(found: Iterable[registry.Plugin], as_json: bool) -> None:
    if as_json:
        return shared.print_json([dataclasses.asdict(plugin) for plugin in found])
    shared.print_table(map(dataclasses.asdict, found), ("name", "state", "distribution", "version", "module", "reason"))
    return None


@command.command("list", epilog="Example: zoo plugins list --json")
@shared.as_json
def list_(as_json: bool) -> None:
    """Every plugin and what can be said of it from its source alone: nothing of it is imported."""
    _print(registry.plugins(), as_json)


@command.command("doctor", epilog="Example: zoo plugins doctor cnn-mnist")
@click.argument("name", required=False, shell_complete=complete_plugin)
@shared.as_json
@click.pass_context
def doctor(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Load each plugin, or the one of that NAME, in a process of its own, and say what is wrong.

    Exit code 1 if anything is.
    """
    found = registry.plugins()
    if name and name not in {plugin.name for plugin in found}:
        registry.find(name)
    checked = [registry.doctor(plugin) for plugin in found if name in (None, plugin.name)]
    _print(checked, as_json)
    if any(plugin.state not in ("ok", "disabled") for plugin in checked):
        ctx.exit(1)


@command.command("disable", epilog="Example: zoo plugins disable some-model")
@click.argument("name", shell_complete=complete_plugin)
def disable(name: str) -> None:
    """Leave a plugin out from now on; its code is never imported."""
    registry.set_disabled(name, True)
    click.echo(f"{name} is disabled. To undo: zoo plugins enable {name}")


@command.command("enable", epilog="Example: zoo plugins enable some-model")
@click.argument("name", shell_complete=complete_plugin)
def enable(name: str) -> None:
    """Use a plugin again."""
    registry.set_disabled(name, False)
    click.echo(f"{name} is enabled.")
