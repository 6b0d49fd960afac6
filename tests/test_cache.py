"""The cache: what gets in is what was published, whoever lies, dies, races or runs out of space."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, in_child
from hub_server import Hub

from zoo import cache, download, files, weights
from zoo.entries import Entry
from zoo.errors import CacheError, HashMismatchError, OfflineError, TransferError

NOWHERE = "package:zoo/no/such/file"


@pytest.fixture
def entry(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Some weights that lie on a web server."""
    monkeypatch.setattr(download, "LONGEST_WAIT", 0.01)
    tensors = {"a": torch.arange(300_000.0), "b": torch.ones(3)}
    sha256 = weights.write(tmp_path / "made.safetensors", tensors, {"model": "toy"})
    data = (tmp_path / "made.safetensors").read_bytes()
    return Entry(
        model="toy",
        tag="one",
        default=False,
        file="w.safetensors",
        size=len(data),
        sha256=sha256,
        digest=weights.digest(tensors),
        parameters=300_003,
        sources=(hub.file("w.safetensors", data),),
        config={},
        dataset="digits",
        dataset_digest=sha256,
        license="MIT",
        command="-",
        versions={},
        metrics={},
    )


def requests(hub: Hub) -> int:
    return sum(line["method"] == "GET" for line in hub.log())


def kept() -> list[str]:
    return sorted(path.name for path in cache.folder().glob("*") if not path.name.startswith(".locks"))


def test_weights_are_fetched_once_and_read_often(hub: Hub, entry: Entry) -> None:
    for _ in range(3):
        tensors, metadata = cache.read(entry)
        assert metadata == {"model": "toy"}
        assert torch.equal(tensors["a"], torch.arange(300_000.0))
    assert requests(hub) == 1
    assert kept() == [f"{entry.sha256}.safetensors"]


def test_a_body_damaged_on_its_way_is_fetched_again_once(hub: Hub, entry: Entry) -> None:
    hub.faults({"path": "w.safe", "times": 1, "corrupt": True})
    cache.read(entry)
    assert requests(hub) == 2


def test_another_file_of_the_same_size_never_gets_in(hub: Hub, entry: Entry) -> None:
    hub.faults({"path": "w.safe", "times": -1, "corrupt": True})
    with pytest.raises(HashMismatchError) as caught:
        cache.read(entry)
    assert f"expected sha256 {entry.sha256}, got " in str(caught.value)
    assert entry.sources[0] in str(caught.value)
    assert requests(hub) == 2
    assert kept() == []


