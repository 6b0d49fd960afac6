"""zoo runs: what has been trained here."""

from __future__ import annotations

from pathlib import Path

import click

from zoo import runs
from zoo.cli import shared


@click.command("runs", epilog="Example: zoo runs --json")
@shared.runs_folder
@shared.as_json
def command(out: Path, as_json: bool) -> None:
    """Every run in a folder, oldest first, with its state and figures."""
    rows = [runs.summary(folder) for folder in runs.folders(out)]
    if as_json:
        return shared.print_json(rows)
    if not rows:
        click.echo(f"no runs in {out}. Next: zoo train cnn-mnist --dataset digits")
        return None
    for row in rows:
        row["metrics"] = "  ".join(f"{name} {value:.5g}" for name, value in (row.get("metrics") or {}).items())
        row["metrics"] = row["metrics"] or row.get("reason") or ""
        row["run"] = row["run"] if row.get("state") == "broken" else str(row["run"])
    shared.print_table(rows, ("run", "model", "dataset", "seed", "state", "metrics"))
    return None
