"""zoo evaluate: figures of published weights or of a run, beside what was claimed."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import shared


@click.command("evaluate", epilog="Example: zoo evaluate cnn-mnist:digits --json")
@click.argument("reference", metavar="ID|RUN|ADDRESS", shell_complete=shared.complete_reference)
@shared.dataset
@click.option("--split", default="test", show_default=True, help="Which part of the data set.")
@shared.device
@shared.runs_folder
@click.option("--to", type=click.Path(path_type=Path), help="Folder for figures and pictures.")
@shared.offline
@click.option("--full", is_flag=True, help="Take all examples and samples, however long it takes.")
@shared.as_json
@click.pass_context
def command(
    ctx: click.Context,
    reference: str,
    dataset: str | None,
    split: str,
    device: str | None,
    out: Path,
    to: Path | None,
    full: bool,
    as_json: bool,
) -> None:
    """Score ID (model or model:tag) or RUN on a data set. Exit code 1 if a claim of published weights does not hold."""
    from zoo.evaluation import evaluate

    found = evaluate(reference, dataset=dataset, split=split, device=device or "auto", out=out, to=to, full=full)
    if as_json:
        shared.print_json(found.to_json())
    else:
        click.echo(
            f"{found.model} ({next(iter(found.source.values()))}) on {found.dataset}, {found.split}, n={found.n:,}"
        )
        for name, value in found.metrics.items():
            claim = found.claims.get(name)
            verdict = "agrees with" if claim and claim.holds(value) else "DIFFERS from"
            note = f"   {verdict} the claimed {claim.value:.6g} +- {claim.tolerance:g}" if claim else ""
            click.echo(f"  {name:16} {value:.6g}{note}")
        for row in found.details.get("per_class", []):
            figures = "  ".join(f"{k} {v:.5g}" for k, v in row.items() if isinstance(v, float))
            click.echo(f"  class {row['class']:10} {figures}")
        for pair in found.details.get("most_confused", []):
            click.echo(f"  {pair['n']} of class {pair['true']} taken for {pair['predicted']}")
        for row in found.details.get("by_length", []):
            figures = "  ".join(f"{k} {v:.5g}" for k, v in row.items() if isinstance(v, float))
            click.echo(f"  {row['length']:3} words, n={row['n']:<5} {figures}")
        for pair in found.details.get("worst", []):
            click.echo(f"  source  {pair['source']}\n  said    {pair['said']}")
        click.echo("\n".join(f"  {path}" for path in found.files))
    if not found.agrees:
        ctx.exit(1)
