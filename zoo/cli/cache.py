"""zoo cache: fetched weights on this machine."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import shared


@click.group("cache", epilog="Example: zoo cache verify")
def command() -> None:
    """Fetched weights, named by their sha256."""


@command.command("path", epilog="Example: ls $(zoo cache path)")
def path() -> None:
    """Where they lie."""
    from zoo import cache

    click.echo(cache.folder())


@command.command("list", epilog="Example: zoo cache list --json")
@shared.as_json
def list_(as_json: bool) -> None:
    """All files, and which published weights they are."""
    from zoo import cache

    _show(cache.listing(), as_json)


@command.command("verify", epilog="Example: zoo cache verify")
@shared.as_json
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Hash every file again; set aside those that are damaged. Exit code 1 if there are any."""
    from zoo import cache

    rows = cache.verify()
    _show(rows, as_json)
    if any(row["state"] == "damaged" for row in rows):
        ctx.exit(1)


@command.command("prune", epilog="Example: zoo cache prune")
@click.option("--all", "everything", is_flag=True, help="Also what is published and can be fetched again.")
@shared.as_json
def prune(everything: bool, as_json: bool) -> None:
    """Remove what is partial, damaged, or no longer published."""
    from zoo import cache, pulling

    _show(cache.prune(set() if everything else set(pulling.names())), as_json)


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    from zoo import pulling

    names = pulling.names()
    for row in rows:
        row["id"] = names.get(row["sha256"], "")
    if as_json:
        return shared.print_json(rows)
    shared.print_table(rows, ("state", "bytes", "id", "sha256"))
    return None
