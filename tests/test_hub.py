"""Push and pull, with the real client and a real server: what was sent arrives, and each refusal is told apart."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TOKEN, Cli, in_child
from hub_server import Hub

import zoo
from zoo import addresses, cache, catalog, publications, runs, weights
from zoo import hub as hub_client
from zoo.errors import (
    AddressError,
    CatalogError,
    HashMismatchError,
    OfflineError,
    RunError,
    TransferError,
    UnknownNameError,
    WeightsError,
)

SENT = {"README.md", "config.json", "manifest.json", "metrics.json", "weights.safetensors"}
CNN = "cnn-mnist:digits"


def commits(hub: Hub) -> int:
    return sum("/commit/" in line["path"] for line in hub.log())


def downloads(hub: Hub, name: str = "weights.safetensors") -> list[dict[str, Any]]:
    return [line for line in hub.log() if line["method"] == "GET" and line["path"].endswith(name)]


def test_what_is_pushed_can_be_pulled_by_anyone_and_gives_the_same_figures(hub: Hub, small_run: Path) -> None:
    (small_run / ".env").write_text("SECRET=1")
    pushed = zoo.push(str(small_run), "hf://me/digits")
    assert pushed.address.startswith("hf://me/digits@")
    assert set(pushed.files) == SENT
    listed = publications.find("hf://me/digits")
    assert listed.sources == (f"{pushed.address}/weights.safetensors",)
    assert (listed.sha256, listed.metrics) == (pushed.entry.sha256, pushed.entry.metrics)
    pulled = zoo.pull("hf://me/digits")
    assert pulled.path == cache.path_of(pushed.entry.sha256)
    ours, theirs = zoo.load(str(small_run)).state_dict(), zoo.load(pushed.address).state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())
    found = zoo.evaluate(pushed.address)
    assert found.claims
    assert found.agrees
    assert len(downloads(hub)) == 1


def test_the_entry_that_push_prints_lists_the_weights(
    hub: Hub, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    done = cli("push", str(small_run), "--to", "hf://me/digits", "--tag", "mine", "--tolerance", "accuracy=0.01")
    registry = tmp_path / "registry.toml"
    registry.write_text(done.stdout)
    entry = catalog.read(registry)["cnn-mnist:mine"]
    assert entry.metrics["accuracy"].tolerance == 0.01
    assert addresses.source(entry.sources[0]).pinned
    assert cache.read(entry)[1]["model"] == "cnn-mnist"
    assert "Next: zoo evaluate hf://me/digits@" in done.stderr


def test_published_weights_can_be_pushed_on(hub: Hub) -> None:
    pushed = zoo.push(CNN, "hf://me/copy")
    assert zoo.pull("hf://me/copy").sha256 == catalog.find(CNN).sha256 == pushed.entry.sha256


def test_pushing_again_commits_nothing(hub: Hub, small_run: Path) -> None:
    first = zoo.push(str(small_run), "hf://me/digits")
    hub.reset()
    assert zoo.push(str(small_run), "hf://me/digits").address == first.address
    assert commits(hub) == 0


def test_a_dry_run_sends_nothing(hub: Hub, small_run: Path) -> None:
    pushed = zoo.push(str(small_run), "hf://me/digits", dry_run=True)
    assert not pushed.sent
    assert set(pushed.files) == SENT
    assert hub.log() == []


def test_a_branch_and_old_commits_stay_readable(hub: Hub, small_run: Path, cli: Cli) -> None:
    main = zoo.push(str(small_run), "hf://me/digits")
    cli("push", CNN, "--to", "hf://me/digits", "--revision", "second")
    other = zoo.push(CNN, "hf://me/digits@second")
    assert publications.find("hf://me/digits").sha256 == main.entry.sha256
    assert publications.find("hf://me/digits@second").sha256 == other.entry.sha256
    assert publications.find(main.address).sha256 != publications.find(other.address).sha256


def test_a_private_repository_is_the_owners_alone(hub: Hub, small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.push(str(small_run), "hf://me/secret", private=True)
    assert zoo.pull("hf://me/secret").size
    hub.tokens({"hf_other": "other"})
    for token in ("hf_other", ""):
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setenv("ZOO_CACHE", f"/nonexistent/{token}")
        with pytest.raises(TransferError, match="no such repository, or it is private"):
            zoo.pull("hf://me/secret")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    zoo.push(str(small_run), "hf://me/open")
    hub.reset()
    with pytest.raises(TransferError, match="is public; --private was given"):
        zoo.push(CNN, "hf://me/open", private=True)
    assert commits(hub) == 0


def unknown_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_unknown")


def no_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "")


def broken_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\tX")


def nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


def gated(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gate("me/digits")
    hub.tokens({TOKEN: "you"})


def faulty(**rule: Any) -> Callable[[Hub, pytest.MonkeyPatch], None]:
    return lambda hub, monkeypatch: hub.faults({"times": -1, **rule})


@pytest.mark.parametrize(
    ("to", "prepare", "words"),
    [
        ("hf://me/x", unknown_token, "does not know your token.*hf auth login"),
        ("hf://me/x", no_token, "you are not logged in.*hf auth login"),
        ("hf://me/x", broken_token, "holds blanks or control characters"),
        ("hf://other/x", nothing, "needs the role 'write', for a name that is yours"),
        ("hf://me/x", faulty(path="/commit/", status=412), "someone else changed the repository meanwhile"),
        ("hf://me/x", faulty(path="/commit/", status=500), "the Hub answers HTTP 500"),
        ("hf://me/x", faulty(path="/commit/", status=403), "your token may not do this"),
        ("hf://me/x", faulty(path="/api/", html=True), "what answers is not the Hub"),
        (f"hf://me/{'x' * 200}", nothing, "does not take this name"),
    ],
)
def test_a_push_that_fails_says_why(
    hub: Hub, small_run: Path, monkeypatch: pytest.MonkeyPatch, to: str, prepare: Callable[..., None], words: str
) -> None:
    prepare(hub, monkeypatch)
    with pytest.raises(TransferError, match=words) as caught:
        zoo.push(str(small_run), to)
    assert TOKEN not in str(caught.value)


def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub: Hub, small_run: Path) -> None:
    hub.faults({"path": "/commit/", "times": 1, "drop_after": True})
    pushed = zoo.push(str(small_run), "hf://me/digits")
    assert commits(hub) == 1
    assert zoo.pull(pushed.address).sha256 == pushed.entry.sha256


def test_a_commit_of_someone_else_meanwhile_is_not_written_over(hub: Hub, small_run: Path) -> None:
    from huggingface_hub import HfApi

    def commit_once_the_push_has_begun() -> None:
        while not any("/preupload/" in line["path"] for line in hub.log()):
            time.sleep(0.02)
        HfApi().upload_file(repo_id="me/digits", path_or_fileobj=b"x", path_in_repo="config.json")

    zoo.push(CNN, "hf://me/digits")
    hub.reset()
    hub.faults({"path": "/preupload/", "times": 1, "hang": 3.0})
    other = threading.Thread(target=commit_once_the_push_has_begun)
    other.start()
    with pytest.raises(TransferError, match="someone else changed the repository meanwhile"):
        zoo.push(str(small_run), "hf://me/digits")
    other.join()


def test_a_push_that_ended_between_upload_and_commit_goes_on(hub: Hub, small_run: Path) -> None:
    hub.faults({"path": "/commit/", "times": -1, "status": 500})
    with pytest.raises(TransferError):
        zoo.push(str(small_run), "hf://me/digits")
    hub.reset()
    with pytest.raises(TransferError, match=r"has no manifest\.json"):
        zoo.pull("hf://me/digits")
    zoo.push(str(small_run), "hf://me/digits")
    assert not [line for line in hub.log() if line["method"] == "PUT"], "the weights were sent twice"
    assert zoo.pull("hf://me/digits").size


def test_what_arrives_changed_is_noticed(hub: Hub, small_run: Path) -> None:
    hub.faults({"path": "/paths-info/", "times": -1, "status": 200, "body": "[]"})
    with pytest.raises(TransferError, match="did not arrive as it was sent"):
        zoo.push(str(small_run), "hf://me/digits")


@pytest.fixture
def pushed(hub: Hub, small_run: Path) -> str:
    """Something to pull; the log and the cache know nothing of it."""
    address = zoo.push(str(small_run), "hf://me/digits").address
    hub.reset()
    return address


@pytest.mark.parametrize(
    ("address", "prepare", "words"),
    [
        ("hf://me/nothing", nothing, "no such repository, or it is private"),
        ("hf://me/digits@nobranch", nothing, "has no revision 'nobranch'"),
        ("hf://me/digits@" + "0" * 40, nothing, "has no revision '0000"),
        ("hf://me/digits", unknown_token, "does not know your token"),
        ("hf://me/digits", broken_token, "holds blanks or control characters"),
        (
            "hf://me/digits",
            gated,
            "access has to be asked",
        ),
        ("hf://me/digits", faulty(path="/api/", html=True), "what answers is not the Hub"),
        ("hf://me/digits", faulty(path="/resolve/", html=True), "what answers is not the Hub"),
        ("hf://me/digits", faulty(path="/api/", status=404), "not in the Hub's own words: a proxy, perhaps"),
        ("hf://me/digits", faulty(path="/resolve/", status=403), "your token may not do this"),
        ("hf://me/digits", faulty(path="/api/models/me/digits/revision", status=429), "fewer requests"),
        ("hf://me/digits", faulty(path="/api/models/me/digits/revision", status=503), "HTTP 503"),
    ],
)
def test_a_pull_that_fails_says_why_and_leaves_nothing(
    hub: Hub, pushed: str, monkeypatch: pytest.MonkeyPatch, address: str, prepare: Callable[..., None], words: str
) -> None:
    prepare(hub, monkeypatch)
    with pytest.raises(TransferError, match=words) as caught:
        zoo.pull(address)
    assert TOKEN not in str(caught.value)
    assert cache.listing() == []


def test_a_file_that_is_gone_is_named(hub: Hub, pushed: str) -> None:
    entry = replace(publications.find(pushed), sources=(f"{pushed}/none.safetensors",))
    with pytest.raises(TransferError, match="no such file in this revision"):
        cache.obtain(entry)


def test_a_hub_that_hiccups_is_asked_again(hub: Hub, pushed: str) -> None:
    hub.faults(
        {"method": "HEAD", "path": "weights", "times": 1, "status": 500},
        {"method": "GET", "path": "weights", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
        {"method": "GET", "path": "weights", "times": 1, "cut": 500},
    )
    assert zoo.pull(pushed).size
    assert len(downloads(hub)) == 3


def test_another_file_of_the_same_size_is_refused(hub: Hub, pushed: str) -> None:
    hub.faults({"path": "resolve.*weights", "times": -1, "corrupt": True})
    with pytest.raises(HashMismatchError, match="expected sha256"):
        zoo.pull(pushed)
    assert cache.listing() == []
    hub.faults({"path": "resolve.*weights", "times": 1, "corrupt": True})
    assert zoo.pull(pushed).size


def test_a_file_longer_than_published_is_not_taken_in(hub: Hub, pushed: str) -> None:
    publications.find(pushed)
    hub.faults({"method": "GET", "path": "resolve.*weights", "times": -1, "pad": 10**6})
    with pytest.raises(TransferError, match=r"weights.safetensors: it is longer than the \d+ bytes"):
        zoo.pull(pushed)
    assert cache.listing() == []


def test_a_full_disk_is_named_and_leaves_nothing(hub: Hub, pushed: str, capfd: pytest.CaptureFixture[str]) -> None:
    publications.find(pushed)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        zoo.pull(pushed)

    assert in_child(limited) == 9
    assert "CacheError: cannot write" in (said := capfd.readouterr().err)
    assert "no space is left" in said
    assert cache.listing() == []


def test_the_token_does_not_follow_a_redirect_to_another_host(hub: Hub, pushed: str) -> None:
    hub.faults({"path": "resolve.*weights", "times": -1, "redirect": True})
    assert zoo.pull(pushed).size
    log = hub.log()
    assert any("authorization" in line["headers"] for line in log if line["server"] == "hub")
    there = [line for line in log if line["server"] == "cdn"]
    assert there
    assert not any("authorization" in line["headers"] for line in there)


def test_a_commit_needs_no_network_the_second_time_and_a_branch_says_what_it_used(
    hub: Hub, pushed: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    zoo.pull("hf://me/digits")
    hub.reset()
    zoo.load(pushed)
    assert hub.log() == []
    hub.faults({"path": "/api/", "times": -1, "status": 404})
    with caplog.at_level(logging.WARNING):
        zoo.load("hf://me/digits")
    assert f"Using what was pulled before: {pushed}/weights.safetensors" in caplog.text
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    zoo.load(pushed)
    hub.reset()
    with pytest.raises(OfflineError, match="was not pulled before"):
        zoo.load("hf://me/other")
    assert hub.log() == []


HOSTILE = {
    "no JSON": (b"{", "is none of the zoo's"),
    "a list": (b"[]", "is none of the zoo's"),
    "deep": (b"[" * 100_000, "is none of the zoo's"),
    "another format": (b'{"format": 2, "id": "a:b", "weights": {}, "files": {}}', "has format 2, expected 1"),
    "no hash": (b'{"format": 1, "id": "cnn-mnist:x", "weights": {}, "files": {}}', "lacks sha256"),
    "an id that climbs": (b'{"format": 1, "id": "../x:y", "weights": {}, "files": {}}', "is no id"),
    "too long": (b" " * 1_000_001, "longer than the 1000000 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    from huggingface_hub import HfApi

    content, words = HOSTILE[name]
    (tmp_path / "manifest.json").write_bytes(content)
    HfApi().create_repo("me/hostile")
    HfApi().upload_folder(repo_id="me/hostile", folder_path=tmp_path, allow_patterns="manifest.json")
    with pytest.raises((CatalogError, TransferError), match=words):
        zoo.pull("hf://me/hostile")
    assert cache.listing() == []


def test_a_manifest_may_name_any_model_but_only_installed_code_is_run(
    hub: Hub, small_run: Path, tmp_path: Path
) -> None:
    from huggingface_hub import HfApi

    place = addresses.folder(zoo.push(str(small_run), "hf://me/digits").address).join("manifest.json")
    said = json.loads(hub_client.read(place, 10**6) or b"")
    said["id"] = "os-system:x"
    (tmp_path / "manifest.json").write_text(json.dumps(said))
    (tmp_path / "plugin.py").write_text("raise SystemExit('run!')")
    HfApi().upload_folder(repo_id="me/digits", folder_path=tmp_path)
    with pytest.raises(UnknownNameError, match="needs its plugin: pip install it first"):
        zoo.load("hf://me/digits")


def test_the_card_can_be_read_back(hub: Hub, pushed: str) -> None:
    from huggingface_hub import ModelCard, hf_hub_download

    repository, _, commit = pushed.removeprefix("hf://").partition("@")
    card = ModelCard.load(hf_hub_download(repository, "README.md", revision=commit))
    entry = publications.find(pushed)
    assert (card.data.license, card.data.pipeline_tag) == ("apache-2.0", "image-classification")
    assert card.data.library_name == "plugin-zoo"
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {name: claim.value for name, claim in entry.metrics.items()}
    assert entry.sha256 in card.text
    assert entry.command in card.text


def test_only_a_finished_run_of_real_files_is_pushed(hub: Hub, small_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    (copy / runs.WEIGHTS).unlink()
    (copy / runs.WEIGHTS).symlink_to(small_run / runs.WEIGHTS)
    with pytest.raises(RunError, match="is a link"):
        zoo.push(str(copy), "hf://me/x")
    (copy / runs.WEIGHTS).unlink()
    (copy / runs.WEIGHTS).write_bytes((small_run / runs.WEIGHTS).read_bytes()[:-1] + b"\7")
    with pytest.raises(WeightsError, match="is not the file"):
        zoo.push(str(copy), "hf://me/x")
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**record, "state": "interrupted"}))
    with pytest.raises(RunError, match="is not finished"):
        zoo.push(str(copy), "hf://me/x")
    with pytest.raises(RunError, match="has no metric acuracy"):
        zoo.push(str(small_run), "hf://me/x", tolerances={"acuracy": 0.1})
    with pytest.raises(AddressError):
        zoo.push(str(small_run), "me/x")
    assert hub.log() == []


def test_the_token_is_nowhere_to_be_found(
    hub: Hub, small_run: Path, cli: Cli, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Through passing and failing pushes and pulls, with all the debugging there is."""
    loud = {"HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug", "ZOO_DEBUG": ""}
    said = []
    for arguments, code, extra in [
        (["push", str(small_run), "--to", "hf://me/digits"], 0, {}),
        (["push", str(small_run), "--to", "hf://other/digits"], 1, {}),
        (["push", str(small_run), "--to", "hf://me/digits"], 1, {"HF_TOKEN": f"{TOKEN}\tX"}),
        (["pull", "hf://me/digits"], 0, {}),
        (["pull", "hf://me/none"], 1, {}),
        (["pull", "hf://me/digits"], 1, {"HF_TOKEN": f"{TOKEN}\tX", "ZOO_CACHE": str(tmp_path / "other")}),
    ]:
        done = cli(*arguments, expect=code, **{**loud, **extra})
        said.append(done.stdout + done.stderr)
    assert not any(TOKEN in text for text in said)
    hub.faults({"path": "/commit/", "times": -1, "status": 500})
    command = [sys.executable, "-m", "zoo", "push", CNN, "--to", "hf://me/another"]
    trace = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **loud, "ZOO_DEBUG": "1"})
    assert "Traceback" in trace.stderr
    assert TOKEN not in trace.stdout + trace.stderr
    for folder in (small_run, Path.cwd(), cache.folder().parent):
        for path in folder.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    for line in hub.log():
        assert TOKEN not in line["path"]
    assert weights.read(cache.path_of(publications.find("hf://me/digits").sha256))
