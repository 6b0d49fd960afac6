"""registry.toml: what is published is what is there, and a broken file is named with its line."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Cli, install

from zoo import cache, catalog, checking, datasets, weights
from zoo.errors import CatalogError, UnknownNameError

HEX = "0123456789abcdef" * 4
GOOD = f"""
[weights."cnn-mnist:one"]
default = true
file = "one.safetensors"
size = 10
sha256 = "{HEX}"
digest = "{HEX}"
parameters = 5
sources = ["package:zoo/registry.py"]
config = {{ lr = 0.1, channels = [1, 2], name = "a\\"b" }}
dataset = "digits"
dataset_digest = "{HEX}"
license = "MIT"
command = "zoo train toy"
versions = {{ torch = "2", "odd name" = "1" }}
metrics = {{ accuracy = {{ value = 0.5, tolerance = 0.01 }} }}
"""


def forget() -> None:
    catalog.entries_of.cache_clear()
    catalog._read_once.cache_clear()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "registry.toml"
    monkeypatch.setattr(catalog, "location", lambda: path)
    return path


@pytest.fixture(autouse=True)
def fresh() -> None:
    forget()


def test_what_is_declared_is_what_lies_there() -> None:
    everything = catalog.everything()
    assert {"cnn-mnist:mnist", "cnn-mnist:digits"} <= everything.keys()
    assert checking.check([]) == ([], len(everything))
    for entry in everything.values():
        path = cache.obtain(entry)
        data = path.read_bytes()
        assert len(data) == entry.size
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        tensors, metadata = weights.read(path, entry.sha256)
        assert weights.digest(tensors) == entry.digest
        assert metadata["config"] == entry.config
        assert metadata["dataset"]["digest"] == entry.dataset_digest == datasets.spec(entry.dataset).digest


def test_an_entry_survives_being_written(written: Path) -> None:
    written.write_text(GOOD)
    entry = catalog.find("cnn-mnist")
    assert entry.id == "cnn-mnist:one"
    assert entry.config["name"] == 'a"b'
    assert entry.metrics["accuracy"].holds(0.509)
    assert not entry.metrics["accuracy"].holds(0.511)
    assert not entry.metrics["accuracy"].holds(float("nan"))
    odd = dataclasses.replace(
        entry, versions={"x": "\x7f\t"}, command="zoo train 'ü\U0001f600' \\ \"", config={"a": (1, 2.5), "b": None}
    )
    written.write_text(catalog.to_toml(odd))
    forget()
    assert catalog.find("cnn-mnist:one") == dataclasses.replace(odd, config={"a": [1, 2.5]})
    assert "default" not in catalog.to_toml(dataclasses.replace(entry, default=False))


def test_unknown_names_get_the_nearest(written: Path) -> None:
    written.write_text(GOOD)
    with pytest.raises(UnknownNameError, match="Did you mean 'one'"):
        catalog.find("cnn-mnist:won")
    with pytest.raises(UnknownNameError, match="Did you mean 'cnn-mnist'"):
        catalog.find("cnn-mnits")


FAULTS = [
    (GOOD + GOOD, 18, ""),
    (GOOD + 'x = "\x00"', 17, ""),
    (GOOD + "\ufeff", 17, ""),
    ("\ufeff" + GOOD, 1, ""),
    (GOOD[:-30], 16, ""),
    (GOOD.encode() + b"\n\n# \xff\n", 19, "not UTF-8"),
    ("a = " + "[" * 5000, 1, ""),
    (GOOD.replace("size", "sise"), 5, "unknown key 'sise'. Did you mean 'size'"),
    (GOOD.replace("size", "sise"), 2, "lacks size"),
    (GOOD.replace('license = "MIT"\n', ""), 2, "lacks license"),
    (GOOD.replace(f'sha256 = "{HEX}"\n', ""), 2, "lacks sha256"),
    (GOOD.replace("size = 10", 'size = "10"'), 5, "expected int"),
    (GOOD.replace("size = 10", "size = true"), 5, "expected int"),
    (GOOD.replace("size = 10", "size = 0"), 5, "expected a positive number"),
    (GOOD.replace(f'sha256 = "{HEX}"', f'sha256 = "{HEX[:-1]}"'), 6, "64 lower-case"),
    (GOOD.replace(f'\ndigest = "{HEX}"', f'\ndigest = "{HEX.upper()}"'), 7, "64 lower-case"),
    (GOOD.replace("package:zoo/registry.py", "package:zoo/../../etc/passwd"), 9, "no name of a published file"),
    (GOOD.replace("package:zoo/registry.py", "/etc/passwd"), 9, "is no address"),
    (GOOD.replace("package:zoo/registry.py", "hf://a/b@main/c"), 9, "commit of 40"),
    (GOOD.replace('["package:zoo/registry.py"]', "[]"), 9, "at least one"),
    (GOOD.replace('["package:zoo/registry.py"]', "[3]"), 9, "is no address"),
    (GOOD.replace('"one.safetensors"', '"../one"'), 4, "no name of a published file"),
    (GOOD.replace("tolerance", "tol"), 16, "expected { value"),
    (GOOD.replace("0.01", "nan"), 16, "finite"),
    (GOOD.replace("0.01", "0.01, seeds = [0.5]"), 16, "two runs or more"),
    (GOOD.replace("0.01", "0.01, seeds = [0.5, nan]"), 16, "finite"),
    (GOOD.replace('"MIT"', '""'), 13, "one line of text"),
    (GOOD.replace('"2"', "2"), 15, "expected text"),
    (GOOD.replace('"cnn-mnist:one"', '"toy"'), 2, "model:tag"),
    (GOOD.replace('"cnn-mnist:one"', '"cnn-mnist:One"'), 2, "lower-case"),
    (GOOD.replace('"cnn-mnist:one"', '"cnn-mnist:o\u0308ne"'), 2, "lower-case"),
    (GOOD.replace('"cnn-mnist:one"', '"cnn-mnist:\u202eone"'), 2, "lower-case"),
    (GOOD.replace('"cnn-mnist:one"', '"../cnn:one"'), 2, "lower-case"),
    (GOOD + GOOD.replace(":one", ":two"), 19, "is the default already"),
    ("weights = 3", 1, "expected tables"),
    ("weight = 3", 1, "unknown table 'weight'"),
    ('[weights]\n"a:b" = 3', 1, "expected a table"),
]


@pytest.mark.parametrize(("content", "line", "words"), FAULTS)
def test_a_broken_file_is_named_with_the_line(written: Path, content: str | bytes, line: int, words: str) -> None:
    written.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CatalogError) as caught:
        catalog.find("cnn-mnist")
    assert any(f"registry.toml:{line}: " in text and words in text for text in str(caught.value).splitlines())
    assert str(caught.value).splitlines() == catalog.faults(written)


def test_a_huge_file_is_refused_unread(written: Path) -> None:
    written.write_text("#" * 4_000_001)
    with pytest.raises(CatalogError, match="at most 4000000"):
        catalog.find("cnn-mnist")


def test_a_missing_default_is_an_error(written: Path) -> None:
    written.write_text(GOOD.replace("default = true\n", ""))
    with pytest.raises(CatalogError, match="exactly one tag with default"):
        catalog.find("cnn-mnist")


def test_check_lists_every_fault_at_once_and_exits_with_1(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(GOOD.replace("size = 10", "size = -1").replace('"MIT"', '""'))
    said = cli("registry", "check", str(path), expect=1).stdout
    assert f"{path}:5: cnn-mnist:one: size" in said
    assert f"{path}:13: cnn-mnist:one: license" in said


def test_check_compares_the_files_that_are_here(tmp_path: Path, json_of: Callable[..., Any], cli: Cli) -> None:
    """The zoo's own file, changed in one place at a time."""
    text, path = catalog.location().read_text(), tmp_path / "registry.toml"
    entry = catalog.find("cnn-mnist:digits")
    table, epochs = text.index('[weights."cnn-mnist:digits"]'), entry.config["epochs"]
    for old, new, words in [
        (f"size = {entry.size}", "size = 77", f"has {entry.size} bytes"),
        (entry.sha256, HEX, "expected sha256"),
        (entry.digest, HEX, "the digest of the tensors"),
        (entry.dataset_digest, HEX, "is not that of digits"),
        (f"epochs = {epochs}", "epochs = 31", f"was made with {epochs}"),
        ("accuracy =", "acuracy =", "has no metric 'acuracy'"),
        ("package:zoo_cnn_mnist/weights/digits", "package:zoo_cnn_mnist/weights/none", "the file is not at"),
    ]:
        changed = text[:table] + text[table:].replace(old, new, 1)
        assert changed != text
        path.write_text(changed)
        faults = checking.check([path])[0]
        assert any(words in fault and f"{path}:" in fault for fault in faults), (words, faults)
    path.write_text(text.replace("cnn-mnist:", "cnn-mist:"))
    assert "unknown model 'cnn-mist'. Did you mean 'cnn-mnist'?" in cli("registry", "check", str(path), expect=1).stdout


@pytest.fixture
def publisher(tmp_path: Path) -> Callable[[str], str]:
    """Installs the example plugin with a registry.toml of its own."""

    def build(content: str) -> str:
        project = tmp_path / "project"
        project.mkdir()
        example = ROOT / "examples/zoo-perceptron"
        (project / "zoo_perceptron").mkdir()
        for name in ("pyproject.toml", "zoo_perceptron/__init__.py", "zoo_perceptron/plugin.py"):
            if (example / name).exists():
                (project / name).write_text((example / name).read_text())
        plugin = project / "zoo_perceptron/plugin.py"
        changed = plugin.read_text().replace(
            'name="perceptron",',
            'name="perceptron", registry=str(__import__("pathlib").Path(__file__).with_name("registry.toml")),',
        )
        assert changed != plugin.read_text()
        plugin.write_text(changed)
        (project / "zoo_perceptron/registry.toml").write_text(content)
        return install(project, tmp_path / "site")

    return build


def test_a_plugin_publishes_by_a_file_of_its_own(publisher: Callable[[str], str], cli: Cli) -> None:
    site = publisher(GOOD.replace("cnn-mnist:", "perceptron:"))
    assert "perceptron" in cli("list", PYTHONPATH=site).stdout
    row = next(line for line in cli("list", PYTHONPATH=site).stdout.splitlines() if line.startswith("perceptron"))
    assert " one " in row
    said = cli("evaluate", "perceptron:one", expect=1, PYTHONPATH=site).stderr
    assert "is not a sound safetensors file" in said or "is not the file that was published" in said
    said = cli("registry", "check", expect=1, PYTHONPATH=site).stdout
    assert "zoo_perceptron/registry.toml:" in said
    assert "cnn-mnist" not in said


def test_a_clash_names_both_files_and_disturbs_no_other_model(
    publisher: Callable[[str], str], cli: Cli, json_of: Callable[..., Any], tmp_path: Path
) -> None:
    """Two files that publish one id: the core's and the plugin's."""
    mine = GOOD.replace("cnn-mnist:", "perceptron:")
    site = publisher(mine)
    core = tmp_path / "core.toml"
    core.write_text(catalog.location().read_text() + mine)
    start = tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(
        f"import pathlib, zoo.catalog\nzoo.catalog.location = lambda: pathlib.Path({str(core)!r})\n"
    )
    path = f"{start}:{site}"
    said = cli("evaluate", "perceptron:one", expect=1, PYTHONPATH=path).stderr
    assert "perceptron:one is published twice" in said
    assert f"{core}:" in said
    assert "zoo_perceptron/registry.toml:2" in said
    rows = {row["name"]: row for row in json_of("list", PYTHONPATH=path)}
    assert rows["perceptron"]["tags"] == []
    assert "published twice" in rows["perceptron"]["reason"]
    assert rows["cnn-mnist"]["tags"] == ["mnist", "digits"]
    assert "published twice" in cli("registry", "check", expect=1, PYTHONPATH=path).stdout


def test_a_plugins_broken_file_leaves_the_others_usable(
    publisher: Callable[[str], str], cli: Cli, json_of: Callable[..., Any]
) -> None:
    site = publisher("this is no toml")
    rows = {row["name"]: row for row in json_of("list", PYTHONPATH=site)}
    assert "registry.toml:1" in rows["perceptron"]["reason"]
    assert rows["cnn-mnist"]["tags"] == ["mnist", "digits"]
    assert json_of("train", "perceptron", "--epochs", "1", PYTHONPATH=site)["sha256"]
