"""Addresses: what names one place and nothing outside of it is taken, everything else is refused and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import addresses
from zoo.errors import AddressError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("package:zoo_x/weights/a.safetensors", "package"),
        (f"hf://owner/name@{COMMIT}/a.safetensors", "hf"),
        (f"hf://owner/name@{COMMIT}/folder/a.safetensors", "hf"),
        ("https://example.org/a/b.safetensors?download=1", "https"),
        ("http://127.0.0.1:8000/b.safetensors", "https"),
        ("file:///a folder/größe.safetensors", "file"),
        ("s3://bucket/folder/a.safetensors", "s3"),
    ],
)
def test_sources_survive_being_parsed(text: str, scheme: str) -> None:
    address = addresses.source(text)
    assert address.scheme == scheme
    assert str(address) == text
    assert addresses.source(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/passwd",
        "weights.safetensors",
        "package:zoo",
        "package:zoo/../secret",
        "package:zoo//secret",
        "package:zoo/.git/config",
        "package:zoo/a\\..\\b",
        "package:zoo/C:/x",
        "package:zoo/a\0b",
        "package:zoo/name.",
        "package:../zoo/a",
        "hf://owner/name/a.safetensors",
        "hf://owner/name@main/a.safetensors",
        f"hf://owner/name@{COMMIT[:39]}/a.safetensors",
        f"hf://owner/name@{COMMIT}/../a.safetensors",
        f"hf://owner/name@{COMMIT}/.git/hooks/x",
        f"hf://owner/name@{COMMIT}",
        f"hf://öwner/name@{COMMIT}/a",
        f"hf://owner/..@{COMMIT}/a",
        "http://example.org/a",
        "https://user:secret@example.org/a",
        "https://example.org/../a",
        "https://example.org/a\nb",
        "https:///a",
        "javascript:alert(1)",
        "file:",
        "file:/a/../b",
        "file:/a\0b",
    ],
)
def test_what_could_lie_elsewhere_or_change_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        addresses.source(text)


def test_folders_are_joined_with_checked_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(addresses.folder("hf://me/x").join("a.json")) == "hf://me/x/a.json"
    assert str(addresses.folder("hf://me/x@dev").join("a.json")) == "hf://me/x@dev/a.json"
    assert str(addresses.folder("file:here").join("a.json")) == f"file://{tmp_path}/here/a.json"
    assert str(addresses.folder("s3://bucket/x/").join("a.json")) == "s3://bucket/x/a.json"
    for name in ("../a", "a/../b", "/a", ".env", "a\\b", "", "con", "NUL.txt", "x" * 300, "ä"):
        with pytest.raises(AddressError):
            addresses.folder("file:here").join(name)
    for text in ("hf://me", "hf://me/x/file.json", "hf://me/x@../y", "s3://bucket", "https://example.org/x", "here"):
        with pytest.raises(AddressError):
            addresses.folder(text)