def test_a_damaged_copy_is_set_aside_and_fetched_again(
    hub: Hub, entry: Entry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cache.obtain(entry)
    for damage in (lambda data: data[:-1] + b"\7", lambda data: data[:1000], lambda data: b""):
        path.write_bytes(damage(path.read_bytes()))
        with caplog.at_level(logging.WARNING):
            cache.read(entry)
        assert "Fetching it again" in caplog.text
        caplog.clear()
        assert files.sha256(path) == entry.sha256
    assert kept() == [f"{entry.sha256}.damaged", f"{entry.sha256}.safetensors"]
    path.write_bytes(b"damaged once more")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(OfflineError, match="nothing may be fetched"):
        cache.read(entry)
    assert kept() == [f"{entry.sha256}.damaged"]


def test_a_copy_in_a_package_is_verified_too(entry: Entry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "toy_package").mkdir()
    (tmp_path / "toy_package/__init__.py").write_text("")
    path = tmp_path / "toy_package/w.safetensors"
    path.write_bytes((tmp_path / "made.safetensors").read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    packed = replace(entry, sources=("package:toy_package/w.safetensors",))
    cache.read(packed)
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(HashMismatchError, match="is not the file that was published"):
        cache.read(packed)
    assert path.exists()


def test_sources_are_tried_in_order_and_all_are_named_when_none_has_it(hub: Hub, entry: Entry, tmp_path: Path) -> None:
    gone, local = f"{hub.url}/files/gone", f"file://{tmp_path}/made.safetensors"
    assert cache.obtain(replace(entry, sources=(NOWHERE, gone, local))).is_file()
    cache.prune(set())
    with pytest.raises(TransferError) as caught:
        cache.obtain(replace(entry, sources=(NOWHERE, gone, "file:/no/such/file")))
    for words in (NOWHERE, gone, "file:///no/such/file", "toy:one"):
        assert words in str(caught.value)


def test_offline_uses_what_is_here_and_names_what_is_not(
    hub: Hub, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(OfflineError, match=r"w\.safetensors is not in the cache"):
        cache.read(entry)
    monkeypatch.setenv("ZOO_OFFLINE", "0")
    cache.read(entry)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache.read(entry)
    assert requests(hub) == 1


def test_many_processes_make_one_transfer(hub: Hub, entry: Entry) -> None:
    hub.faults({"path": "w.safe", "times": 1, "hang": 0.5})
    children = []
    for _ in range(8):
        if (child := os.fork()) == 0:
            os._exit(0 if cache.read(entry)[1] == {"model": "toy"} else 1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    assert requests(hub) == 1


def test_kill_at_50_moments_of_a_pull_leaves_nothing_or_the_whole_file(hub: Hub, entry: Entry) -> None:
    draw, path, states = random.Random(0), cache.path_of(entry.sha256), []
    begun = time.monotonic()
    in_child(lambda: cache.obtain(entry))
    whole = time.monotonic() - begun
    for _ in range(50):
        path.unlink(missing_ok=True)
        if (child := os.fork()) == 0:
            cache.obtain(entry)
            os._exit(0)
        time.sleep(draw.uniform(0, 1.2 * whole))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        states.append(path.exists())
        if path.exists():
            assert files.sha256(path) == entry.sha256
    assert len(set(states)) == 2, "every kill came too early, or too late, to say anything"
    cache.read(entry)  # the lock of a killed owner is free, and what it left behind is no hindrance
    assert [row["state"] for row in cache.prune({entry.sha256})] in ([], ["partial"])
    assert kept() == [path.name]


def test_what_a_killed_process_began_is_gone_on_with(hub: Hub, entry: Entry) -> None:
    partial = cache.folder() / f"{cache.PARTIAL}{entry.sha256}"
    partial.parent.mkdir(parents=True)
    partial.write_bytes((cache.obtain(entry)).read_bytes()[:500_000])
    cache.path_of(entry.sha256).unlink()
    hub.reset()
    cache.read(entry)
    assert [line["headers"].get("range") for line in hub.log()] == ["bytes=500000-"]
    assert not partial.exists()


def test_a_full_disk_leaves_no_litter(hub: Hub, entry: Entry, capfd: pytest.CaptureFixture[str]) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        cache.obtain(entry)

    assert in_child(limited) == 9
    said = capfd.readouterr().err
    assert "CacheError: cannot write" in said
    assert "no space is left" in said
    assert "ZOO_CACHE" in said
    assert kept() == []


def test_a_cache_that_cannot_be_written_can_be_read(
    entry: Entry, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    cache.read(entry)
    other = replace(entry, sha256=hashlib.sha256(b"other").hexdigest())
    folder = Path(cache.folder()).parent
    base = tmp_path_factory.getbasetemp().parent
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # one folder more for each worker
    for parent in folder.parents:
        if base in (parent, *parent.parents):
            parent.chmod(0o755)  # pytest closes its folders to all others
    subprocess.run(["chmod", "-R", "a+rX,a-w", str(folder)], check=True)

    def as_nobody(work: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            if os.getuid() == 0:
                os.setuid(65534)
            work()

        return run

    assert in_child(as_nobody(lambda: cache.read(entry))) == 0
    assert in_child(as_nobody(lambda: cache.obtain(other))) == 9
    said = capfd.readouterr().err
    assert "CacheError: cannot write" in said
    assert "no permission" in said
    assert "ZOO_CACHE" in said
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)


@pytest.mark.parametrize("place", ["with spaces", "ümläut", b"\xff\xfe".decode(errors="surrogateescape")])
def test_odd_folders_serve(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / place))
    cache.read(entry)
    assert cache.read(entry)[1] == {"model": "toy"}
    assert (tmp_path / place / "weights").is_dir()


def test_a_place_that_is_no_folder_is_named(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "else")
    for place in ("file", "link/x", "x" * 300):
        if place == "link/x":
            (tmp_path / "nowhere").write_text("")
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / place))
        with pytest.raises(CacheError, match="ZOO_CACHE"):
            cache.obtain(entry)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_in_the_cache_is_not_followed(hub: Hub, entry: Entry, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    path = cache.path_of(entry.sha256)
    path.parent.mkdir(parents=True)
    path.symlink_to(outside)
    assert cache.find(entry) is None
    cache.read(entry)
    assert not path.is_symlink()
    assert outside.read_text() == "mine"


def test_the_commands_list_verify_and_prune(
    entry: Entry, cli: Cli, json_of: Callable[..., list[dict[str, Any]]]
) -> None:
    path = cache.obtain(entry)
    assert cli("cache", "path").stdout.strip() == str(cache.folder())
    (row,) = json_of("cache", "list")
    assert (row["state"], row["sha256"], row["bytes"]) == ("ready", entry.sha256, entry.size)
    assert cli("cache", "verify").stdout.count("ready") == 1
    path.write_bytes(b"something else")
    assert "damaged" in cli("cache", "verify", expect=1).stdout
    assert cli("cache", "list").stdout.count("damaged") == 1
    cli("cache", "prune")
    assert json_of("cache", "list") == []
    cache.obtain(entry)
    cli("cache", "prune")  # no registry.toml lists it
    assert kept() == []
