"""What there is: models, their states and their published weights. Imports no torch, whatever is installed."""

from __future__ import annotations

import fnmatch
from typing import Any

from zoo import catalog, registry
from zoo.errors import CatalogError


def list_models(pattern: str = "*", task: str | None = None) -> list[str]:
    """Names of the models that can be used here, filtered by a glob and a task."""
    return [row["name"] for row in describe_models(pattern, task) if row["state"] == "ok"]


def describe_models(pattern: str = "*", task: str | None = None) -> list[dict[str, Any]]:
    """Every model plugin in plain JSON, broken ones with their state and reason."""
    rows = []
    for plugin, spec in registry.models():
        if not fnmatch.fnmatchcase(plugin.name, pattern) or (task and (spec is None or spec.task != task)):
            continue
        row: dict[str, Any] = {
            "name": plugin.name,
            "plugin": plugin.module,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "state": plugin.state,
            "task": spec.task if spec else "",
            "summary": spec.summary if spec else "",
            "datasets": list(spec.datasets) if spec else [],
            "tags": [],
        }
        reason = plugin.reason
        try:
            row["tags"] = list(catalog.entries_of(plugin.name)) if spec else []
        except CatalogError as error:  # its weights cannot be named, but it can be trained
            reason = str(error)
        rows.append({**row, "reason": reason} if reason else row)
    return rows
