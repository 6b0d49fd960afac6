"""cnn-mnist: its claims hold, its pictures are read, and its figures are what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from zoo_cnn_mnist import model as science
from zoo_cnn_mnist.plugin import Config

import zoo
from zoo import catalog, datasets
from zoo.errors import ConfigError, InputError


def test_the_network_is_small_and_has_the_shapes_that_it_says() -> None:
    net = science.DigitNet(Config(), 10)
    assert sum(parameter.numel() for parameter in net.parameters()) < 150_000
    assert net(torch.rand(3, 1, 28, 28)).shape == (3, 10)
    assert net.classify.weight.shape == (10, Config().channels[-1] * Config().widths()[-1] ** 2)
    assert net(torch.rand(3, 1, 28, 28)).abs().max() <= Config().scale


def test_the_margin_handicaps_the_right_class_alone() -> None:
    logits, label = torch.tensor([[3.0, 1.0, -2.0]]), torch.tensor([1])
    found = science.loss(Config(margin=0.25, scale=8.0))(lambda image: logits, (torch.zeros(1), label))  # type: ignore[arg-type]
    expected = torch.nn.functional.cross_entropy(torch.tensor([[3.0, -1.0, -2.0]]), label)
    torch.testing.assert_close(found["loss"], expected)
    assert found["accuracy"] == 0


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"one item a layer.*channels has 1"):
        Config(channels=(4,))


STILL: dict[str, Any] = dict.fromkeys(("rotation", "translation", "scaling", "elastic", "shear", "stroke"), 0.0)


def test_strokes_change_in_width_where_they_are_and_the_ground_stays_black() -> None:
    images, labels = datasets.load("digits").split("train")
    images = F.pad(images[:64], (4, 4, 4, 4))
    drawn, _ = science.Augment(Config(**{**STILL, "stroke": 1.0, "image_size": 36}))(images, labels[:64])
    plain = images / 255
    ink = drawn.flatten(1).sum(1) / plain.flatten(1).sum(1)
    assert ink.min() < 0.95
    assert ink.max() > 1.2
    far = F.max_pool2d(plain, 3, stride=1, padding=1) == 0
    assert drawn[far].abs().max() < 1e-4
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_augmentation_without_amplitude_changes_nothing_and_with_it_moves_pixels() -> None:
    images, labels = datasets.load("digits").split("train")
    still = science.Augment(Config(**STILL))
    pixels, same = still(images[:16], labels[:16])
    torch.testing.assert_close(pixels, images[:16] / 255, atol=1e-4, rtol=0)
    assert torch.equal(same, labels[:16])
    moved, _ = science.Augment(Config())(images[:16], labels[:16])
    assert (moved - pixels).abs().mean() > 0.01
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6


def test_augmentation_fades_to_nothing_at_the_end_of_a_run() -> None:
    images, labels = datasets.load("digits").split("train")
    progress = 0.0
    augment = science.Augment(Config(fade=0.25), lambda: progress)
    plain, changes = images[:200] / 255, []
    for progress in (0.0, 0.75, 0.9, 1.0):  # noqa: B007 # the augmentation reads it
        torch.manual_seed(0)
        changes.append((augment(images[:200], labels[:200])[0] - plain).abs().mean().item())
    assert changes[0] == changes[1] > 1.5 * changes[2] > 0.01
    assert changes[3] < 1e-4


def test_a_shift_goes_no_further_than_it_says() -> None:
    dot = torch.zeros(400, 1, 28, 28, dtype=torch.uint8)
    dot[:, 0, 14, 14] = 255
    moved, _ = science.Augment(Config(**{**STILL, "translation": 2.0}))(dot, torch.zeros(400))
    rows, columns = (moved.sum((0, 1, axis)).nonzero().flatten() for axis in (3, 2))
    for found in (rows.tolist(), columns.tolist()):
        assert (found[0], found[-1]) == (12, 16)


def test_lean_moves_top_and_bottom_apart_and_no_further_than_it_says() -> None:
    bar = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    bar[:, 0, 4:24, 14] = 255
    drawn, _ = science.Augment(Config(**{**STILL, "shear": 0.3}))(bar, torch.zeros(200))
    columns = torch.arange(28.0)
    top, bottom = (drawn[:, 0, row] @ columns / drawn[:, 0, row].sum(1) for row in (6, 21))
    assert 0.9 < (top - bottom).abs().max() / (15 * 0.3) <= 1.0001
    torch.testing.assert_close(top + bottom, torch.full_like(top, 28.0), atol=0.6, rtol=0)  # about the middle


def test_figures_by_class_by_hand() -> None:
    found = science.by_class(torch.tensor([[3, 1, 0], [0, 2, 0], [2, 0, 0]]), "abc")
    assert [row["precision"] for row in found["per_class"]] == [pytest.approx(3 / 5), pytest.approx(2 / 3), None]
    assert [row["recall"] for row in found["per_class"]] == [pytest.approx(3 / 4), 1.0, 0.0]
    assert found["most_confused"] == [
        {"true": "c", "predicted": "a", "n": 2},
        {"true": "a", "predicted": "b", "n": 1},
    ]


def test_the_confusion_matrix_is_that_of_the_accuracy(json_of: Callable[..., Any]) -> None:
    found = json_of("evaluate", "cnn-mnist:digits")
    matrix = torch.tensor(found["details"]["confusion_matrix"])
    assert matrix.sum() == found["n"]
    assert (matrix.diag().sum() / matrix.sum()).item() == pytest.approx(found["metrics"]["accuracy"])
    assert all(entry.parameters < 150_000 for entry in catalog.entries_of("cnn-mnist").values())


def test_claims_that_do_not_hold_are_exit_code_1(cli: Callable[..., Any], tmp_path: Path) -> None:
    entry = catalog.find("cnn-mnist:digits")
    false = catalog.to_toml(entry).replace(f"value = {entry.metrics['accuracy'].value}", "value = 0.5")
    assert false != catalog.to_toml(entry)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; from pathlib import Path; from zoo import catalog\n"
        "catalog.location = lambda: Path(sys.argv[1])\n"
        "from zoo import evaluation; found = evaluation.evaluate('cnn-mnist:digits')\n"
        "assert not found.agrees and found.to_json()['agrees'] is False\n"
    )
    (tmp_path / "registry.toml").write_text(
        false.replace("[weights", "[weights", 1).replace('digits"]', 'digits"]\ndefault = true', 1)
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, str(script), str(tmp_path / "registry.toml")], check=True, timeout=60)


def photograph(pixels: np.ndarray[Any, Any], path: Path, dark_on_light: bool, size: int) -> str:
    """A digit as a user might have it: larger, off the middle, on paper or on a board, saved as JPEG."""
    digit = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (size * 2, int(size * 1.5)), 0)
    sheet.paste(digit, (size // 3, size // 4))
    array = np.asarray(sheet, dtype=np.float32) / 255
    array = 0.9 - 0.7 * array if dark_on_light else 0.1 + 0.8 * array
    Image.fromarray((array * 255).astype(np.uint8)).save(path, quality=90)
    return str(path)


@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize("dark_on_light", [True, False])
def test_digits_of_any_size_and_ground_are_read(tmp_path: Path, dark_on_light: bool) -> None:
    images, labels = datasets.load("mnist").split("test")
    some = range(0, 200)
    paths = [
        photograph(images[i, 0].numpy(), tmp_path / f"{i}.jpg", dark_on_light, size=40 + 7 * (i % 30)) for i in some
    ]
    results = zoo.predict("cnn-mnist:mnist", paths)
    assert [result["input"] for result in results] == paths
    right = sum(result["top"][0]["class"] == str(int(labels[i])) for i, result in zip(some, results, strict=True))
    assert right >= 0.97 * len(some)
    for result in results:
        chances = [item["probability"] for item in result["top"]]
        assert len(chances) == 3
        assert chances == sorted(chances, reverse=True)
        assert 0 < sum(chances) <= 1 + 1e-6


def test_one_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    images, _ = datasets.load("digits").split("test")
    good = photograph(images[0, 0].numpy(), tmp_path / "good.jpg", True, 100)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"bad\.jpg"):
        zoo.predict("cnn-mnist:digits", [good, str(tmp_path / "bad.jpg")])


def test_the_export_of_published_weights_is_proven(json_of: Callable[..., Any]) -> None:
    made = {row["format"]: row for row in json_of("export", "cnn-mnist:digits", "--to", "out")}
    assert made.keys() == {"safetensors", "pt2", "onnx"}
    assert made["pt2"]["compared"]["largest_difference"] == 0
    assert made["onnx"]["dynamic"] == {"image": {"0": "batch"}}
