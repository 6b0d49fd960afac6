"""Run folders: made once, read back, listed even when broken, and the card that tells what happened."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli
from PIL import Image

from zoo import datasets, registry, report, runs, training, weights
from zoo.errors import RunError, UnknownNameError

TINY = {
    "channels": [4, 4],
    "kernels": [4, 4],
    "strides": [2, 2],
    "paddings": [0, 0],
    "pools": [1, 1],
    "image_size": 22,
    "precision": "float32",
    "epochs": 2,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a very small cnn-mnist on digits, with a config file and an argument."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "recipe.toml").write_text("lr = 0.01\nval_size = 200\n")
    trained = training.train(
        "cnn-mnist",
        "digits",
        config=TINY,
        config_file=folder / "recipe.toml",
        seed=3,
        device="cpu",
        out=folder / "runs",
    )
    assert trained is not None
    return trained.run


def test_the_config_says_who_set_what(finished: Path) -> None:
    config = json.loads((finished / "config.json").read_text())
    assert config["config"]["lr"] == 0.01
    assert config["set_by"]["lr"].endswith("recipe.toml")
    assert config["set_by"]["epochs"] == "argument"
    assert config["set_by"]["batch_size"] == "recipe for digits"
    assert config["set_by"]["rotation"] == "recipe"


def test_the_record_says_under_what_conditions(finished: Path) -> None:
    record, _ = runs.read(finished)
    assert (record["state"], record["seed"], record["device"], record["precision"]) == ("finished", 3, "cpu", "float32")
    assert record["environment"]["versions"].keys() >= {"torch", "plugin-zoo", "safetensors"}
    assert record["dataset"]["digest"]
    assert record["threads"] >= 1
    assert (
        record["metrics"]["accuracy"]
        == json.loads((finished / "evaluation-test.json").read_text())["metrics"]["accuracy"]
    )


def test_the_log_has_steps_and_epochs_with_validation(finished: Path) -> None:
    lines = runs.read_log(finished)
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert all({"loss", "accuracy", "val_accuracy", "seconds"} <= line.keys() for line in epochs)
    steps = [line for line in lines if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, epochs[-1]["step"] + 1))
    assert all(line["lr"] > 0 for line in steps)


def test_the_card_tells_the_figures_of_the_run(finished: Path) -> None:
    card, record = (finished / "README.md").read_text(), runs.read(finished)[0]
    for words in (
        f"| accuracy | {record['metrics']['accuracy']:.6g} |",
        f"sha256 `{record['sha256']}`",
        "360 examples of the test split",
        "seed 3",
        record["dataset"]["digest"],
        "`epochs` = `2` (argument)",
        f"parameters: {record['parameters']:,}",
        "torch ",
    ):
        assert words in card
    for name in ("training", "confusion-test"):
        assert f"plots/{name}.png" in card
        with Image.open(finished / "plots" / f"{name}.png") as picture:
            assert min(picture.size) > 400


@pytest.mark.parametrize("first", [0.0053, 0.0068, 0.02, 0.13, 2.4])
def test_the_curve_has_numbers_that_do_not_overlap(first: float, tmp_path: Path) -> None:
    log = [{"kind": "epoch", "epoch": n, "step": n, "loss": value} for n, value in enumerate((first, 0.0049), 1)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    run = runs.Run(registry.load("cnn-mnist").spec, None, datasets.describe("digits"), folder=tmp_path)
    figure = report.curve(run)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    labels = axes.yaxis.get_ticklabels(which="both")
    shown = [label for label in labels if label.get_text() and low <= label.get_position()[1] <= high]
    boxes = sorted((label.get_window_extent() for label in shown), key=lambda box: box.y0)
    assert len(boxes) > 1
    assert all(above.y0 > below.y1 for below, above in itertools.pairwise(boxes))


def test_runs_are_listed_with_broken_ones_named(finished: Path, json_of: Callable[..., Any], cli: Cli) -> None:
    out = finished.parents[1]
    (out / "cnn-mnist" / "zzz").mkdir(exist_ok=True)
    (out / "cnn-mnist" / "zzz" / "run.json").write_text("{")
    listed = json_of("runs", "--out", str(out))
    assert [row["state"] for row in listed] == ["finished", "broken"]
    assert listed[0]["metrics"]["accuracy"] > 0
    assert "cannot read" in listed[1]["reason"]
    assert "finished" in cli("runs", "--out", str(out)).stdout
    assert "no runs in" in cli("runs", "--out", "nowhere").stdout


def test_a_run_is_found_by_path_and_by_id(finished: Path) -> None:
    out = finished.parents[1]
    assert runs.find(str(finished), out) == finished
    assert runs.find(finished.name, out) == finished
    with pytest.raises(UnknownNameError, match="Did you mean"):
        runs.find(finished.name[:-1] + "4", out)


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    made = {runs.create(tmp_path, "toy", "digits", 0) for _ in range(5)}
    assert len(made) == 5
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="--out DIR"):
        runs.create(tmp_path / "file", "toy", "digits", 0)


def test_a_tampered_weights_file_is_not_loaded(finished: Path, cli: Cli, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    data = bytearray((copy / runs.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copy / runs.WEIGHTS).write_bytes(data)
    assert "is not the file that was published" in cli("evaluate", str(copy), expect=1).stderr


def test_a_cut_log_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert runs.read_log(tmp_path) == [{"step": 1}, {"step": 2}]


def test_the_recorded_command_makes_the_same_weights_and_tells_of_no_folder(
    finished: Path, json_of: Callable[..., Any]
) -> None:
    record, _ = runs.read(finished)
    zoo, *words = shlex.split(record["command"])
    assert zoo == "zoo"
    assert words[:6] == ["train", "cnn-mnist", "--dataset", "digits", "--seed", "3"]
    assert {"lr=0.01", "val_size=200", "precision=float32", "channels=[4, 4]"} < set(words)
    assert "batch_size=64" not in words
    assert str(finished.parent) not in record["command"]
    again = weights.read(Path(json_of(*words)["weights"]))
    tensors, described = weights.read(finished / runs.WEIGHTS)
    assert again[1] == described
    for name, tensor in tensors.items():
        torch.testing.assert_close(again[0][name], tensor)
