"""Every published set of weights gives the figures that it claims, and is no larger than it has to be."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import cache, catalog, datasets, registry, weights
from zoo.cli import train
from zoo.cli.shared import parse_settings
from zoo.training import resolve

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


@pytest.mark.parametrize("identity", ENTRIES)
def test_its_command_asks_for_the_config_it_was_trained_with(identity: str) -> None:
    entry = ENTRIES[identity]
    words = shlex.split(entry.command)
    assert words[:3] == ["zoo", "train", entry.model]
    asked = train.command.make_context("train", words[2:], resilient_parsing=True).params
    config = resolve(
        registry.load(entry.model), asked["dataset"], asked["config_file"], parse_settings(asked["settings"])
    )[1].to_json()
    assert {key: config[key] for key in entry.config} == entry.to_json()["config"]


def test_all_that_ships_is_small() -> None:
    files = [*Path(__file__).parents[1].glob("plugins/*/weights/*.safetensors")]
    assert {path.name for path in files} >= {entry.file for entry in ENTRIES.values()}
    assert sum(path.stat().st_size for path in files) < LARGEST
