"""Every published set of weights gives the figures that it claims, and is no larger than it has to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import cache, catalog, datasets, weights

ENTRIES = catalog.everything()
LARGEST = 32_000_000
"""Bytes of all weights that ship with the zoo."""


@pytest.mark.parametrize("identity", ENTRIES)
def test_a_re_run_gives_what_is_claimed(identity: str, json_of: Callable[..., Any]) -> None:
    entry = ENTRIES[identity]
    if not datasets.spec(entry.dataset).present:
        pytest.skip(f"needs the data set {entry.dataset}: set ZOO_DATA, or run: zoo data fetch {entry.dataset}")
    found = json_of("evaluate", identity)
    assert found["agrees"] is True
    assert found["claims"].keys() == entry.metrics.keys()
    assert (found["tag"], found["dataset"]) == (entry.tag, entry.dataset)


@pytest.mark.parametrize("identity", ENTRIES)
def test_the_weights_are_whole_and_as_small_as_declared(identity: str) -> None:
    entry = ENTRIES[identity]
    net = zoo.load(identity)
    assert not net.training
    assert sum(parameter.numel() for parameter in net.parameters()) == entry.parameters
    assert weights.digest(cache.read(entry)[0]) == entry.digest


def test_all_that_ships_is_small() -> None:
    files = [*Path(__file__).parents[1].glob("plugins/*/weights/*.safetensors")]
    assert {path.name for path in files} >= {entry.file for entry in ENTRIES.values()}
    assert sum(path.stat().st_size for path in files) < LARGEST
