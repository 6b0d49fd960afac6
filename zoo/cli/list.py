"""zoo list: models, their data sets and published weights."""

from __future__ import annotations

import click

from zoo.cli import shared
from zoo.listing import describe_models


@click.command("list", epilog="Example: zoo list 'cnn-*' --task image-classification")
@click.argument("pattern", default="*")
@click.option("--task", help="Only models of this task.")
@shared.as_json
def command(pattern: str, task: str | None, as_json: bool) -> None:
    """Models that are installed, filtered by a glob PATTERN; broken ones with their reason."""
    rows = describe_models(pattern, task)
    if as_json:
        return shared.print_json(rows)
    if not rows:
        click.echo(f"no model matches {pattern!r}{f' and task {task!r}' if task else ''}. All: zoo list")
        return None
    shown = [
        {
            "model": row["name"],
            "task": row["task"] or row["state"],
            "datasets": " ".join(row["datasets"]),
            "weights": " ".join(row["tags"]),
            "summary": row["summary"] or row["reason"],
        }
        for row in rows
    ]
    shared.print_table(shown, ("model", "task", "datasets", "weights", "summary"))
    return None
