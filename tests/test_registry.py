"""Plugins from real distributions, installed by pip: good ones appear, broken ones are named, none disturbs another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Cli, install

GOOD = (ROOT / "examples/zoo-perceptron/zoo_perceptron/plugin.py").read_text()


def distribution(folder: Path, name: str, source: str | None, *, entry: str = "", group: str = "zoo.plugins") -> str:
    """A distribution `zoo-x-NAME` with the plugin NAME (or `entry`), installed by pip into a folder of its own."""
    package = f"zoo_x_{name.replace('-', '_')}"
    project = folder / "projects" / name
    (project / package).mkdir(parents=True)
    (project / package / "__init__.py").write_text("")
    if source is not None:
        (project / package / "plugin.py").write_text(source)
    (project / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        f'[project]\nname = "zoo-x-{name}"\nversion = "1.2"\n'
        f'[project.entry-points."{group}"]\n{entry or name} = "{package}.plugin"\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["{package}"]\n'
    )
    return install(project, folder / "sites" / name)


def renamed(name: str) -> str:
    return GOOD.replace('name="perceptron"', f'name="{name}"')


def first(line: str, name: str) -> str:
    """The good plugin, renamed, with a line that runs when it is imported."""
    return renamed(name).replace("import zoo\n", f"import zoo\n{line}\n", 1)


BROKEN = {
    "raises": (first('raise RuntimeError("no luck")', "raises"), "RuntimeError: no luck"),
    "exits": (first("import sys; sys.exit(3)", "exits"), "SystemExit: 3"),
    "interrupts": (first("raise KeyboardInterrupt", "interrupts"), "KeyboardInterrupt, though nobody"),
    "syntax": ("def zoo_model(:\n", "SyntaxError"),
    "needs": (first("import no_such_package", "needs"), "No module named 'no_such_package'"),
    "lacks": (renamed("lacks").replace("def zoo_export", "def export"), "lacks zoo_export"),
    "misspelt": (renamed("misspelt").replace("def zoo_train", "def zoo_trian"), "did you mean zoo_train?"),
    "undecorated": (
        renamed("undecorated").replace("@zoo.hookimpl\ndef zoo_build", "def zoo_build"),
        "lacks zoo_build",
    ),
    "argument": (renamed("argument").replace("zoo_train(run: zoo.Run)", "zoo_train(rum: zoo.Run)"), "rum"),
    "othername": (renamed("somethingelse"), "somethingelse"),
    "nospec": (renamed("nospec").replace("return zoo.ModelSpec(", "return dict("), "returned dict"),
    "missing": (None, "No module named"),
}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A good plugin and every kind of broken one, side by side."""
    folder = tmp_path_factory.mktemp("plugins")
    found = [distribution(folder, "good", renamed("good"))]
    found += [distribution(folder, name, source) for name, (source, _) in BROKEN.items()]
    found += [distribution(folder, "clash-a", renamed("twin"), entry="twin")]
    found += [distribution(folder, "clash-b", renamed("twin"), entry="twin")]
    future = renamed("future").replace("api_version = 1", "api_version = 2") + "\nraise RuntimeError('imported')\n"
    found += [distribution(folder, "future", future)]
    return ":".join(found)


