"""Publications in folders and buckets: whole, checked, never overwritten; and a card that nothing can break out of."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli

import zoo
from zoo import cache, catalog, entries, hub, pushing, registry, report, runs
from zoo.entries import Claim
from zoo.errors import HashMismatchError, RunError, TransferError

CNN = "cnn-mnist:digits"


def test_a_folder_is_a_place_to_publish(tmp_path: Path) -> None:
    pushed = zoo.push(CNN, f"file:{tmp_path}/public")
    assert {path.name for path in (tmp_path / "public").iterdir()} == set(pushed.files)
    pulled = zoo.pull(f"file:{tmp_path}/public")
    assert pulled.sha256 == catalog.find(CNN).sha256
    assert zoo.load(f"file:{tmp_path}/public").training is False
    before = (tmp_path / "public/weights.safetensors").stat().st_mtime_ns
    zoo.push(CNN, f"file:{tmp_path}/public")
    assert (tmp_path / "public/weights.safetensors").stat().st_mtime_ns == before


def test_another_publication_is_not_overwritten(tmp_path: Path) -> None:
    zoo.push(CNN, f"file:{tmp_path}/public")
    before = {path: path.read_bytes() for path in (tmp_path / "public").iterdir()}
    with pytest.raises(TransferError, match="holds another publication"):
        zoo.push("cnn-mnist:mnist", f"file:{tmp_path}/public")
    assert {path: path.read_bytes() for path in (tmp_path / "public").iterdir()} == before


def test_a_published_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    zoo.push(CNN, f"file:{tmp_path}/public")
    path = tmp_path / "public/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(HashMismatchError, match="is not the file that was published"):
        zoo.pull(f"file:{tmp_path}/public")
    with pytest.raises(TransferError, match=r"has no manifest\.json"):
        zoo.pull(f"file:{tmp_path}/other")
    assert cache.listing() == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TransferError, match=r"cannot (write|read) file://.*/file/"):
        zoo.push(CNN, f"file:{tmp_path}/file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A bucket of a real S3 server on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    settings = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    for name, value in {**settings, "AWS_DEFAULT_REGION": "us-east-1", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT"), timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        yield "s3://bucket/models/digits"
    finally:
        server.terminate()
        server.wait()


def test_a_bucket_is_a_place_to_publish(bucket: str, cli: Cli) -> None:
    done = cli("push", CNN, "--to", bucket)
    assert f'sources = ["{bucket}/weights.safetensors"]' in done.stdout
    said = json.loads(cli("pull", bucket, "--json").stdout)
    assert said[0]["sha256"] == catalog.find(CNN).sha256
    assert json.loads(cli("evaluate", bucket, "--json").stdout)["agrees"] is True
    assert "holds another publication" in cli("push", "cnn-mnist:mnist", "--to", bucket, expect=1).stderr
    assert "has no manifest.json" in cli("pull", f"{bucket}/none", expect=1).stderr


def test_the_push_to_s3_without_its_extra_says_what_to_install(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s3fs.py").write_text("raise ImportError('no s3fs')")
    said = cli("push", CNN, "--to", "s3://bucket/x", expect=1, PYTHONPATH=str(tmp_path)).stderr
    assert "pip install 'plugin-zoo[s3]'" in said


@pytest.mark.parametrize(
    "hostile", ["a: b", "--- x", "<script>alert(1)</script>", "| x |", "`x`", "'\"", "{{x}}", "ü😀"]
)
def test_nothing_breaks_out_of_the_card(hostile: str) -> None:
    from huggingface_hub import ModelCard

    spec = replace(registry.load("cnn-mnist").spec, summary=hostile, task=hostile, paper=hostile)
    entry = replace(catalog.find(CNN), command=hostile, license=hostile, dataset=hostile)
    entry = replace(entry, metrics={hostile: Claim(0.5, 0.1)}, versions={hostile: hostile})
    assert not entries.faults(entry.id, entry.to_json())
    card: Any = ModelCard(f"---\n{hub.card_metadata(entry, spec.task)}\n---\n\n{report.publication(entry, spec)}")
    assert card.data.pipeline_tag == hostile
    assert card.data.license == hostile.lower()
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_name) == (hostile, 0.5, hostile)
    assert "<script>" not in card.text.replace(f"    {hostile}", "")  # an indented line is code, and shown as it is


def test_a_figure_that_is_not_finite_is_not_published(small_run: Path) -> None:
    record, _ = runs.read(small_run)
    before = (small_run / "run.json").read_text()
    (small_run / "run.json").write_text(json.dumps({**record, "metrics": {**record["metrics"], "accuracy": None}}))
    with pytest.raises(RunError, match="accuracy is not a finite number"):
        pushing.entry_of(str(small_run), "x", "package:zoo/x")
    (small_run / "run.json").write_text(before)
    assert pushing.entry_of(str(small_run), None, "package:zoo/x").id == "cnn-mnist:digits"


def test_an_entry_tells_mean_and_spread_of_runs_that_differ_in_their_seed_alone(small_run: Path, cli: Cli) -> None:
    runs_of = {0: small_run}
    config = runs.read(small_run)[1]["config"]
    for seed in (1, 2):
        trained = zoo.train("cnn-mnist", "digits", config=config, seed=seed)
        assert trained is not None
        runs_of[seed] = trained.run
    figures = [runs.read(run)[0]["metrics"]["accuracy"] for run in runs_of.values()]
    options = ["--tag", "x", "--source", "package:zoo/x", "--tolerance", "accuracy=0.1"]
    registry_file = Path("registry.toml")
    registry_file.write_text(cli("registry", "entry", *map(str, runs_of.values()), *options).stdout)
    claim = catalog.read(registry_file)["cnn-mnist:x"].metrics["accuracy"]
    assert claim.seeds == tuple(figures)
    assert f"mean {statistics.mean(figures):.6g}" in claim.spread
    assert "n = 3 seeds" in claim.spread
    with pytest.raises(RunError, match="seeds that differ"):
        pushing.entry_of(str(small_run), "x", "package:zoo/x", others=[str(runs_of[1]), str(runs_of[1])])
    record = runs.read(runs_of[1])[1]
    (runs_of[1] / "config.json").write_text(json.dumps({**record, "config": {**record["config"], "lr": 1.0}}))
    with pytest.raises(RunError, match="config differs"):
        pushing.entry_of(str(small_run), "x", "package:zoo/x", others=[str(runs_of[1])])


def test_kill_of_a_push_leaves_nothing_that_could_be_pulled_or_all_of_it(tmp_path: Path) -> None:
    """Without the manifest, which is written last, nothing is published; the next push goes on."""
    target = f"file:{tmp_path}/public"
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        if (child := os.fork()) == 0:
            zoo.push(CNN, target)
            os._exit(0)
        time.sleep(delay)
        os.kill(child, 9)
        os.waitpid(child, 0)
        if (tmp_path / "public/manifest.json").exists():
            break
        with pytest.raises(TransferError, match=r"has no manifest\.json"):
            zoo.pull(target)
    zoo.push(CNN, target)
    assert zoo.pull(target).sha256 == catalog.find(CNN).sha256
