"""registry.toml: what is published is what is there, and a broken file is named with its line."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from zoo import catalog, datasets, registry, weights
from zoo.errors import CatalogError, UnknownNameError

HEX = "0123456789abcdef" * 4
GOOD = f"""
[weights."toy:one"]
default = true
size = 10
sha256 = "{HEX}"
digest = "{HEX}"
parameters = 5
sources = ["package:zoo/registry.py"]
dataset = "digits"
dataset_digest = "{HEX}"
license = "MIT"
command = "zoo train toy"
versions = {{ torch = "2" }}
metrics = {{ accuracy = {{ value = 0.5, tolerance = 0.01 }} }}
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "registry.toml"
    monkeypatch.setattr(catalog, "location", lambda: path)
    catalog.entries.cache_clear()
    return path


@pytest.fixture(autouse=True)
def fresh() -> None:
    catalog.entries.cache_clear()


def test_what_is_declared_is_what_lies_there() -> None:
    entries = catalog.entries()
    assert {"cnn-mnist:mnist", "cnn-mnist:digits"} <= entries.keys()
    for entry in entries.values():
        data = entry.path().read_bytes()
        assert len(data) == entry.size
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        tensors, metadata = weights.read(entry.path(), entry.sha256)
        assert weights.digest(tensors) == entry.digest
        assert metadata["model"] == entry.model
        assert metadata["dataset"]["name"] == entry.dataset
        assert metadata["dataset"]["digest"] == entry.dataset_digest == datasets.spec(entry.dataset).digest
        assert entry.metrics.keys() <= {metric.name for metric in registry.load(entry.model).spec.metrics}


def test_an_entry_survives_being_written(written: Path) -> None:
    written.write_text(GOOD)
    entry = catalog.find("toy")
    assert entry.id == "toy:one"
    assert entry.path().name == "registry.py"
    assert entry.metrics["accuracy"].holds(0.509)
    assert not entry.metrics["accuracy"].holds(0.511)
    assert not entry.metrics["accuracy"].holds(float("nan"))
    written.write_text(catalog.to_toml(entry))
    catalog.entries.cache_clear()
    assert catalog.find("toy:one") == entry
    assert "default" not in catalog.to_toml(dataclasses.replace(entry, default=False))


def test_unknown_names_get_the_nearest(written: Path) -> None:
    written.write_text(GOOD)
    with pytest.raises(UnknownNameError, match="Did you mean 'one'"):
        catalog.find("toy:won")
    with pytest.raises(UnknownNameError, match="zoo train other"):
        catalog.find("other")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD + GOOD, r"registry\.toml:16: "),
        (GOOD + 'x = "\x00"', r"registry\.toml:\d+: "),
        (GOOD.encode() + b"\n\n# \xff\n", r"registry\.toml:17: not UTF-8"),
        ("a = " + "[" * 5000, r"registry\.toml:\d+: "),
        (GOOD.replace("size", "sise"), "unknown key 'sise'. Did you mean 'size'"),
        (GOOD.replace('license = "MIT"\n', ""), "lacks license"),
        (GOOD.replace("size = 10", 'size = "10"'), "expected int"),
        (GOOD.replace("size = 10", "size = true"), "expected int"),
        (GOOD.replace(f'sha256 = "{HEX}"', f'sha256 = "{HEX[:-1]}"'), "64 lower-case"),
        (GOOD.replace(f'digest = "{HEX}"', f'digest = "{HEX.upper()}"', 1), "64 lower-case"),
        (GOOD.replace("package:zoo/registry.py", "package:zoo/../../etc/passwd"), "expected package:"),
        (GOOD.replace("package:zoo/registry.py", "/etc/passwd"), "expected package:"),
        (GOOD.replace("tolerance", "tol"), "metrics: expected"),
        (GOOD.replace('"toy:one"', '"toy"'), r"model:tag"),
        (GOOD.replace("default = true\n", ""), "exactly one tag with default"),
        ("weights = 3", "expected tables"),
        ("#" * 4_000_001, "at most 4000000"),
    ],
)
def test_a_broken_file_is_named(written: Path, content: str | bytes, words: str) -> None:
    written.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CatalogError, match=words):
        catalog.entries()
