"""Downloads over real HTTP: cut, lied to, refused, redirected, left hanging."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from hub_server import Hub

from zoo import download, progress
from zoo.errors import TransferError

BODY = bytes(range(256)) * 2000


@pytest.fixture
def url(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(download, "LONGEST_WAIT", 0.01)
    return hub.file("x.bin", BODY)


def gets(hub: Hub) -> list[dict[str, str]]:
    return [line["headers"] for line in hub.log() if line["method"] == "GET"]


def test_a_file_comes_whole_and_progress_is_told(hub: Hub, url: str, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with progress.listen(lambda *what: told.append(what)):
        download.fetch(url, tmp_path / "x", len(BODY))
    assert (tmp_path / "x").read_bytes() == BODY
    assert told[-1] == (url, len(BODY), len(BODY))
    assert len(gets(hub)) == 1
    assert not any("authorization" in headers for headers in gets(hub))


def test_a_cut_body_is_resumed_where_it_was_cut(hub: Hub, url: str, tmp_path: Path) -> None:
    hub.faults({"path": "x.bin", "times": 2, "cut": 100_000})
    download.fetch(url, tmp_path / "x", len(BODY))
    assert (tmp_path / "x").read_bytes() == BODY
    assert [headers.get("range") for headers in gets(hub)] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_that_ignores_the_range_is_not_appended_to(hub: Hub, url: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(BODY[:70_000])
    hub.faults({"path": "x.bin", "times": 1, "ignore_range": True})
    download.fetch(url, tmp_path / "x", len(BODY))
    assert (tmp_path / "x").read_bytes() == BODY
    assert len(gets(hub)) == 1


def test_a_busy_server_is_asked_again_after_the_time_it_names(
    hub: Hub, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LONGEST_WAIT", 5.0)
    hub.faults({"path": "x.bin", "times": 1, "status": 429, "headers": {"Retry-After": "1"}})
    begun = time.monotonic()
    download.fetch(url, tmp_path / "x", len(BODY))
    assert time.monotonic() - begun >= 1
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_server_that_stays_broken_is_given_up(hub: Hub, url: str, tmp_path: Path) -> None:
    hub.faults({"path": "x.bin", "times": -1, "status": 503})
    with pytest.raises(TransferError, match=r"x\.bin: the server answers 503.*tried 5 times"):
        download.fetch(url, tmp_path / "x", len(BODY))
    assert len(gets(hub)) == 5


@pytest.mark.parametrize(
    ("status", "words"), [(401, "asks for a login"), (403, "is forbidden"), (404, "no such file"), (410, "is gone")]
)
def test_a_refusal_is_final_and_says_which(hub: Hub, url: str, tmp_path: Path, status: int, words: str) -> None:
    hub.faults({"path": "x.bin", "times": -1, "status": status})
    with pytest.raises(TransferError, match=rf"{words} \(HTTP {status}\)"):
        download.fetch(url, tmp_path / "x", len(BODY))
    assert len(gets(hub)) == 1
    assert not (tmp_path / "x").exists()


def test_a_login_page_is_named(hub: Hub, url: str, tmp_path: Path) -> None:
    hub.faults({"path": "x.bin", "times": -1, "html": True})
    with pytest.raises(TransferError, match="a web page instead of the file"):
        download.fetch(url, tmp_path / "x", len(BODY))
    assert not (tmp_path / "x").exists()


def test_no_more_is_taken_than_was_announced(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CHUNK", 1000)
    with pytest.raises(TransferError, match="more than the 5000 bytes"):
        download.fetch(url, tmp_path / "x", 5000)
    assert (tmp_path / "x").stat().st_size <= 6000


def test_a_beginning_that_is_too_long_starts_anew(hub: Hub, tmp_path: Path) -> None:
    url = hub.file("short.bin", BODY[:50])
    (tmp_path / "x").write_bytes(bytes(80))
    with pytest.raises(TransferError, match="tried"):
        download.fetch(url, tmp_path / "x", 100)
    assert gets(hub)[0].get("range") == "bytes=80-"


def test_a_black_hole_and_a_closed_port_end(
    hub: Hub, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    hub.faults({"path": "x.bin", "times": -1, "hang": 2})
    with pytest.raises(TransferError, match="timed out; tried 5 times"):
        download.fetch(url, tmp_path / "x", len(BODY))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransferError, match="refused; tried 5 times"):
        download.fetch(f"http://127.0.0.1:{port}/x", tmp_path / "x", 10)
    with pytest.raises(TransferError, match=r"no-such-host\.invalid"):
        download.fetch("https://no-such-host.invalid/x", tmp_path / "x", 10)


def test_a_redirect_is_followed(hub: Hub, url: str, tmp_path: Path) -> None:
    hub.faults({"path": "x.bin", "times": 1, "redirect": True})
    download.fetch(url, tmp_path / "x", len(BODY))
    assert (tmp_path / "x").read_bytes() == BODY
    assert {line["server"] for line in hub.log()} == {"hub", "cdn"}
