"""zoo info: one model's recipe, data sets, metrics and weights, or its layers with their arithmetic."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click

from zoo import catalog, config, registry
from zoo.cli import shared
from zoo.entries import Entry


@click.command("info", epilog="Example: zoo info cnn-mnist --shapes --set 'kernels=[3,4,3,3,3,3]'")
@click.argument("model", shell_complete=shared.complete_model)
@click.option("--shapes", is_flag=True, help="Each layer's output size with its arithmetic, and parameters.")
@shared.dataset
@shared.settings
@shared.as_json
def command(model: str, shapes: bool, dataset: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """What a model is: task, paper, recipe, data sets, metrics, published weights."""
    if shapes:
        return _shapes(model, dataset, settings, as_json)
    facts = _facts(model)
    if as_json:
        return shared.print_json(facts)
    click.secho(f"{facts['name']}: {facts['summary']}", bold=True)
    click.echo(f"task      {facts['task']}\npaper     {facts['paper']}\ndata      {', '.join(facts['datasets'])}")
    click.echo(f"plugin    {facts['plugin']} of {facts['distribution']} {facts['version']}")
    click.echo(f"exports   {', '.join(facts['exports'])}")
    click.echo("\nMetrics")
    for metric in facts["metrics"]:
        click.echo(f"  {metric['name']:16} {metric['doc']} ({metric['direction']})")
    click.echo("\nRecipe (change with --set KEY=VALUE)")
    for key in facts["config"]:
        default = json.dumps(key["default"])  # as --set takes it
        click.echo(f"  {key['key']:19} {default:26} {key['doc']}")
    for name, changes in facts["recipes"].items():
        click.echo(f"  for {name}: {', '.join(f'{key}={json.dumps(value)}' for key, value in changes.items())}")
    click.echo("\nPublished weights")
    for entry in facts["weights"]:
        click.echo(f"  {entry['id']:22} {entry['parameters']:>9,} parameters")
        for name, claim in entry["metrics"].items():
            click.echo(f"    {name:20} {claim['value']:<12.6g} {claim['over_seeds']}".rstrip())
    if not facts["weights"]:
        click.echo(f"  none; train your own: zoo train {model}")
    return None


def _facts(name: str) -> dict[str, Any]:
    model = registry.load(name)
    spec, plugin = model.spec, model.plugin
    hints = config.hints(spec.config)
    keys = [
        {"key": key.name, "default": key.default, "type": config.describe(hints[key.name]), "doc": key.metadata["doc"]}
        for key in config.keys(spec.config)
    ]
    weights = [*catalog.entries_of(name).values()]
    return {
        "name": spec.name,
        "summary": spec.summary,
        "task": spec.task,
        "paper": spec.paper,
        "datasets": list(spec.datasets),
        "plugin": plugin.module,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "exports": list(spec.exports),
        "metrics": [dataclasses.asdict(metric) for metric in spec.metrics],
        "config": keys,
        "recipes": {name: dict(changes) for name, changes in spec.recipes.items()},
        "weights": [_published(entry) for entry in weights],
    }


def _published(entry: Entry) -> dict[str, Any]:
    claims = {name: {**claim.to_json(), "over_seeds": claim.spread} for name, claim in entry.metrics.items()}
    return {"id": entry.id, **dataclasses.asdict(entry), "metrics": claims}


def _shapes(model: str, dataset: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    from zoo.training import layers

    rows = layers(model, dataset, shared.parse_settings(settings))
    total = sum(row["parameters"] for row in rows)
    if as_json:
        return shared.print_json({"model": model, "layers": rows, "parameters": total})
    shown = [
        {**row, "shape": "x".join(map(str, row["shape"])), "(W - K + 2P)/S + 1": row["arithmetic"]} for row in rows
    ]
    shared.print_table(shown, ("layer", "kind", "shape", "parameters", "(W - K + 2P)/S + 1"))
    click.echo(f"{total:,} parameters")
    return None
