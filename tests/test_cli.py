"""The command line as users meet it: help, JSON, suggestions, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Cli

from zoo.cli import COMMANDS
from zoo.cli.progress import Progress
from zoo.spec import Event


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    said = cli(command, "--help").stdout
    assert "Example: " in said
    assert f"Usage: zoo {command}" in said


def test_version_names_package_and_distribution(cli: Cli) -> None:
    found = version("plugin-zoo")
    assert cli("--version").stdout == f"zoo {found} (distribution plugin-zoo {found})\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train", "cnn-mnits"], "Did you mean 'cnn-mnist'"),
        (["train", "cnn-mnist", "--dataset", "digit"], "Did you mean 'digits'"),
        (["train", "cnn-mnist", "--dataste", "digits"], "--dataset"),
        (["train", "cnn-mnist", "--dataset", "digits", "--set", "epohcs=1"], "Did you mean 'epochs'"),
        (["train", "cnn-mnist", "--dataset", "digits", "--set", "epochs"], "expected KEY=VALUE"),
        (["train", "cnn-mnist", "--dataset", "digits", "--set", "epochs=1.5"], "expected whole number"),
        (["train", "cnn-mnist", "--dataset", "digits", "--epochs", "0"], ">= 1"),
        (["train", "cnn-mnist", "--dataset", "digits", "--config", "none.toml"], "cannot read none.toml"),
        (["train", "cnn-mnist", "--device", "gpu"], "auto"),
        (["train"], "name a MODEL"),
        (["train", "--resume", "nothing"], "unknown run 'nothing'"),
        (["evaluate", "cnn-mnits:mnist"], "unknown model or run 'cnn-mnits:mnist'. Did you mean 'cnn-mnist'"),
        (["evaluate", "cnn-mnist:minst"], "Did you mean 'mnist'"),
        (["evaluate", "cnn-mnist:digits", "--split", "tset"], "Did you mean 'test'"),
        (["evaluate", "cnn-mnist:digits", "--dataset", "mnits"], "Did you mean 'mnist'"),
        (["export", "cnn-mnist:digits", "--format", "onx"], "Did you mean 'onnx'"),
        (["info", "cnn-mnits"], "Did you mean 'cnn-mnist'"),
        (["predict", "cnn-mnist", "none.png"], "none.png: there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_mistypes_gets_one_message_and_code_1(cli: Cli, arguments: list[str], words: str) -> None:
    done = cli(*arguments, expect=1)
    assert words in done.stderr
    assert done.stdout == ""
    assert not Path("runs").exists()


def test_a_run_that_fails_says_so_in_its_folder(cli: Cli, json_of: Callable[..., Any]) -> None:
    done = cli("train", "cnn-mnist", "--dataset", "digits", "--set", "val_size=5000", expect=1)
    assert "val_size = 5000: expected less than the 1437" in done.stderr
    (row,) = json_of("runs")
    assert row["state"] == "failed"


def test_config_files_are_named_with_their_line(cli: Cli) -> None:
    Path("bad.toml").write_text("epochs = 3\nlr = \n")
    said = cli("train", "cnn-mnist", "--dataset", "digits", "--config", "bad.toml", expect=1).stderr
    assert "bad.toml:2: " in said
    Path("odd.toml").write_text("epohcs = 3\n")
    said = cli("train", "cnn-mnist", "--dataset", "digits", "--config", "odd.toml", expect=1).stderr
    assert "file odd.toml: unknown config key 'epohcs'. Did you mean 'epochs'" in said


def test_sizes_that_do_not_fit_are_refused_with_the_arithmetic(cli: Cli) -> None:
    settings = [
        f"{key}=[{value}]"
        for key, value in {"channels": 4, "kernels": 8, "strides": 5, "paddings": 0, "pools": 1}.items()
    ]
    flags = [flag for setting in ["image_size=50", *settings] for flag in ("--set", setting)]
    said = cli("info", "cnn-mnist", "--shapes", *flags, expect=1).stderr
    assert "layer 1: W=50, K=8, S=5, P=0: (50 - 8 + 2*0)/5 + 1 = 9.4 does not fit evenly" in said


def test_list_as_json_and_filtered(json_of: Callable[..., Any], cli: Cli) -> None:
    (row,) = json_of("list", "cnn-*", "--task", "image-classification")
    assert row == {
        "name": "cnn-mnist",
        "plugin": "zoo_cnn_mnist.plugin",
        "distribution": "plugin-zoo",
        "version": version("plugin-zoo"),
        "state": "ok",
        "task": "image-classification",
        "summary": row["summary"],
        "datasets": ["mnist", "digits"],
        "tags": ["mnist", "digits"],
    }
    assert json_of("list", "--task", "nothing") == []
    assert "no model matches" in cli("list", "x*").stdout


def test_train_evaluate_export_by_json(json_of: Callable[..., Any]) -> None:
    trained = json_of("train", "cnn-mnist", "--dataset", "digits", "--epochs", "1", *TINY)
    assert trained.keys() == {"run", "weights", "sha256", "metrics", "seconds"}
    scored = json_of("evaluate", trained["run"])
    assert scored["run"] == trained["run"]
    assert (scored["model"], scored["dataset"], scored["split"], scored["n"]) == ("cnn-mnist", "digits", "test", 360)
    assert scored["metrics"] == trained["metrics"]
    assert all(Path(path).is_file() for path in scored["files"])
    (made,) = json_of("export", trained["run"], "--format", "safetensors", "--to", "out")
    assert Path(made["path"]).is_file()


def test_a_run_may_be_repeated_exactly(json_of: Callable[..., Any]) -> None:
    first, second = (json_of("train", "cnn-mnist", "--dataset", "digits", "--epochs", "1", *TINY) for _ in range(2))
    assert first["sha256"] == second["sha256"]
    assert first["run"] != second["run"]


def test_info_tells_recipe_and_claims(json_of: Callable[..., Any], cli: Cli) -> None:
    facts = json_of("info", "cnn-mnist")
    assert {key["key"] for key in facts["config"]} >= {"lr", "epochs", "kernels"}
    assert all(key["doc"] for key in facts["config"])
    assert {entry["id"] for entry in facts["weights"]} == {"cnn-mnist:mnist", "cnn-mnist:digits"}
    text = cli("info", "cnn-mnist").stdout
    assert "balance=false, channels=[64, 96]" in cli("info", "dae").stdout  # as --set takes them
    assert "cnn-mnist:mnist" in text
    layers = json_of("info", "cnn-mnist", "--shapes")
    assert layers["parameters"] == facts["weights"][0]["parameters"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cli: Cli, shell: str) -> None:
    assert "_ZOO_COMPLETE" in cli("completion", shell).stdout
    environment = {**os.environ, "_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo train cnn", "COMP_CWORD": "2"}
    done = subprocess.run([sys.executable, "-m", "zoo"], capture_output=True, text=True, env=environment, timeout=60)
    assert "cnn-mnist" in done.stdout


def test_no_colour_or_bar_where_there_is_no_terminal(cli: Cli) -> None:
    done = cli("train", "cnn-mnist", "--dataset", "digits", "--epochs", "1", *TINY)
    assert "\x1b" not in done.stdout + done.stderr
    assert "epoch 1/1" in done.stderr
    assert "Next:  zoo evaluate" in done.stdout
    assert "\x1b" not in cli("list").stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m zoo info cnn-mnist | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("cnn-mnist")
    assert "Traceback" not in done.stderr


def test_offline_and_no_plugins_work_before_and_after_the_command(
    perceptron: str, cli: Callable[..., Any], tmp_path: Path
) -> None:
    address = "file:/no/such/folder"
    for arguments in (["--offline", "pull", address], ["pull", address, "--offline"]):
        assert "nothing may be fetched" in cli(*arguments, expect=1).stderr
    said = cli("train", "cnn-mnist", "--offline", expect=1, ZOO_DATA=str(tmp_path)).stderr
    assert "nothing may be fetched" in said
    assert "--dataset digits" in said
    assert "perceptron" in cli("list").stdout
    assert "does not name it" in cli("--no-plugins", "plugins", "list").stdout
    assert "is disabled" in cli("--no-plugins", "info", "perceptron", expect=1).stderr
    assert "is disabled" in cli("info", "cnn-mnist", expect=1, ZOO_PLUGINS="perceptron").stderr
    cli("info", "perceptron", ZOO_PLUGINS="perceptron")


@pytest.mark.parametrize(("epochs", "lines"), [(3, 3), (40, 40), (400, 41)])
def test_a_run_of_many_epochs_is_told_in_few_lines(epochs: int, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for epoch in range(1, epochs + 1):
        progress.listen(Event("epoch", epoch=epoch, epochs=epochs, values={"loss": 0.000151}))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert said[0] == f"epoch 1/{epochs}  loss 0.000151"
    assert said[-1].startswith(f"epoch {epochs}/{epochs}")