@pytest.fixture
def with_sites(sites: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", sites)


@pytest.mark.usefixtures("with_sites")
def test_broken_plugins_are_shown_as_broken_and_nothing_else_changes(json_of: Callable[..., Any]) -> None:
    listed = {row["name"]: row for row in json_of("list")}
    assert listed["good"]["state"] == "ok"
    assert listed["good"]["distribution"] == "zoo-x-good"
    assert listed["good"]["version"] == "1.2"
    assert listed["cnn-mnist"]["state"] == "ok"
    for name, (_, words) in BROKEN.items():
        assert listed[name]["state"] == "broken", name
        assert words in listed[name]["reason"], name
    assert listed["twin"]["state"] == "clash"
    assert "zoo-x-clash-a 1.2 and zoo-x-clash-b 1.2 both claim 'twin'" in listed["twin"]["reason"]
    assert listed["future"]["state"] == "incompatible"
    assert "needs plugin contract 2, this zoo has 1" in listed["future"]["reason"]


@pytest.mark.usefixtures("with_sites")
def test_a_broken_plugin_is_refused_by_name_and_a_good_one_trains(cli: Cli) -> None:
    assert "RuntimeError: no luck" in cli("info", "raises", expect=1).stderr
    assert "zoo-x-clash-a" in cli("train", "twin", expect=1).stderr
    assert "contract 2" in cli("train", "future", expect=1).stderr
    cli("train", "good", "--epochs", "1")


@pytest.mark.usefixtures("with_sites")
def test_listing_imports_no_plugin_and_needs_no_import_to_find_faults(json_of: Callable[..., Any]) -> None:
    script = (
        "import sys; from zoo import registry; assert len(registry.plugins()) > 10;"
        "bad = [m for m in sys.modules if m.startswith(('zoo_x_', 'zoo_cnn'))]; assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    states = {row["name"]: row["state"] for row in json_of("plugins", "list")}
    assert states["raises"] == "installed"  # only running it would tell
    for name in ("syntax", "lacks", "misspelt", "missing"):
        assert states[name] == "broken", name


@pytest.mark.usefixtures("with_sites")
def test_only_the_asked_plugin_is_imported() -> None:
    script = (
        "import sys; from zoo import registry; registry.load('good');"
        "print(*sorted(m for m in sys.modules if m.startswith('zoo_')))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["zoo_x_good", "zoo_x_good.plugin"]


def test_doctor_survives_a_plugin_that_kills_the_process(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = first("import os; os._exit(7)", "killer")
    monkeypatch.setenv("PYTHONPATH", distribution(tmp_path, "killer", source))
    done = cli("plugins", "doctor", "killer", "--json", expect=1)
    assert "ended the process with code 7" in done.stdout
    assert '"ok"' in cli("plugins", "doctor", "cnn-mnist", "--json").stdout


def test_disable_and_enable(tmp_path: Path, cli: Cli, json_of: Callable[..., Any], perceptron: str) -> None:
    cli("plugins", "disable", "perceptron")
    states = {row["name"]: row["state"] for row in json_of("list")}
    assert (states["cnn-mnist"], states["perceptron"]) == ("ok", "disabled")
    assert "zoo plugins enable perceptron" in cli("train", "perceptron", expect=1).stderr
    cli("plugins", "enable", "perceptron")
    assert {row["state"] for row in json_of("list")} == {"ok"}
    assert "Did you mean 'perceptron'" in cli("plugins", "disable", "perceptrom", expect=1).stderr


def test_trackers_hear_events_and_a_failing_one_stops_nothing(
    tmp_path: Path, cli: Cli, perceptron: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tmp_path / "heard"
    good = f"def zoo_on_event(event):\n    open({str(heard)!r}, 'a').write(event.kind + '\\n')\n"
    bad = "def zoo_on_event(event):\n    raise ValueError('tracker is down')\n"
    sites = [perceptron, distribution(tmp_path, "good-tracker", good, group="zoo.trackers")]
    sites += [distribution(tmp_path, "bad-tracker", bad, group="zoo.trackers")]
    sites += [distribution(tmp_path, "dead-tracker", "raise SystemExit(1)", group="zoo.trackers")]
    monkeypatch.setenv("PYTHONPATH", ":".join(sites))
    done = cli("train", "perceptron", "--epochs", "2", "--set", "checkpoint_seconds=1000")
    kinds = [kind for kind in heard.read_text().split() if kind != "warning"]
    assert kinds[0] == "started"
    assert kinds.count("epoch") == 2
    assert kinds.count("step") == 2 * 22
    assert kinds[-1] == "finished"
    assert done.stderr.count("tracker is down") == 1
    assert "dead-tracker" in done.stderr


def test_a_hook_that_raises_is_reported_with_its_plugin(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = renamed("faulty").replace('"""Accuracy on the split."""', "raise KeyError('oops')")
    monkeypatch.setenv("PYTHONPATH", distribution(tmp_path, "faulty", source))
    done = cli("train", "faulty", "--epochs", "1", expect=1)
    assert "plugin 'faulty' (zoo-x-faulty 1.2" in done.stderr
    assert "zoo_evaluate raised KeyError: 'oops'" in done.stderr
