"""Data sets: what they hold, where they are looked for, and what a user reads when they cannot be had."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli

from zoo import datasets
from zoo.environment import data_folder
from zoo.errors import DatasetError, UnknownNameError


def test_digits_are_what_they_were() -> None:
    digits = datasets.load("digits")
    images, labels = digits.split("train")
    assert images.shape == (1437, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert images.max() == 255
    assert torch.bincount(labels).min() > 130
    assert len(digits.split("test")[0]) == 360
    train, test = ({image.numpy().tobytes() for image in digits.split(name)[0]} for name in ("train", "test"))
    assert not train & test
    assert digits.info.digest == datasets.digest(digits.splits)
    with pytest.raises(UnknownNameError, match="Known: test, train"):
        digits.split("tset")


def test_another_content_is_another_digest_and_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = datasets.load("digits")
    images, labels = digits.split("train")
    changed = images.clone()
    changed[0, 0, 0, 0] ^= 1
    assert datasets.digest({**digits.splits, "train": (changed, labels)}) != digits.info.digest
    from zoo.datasets import digits as module

    monkeypatch.setattr(module, "TEST_EXAMPLES", 300)
    with pytest.raises(DatasetError, match=r"'digits' is not what it should be.*expected [0-9a-f]{64}"):
        datasets.load("digits")


@pytest.mark.usefixtures("mnist")
def test_mnist_is_mnist() -> None:
    mnist = datasets.load("mnist")
    assert {name: len(split[0]) for name, split in mnist.splits.items()} == {"train": 60_000, "test": 10_000}


@pytest.mark.usefixtures("mnist")
def test_a_damaged_file_by_hand_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    shutil.copytree(data_folder() / "MNIST" / "raw", raw)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    labels = raw / "t10k-labels-idx1-ubyte"
    good = labels.read_bytes()
    labels.write_bytes(good[:-1] + bytes([(good[-1] + 1) % 10]))
    with pytest.raises(DatasetError, match=r"not what it should be: its digest.*\n.*zoo data fetch mnist"):
        datasets.load("mnist")
    labels.write_bytes(good[:100])
    with pytest.raises(DatasetError, match="not what it should be"):
        datasets.load("mnist")


# The network, on loopback.


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put on the server: bytes by path, or a status for everything."""

    def do_GET(self) -> None:
        body: bytes | None = self.server.bodies.get(self.path.rpartition("/")[2])  # type: ignore[attr-defined]
        body = self.server.anything if body is None else body  # type: ignore[attr-defined]
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.bodies, found.anything = {}, None  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


FETCH = """
import sys
from zoo.datasets.torchvision import torchvision_datasets
name, url, *md5s = sys.argv[1:]
mnist = getattr(torchvision_datasets(), {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name])
mnist.mirrors = [url]
mnist.resources = [(file, dict(zip(md5s[::2], md5s[1::2])).get(file, md5)) for file, md5 in mnist.resources]
from zoo import datasets, errors
from zoo.datasets import mnist as module
module.TIMEOUT_SECONDS = 1.0
try:
    print(datasets.load(name).info.digest)
except errors.DatasetError as error:
    print(error)
    sys.exit(1)
"""


def fetch(url: str, folder: Path, *md5s: str, code: int = 0, name: str = "mnist") -> str:
    environment = {**os.environ, "ZOO_DATA": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, name, url, *md5s], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.usefixtures("mnist")
def test_fetching_over_http_brings_mnist(tmp_path: Path, server: Any) -> None:
    md5s: list[str] = []
    for name in datasets.spec("mnist").files:
        packed = gzip.compress((data_folder() / name).read_bytes(), 1, mtime=0)
        base = f"{Path(name).name}.gz"
        server.bodies[base] = packed
        md5s += [base, hashlib.md5(packed).hexdigest()]
    said = fetch(f"http://127.0.0.1:{server.server_port}/", tmp_path / "fetched", *md5s)
    assert said.strip() == datasets.spec("mnist").digest
    assert {path.name for path in (tmp_path / "fetched").iterdir()} == {"MNIST"}


def test_fashion_mnist_is_fetched_with_its_makers_checksums(tmp_path: Path, server: Any) -> None:
    """Files of the right form and another content: their checksum is taken for the makers', then for a wrong one."""
    md5s: list[str] = []
    header = {"images": struct.pack(">4i", 0x803, 3, 28, 28) + bytes(3 * 784), "labels": struct.pack(">2i", 0x801, 3)}
    for name in datasets.spec("fashion-mnist").files:
        content = header["images"] if "images" in name else header["labels"] + bytes(3)
        base = f"{Path(name).name}.gz"
        server.bodies[base] = gzip.compress(content, 1, mtime=0)
        md5s += [base, hashlib.md5(server.bodies[base]).hexdigest()]
    url = f"http://127.0.0.1:{server.server_port}/"
    said = fetch(url, tmp_path / "right", *md5s, name="fashion-mnist")
    assert len(said.strip()) == 64
    said = fetch(url, tmp_path / "wrong", name="fashion-mnist", code=1)
    assert "'fashion-mnist' is not in" in said


@pytest.mark.parametrize("fault", ["404", "portal", "closed", "black hole"])
def test_a_failing_network_ends_in_three_ways_out_and_leaves_nothing(tmp_path: Path, server: Any, fault: str) -> None:
    port = server.server_port
    if fault == "portal":
        server.anything = b"<html>please log in</html>"
    silent = socket.create_server(("127.0.0.1", 0))  # accepts, and never answers
    if fault == "black hole":
        port = silent.getsockname()[1]
    if fault == "closed":
        silent.close()
        port = 1
    said = fetch(f"http://127.0.0.1:{port}/", tmp_path / "fetched", code=1)
    silent.close()
    assert "'mnist' is not in" in said
    assert "1. put the files there by hand" in said
    assert "2. have them elsewhere? ZOO_DATA=DIR" in said
    assert "3. data that needs no network: --dataset digits" in said
    assert list((tmp_path / "fetched").iterdir()) == []


def test_training_without_data_says_so_and_makes_no_run(cli: Cli, tmp_path: Path) -> None:
    proxy = {f"{scheme}_proxy": "http://127.0.0.1:1" for scheme in ("http", "https")}
    done = cli("train", "cnn-mnist", expect=1, ZOO_DATA=str(tmp_path / "none"), **proxy)
    assert "Three ways out" in done.stderr
    assert not Path("runs").exists()


def test_data_commands(cli: Cli, json_of: Callable[..., Any], tmp_path: Path) -> None:
    listed = {row["name"]: row for row in json_of("data", "list", ZOO_DATA=str(tmp_path / "none"))}
    assert listed["digits"]["state"] == "embedded"
    assert listed["mnist"]["state"] == "missing"
    assert listed["mnist"]["splits"] == {"train": 60000, "test": 10000}
    assert {"text:PATH", "tu:NAME"} <= set(listed)
    where = json_of("data", "where", "mnist", ZOO_DATA=str(tmp_path / "none"))
    assert len(where["files"]) == 4
    assert all(path.startswith(str(tmp_path / "none")) for path in where["files"])
    assert json_of("data", "fetch", "digits")["embedded"] is True
    assert "Did you mean 'mnist'" in cli("data", "fetch", "mnits", expect=1).stderr


def test_torchvision_data_sets_import_with_and_without_its_compiled_extension() -> None:
    script = (
        "from zoo.datasets import torchvision as t; import torch;"
        "found = t.torchvision_datasets(); assert found.MNIST and found is t.torchvision_datasets();"
        "torch.ops.torchvision.nms; print(len(t._declared))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    plain = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == ("0" if plain.returncode == 0 else "1")
