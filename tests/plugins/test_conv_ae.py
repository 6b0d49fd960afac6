"""conv-ae: what it computes, what it says of images, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli
from PIL import Image
from zoo_conv_ae import model
from zoo_conv_ae.plugin import Config

import zoo
from zoo import datasets

SMALL = ["--set", "channels=[4,8]", "--set", "blocks=[0,0]", "--set", "latent_dim=8", "--set", "precision=float32"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {"channels": (4, 8), "blocks": (0, 0), "latent_dim": 8, "epochs": 3, "precision": "float32"}
    trained = zoo.train("conv-ae", "digits", config=config, out=tmp_path_factory.mktemp("runs"))
    assert trained is not None
    return trained.run


@pytest.mark.parametrize("size", [2, 32, 128])
def test_the_network_is_small_and_has_the_shapes_that_it_says(size: int) -> None:
    network = model.ConvAutoencoder(Config(latent_dim=size), (1, 28, 28)).eval()
    image = torch.rand(3, 1, 28, 28)
    reconstruction, latent = network(image)
    assert (reconstruction.shape, latent.shape) == (image.shape, (3, size))
    assert 0 <= reconstruction.min() <= reconstruction.max() <= 1
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000
    assert torch.equal(network.decode(network.encode(image)), reconstruction)


@pytest.mark.parametrize(
    ("key", "value"), [("latent_dim", 0), ("latent_dim", 1), ("latent_dim", 129), ("blocks", (0, -1))]
)
def test_the_config_refuses(key: str, value: Any) -> None:
    with pytest.raises(zoo.ConfigError, match=key):
        Config(**{key: value})


def test_the_error_is_a_mean_over_pixels_and_images(run: Path) -> None:
    opened: Any = zoo.load(str(run))
    images = datasets.load("digits").split("test")[0]
    with torch.inference_mode():
        plain = images.float() / 255
        expected = ((opened(plain)[0] - plain) ** 2).mean().item()
    found = zoo.evaluate(run)
    assert found.metrics["mse"] == pytest.approx(expected, rel=1e-5)
    assert set(found.metrics) == {"mse", "pca_mse", "probe_accuracy"}
    assert found.metrics["mse"] < 0.06, "worse than an image of the mean"
    assert found.metrics["probe_accuracy"] > 0.5
    by_looks = found.details["mse_by_looks"]
    assert len(by_looks) == 1 + opened.looks
    assert by_looks[-1] == found.metrics["mse"]
    assert found.details["probe_fitted_to"] == {"training_images": 1437}
    assert {Path(path).name for path in found.files} >= {"reconstructions-test.png", "latents-test.png"}


def test_looking_at_the_reconstruction_corrects_the_latents(run: Path) -> None:
    network: Any = zoo.load(str(run))
    image = datasets.load("digits").split("test")[0].float() / 255
    errors = []
    with torch.inference_mode():
        for network.looks in range(3):
            errors.append((network(image)[0] - image).square().mean().item())
    assert errors[0] > 1.05 * errors[1]
    assert errors[1] > errors[2]


def test_in_training_only_the_last_look_is_learned_from(run: Path) -> None:
    network: Any = zoo.load(str(run)).train()
    before = {name: tensor.clone() for name, tensor in network.decoder.named_buffers()}
    found = model.loss(network, (torch.rand(8, 1, 28, 28),))
    torch.autograd.backward(found["loss"])
    assert network.training
    assert all(parameter.grad is not None for parameter in network.parameters())
    moved = {name: tensor for name, tensor in network.decoder.named_buffers() if name.endswith("num_batches_tracked")}
    assert all(int(tensor - before[name]) == 1 for name, tensor in moved.items())


def test_an_image_is_reconstructed_and_what_was_done_to_it_is_said(run: Path, json_of: Callable[..., Any]) -> None:
    image = datasets.load("digits").split("test")[0][0, 0].numpy()
    Image.fromarray(image).save("as-it-is.png")
    large = Image.fromarray(255 - image).resize((90, 120)).convert("RGB")
    large.save("large.png")
    first, second = json_of("predict", str(run), "as-it-is.png", "large.png")
    assert "converted" not in first["text"]
    assert "converted: 90x120 RGB to 28x28 grey" in second["text"]
    written = np.asarray(Image.open(first["image"]))
    assert written.shape == (28, 28)
    assert written.dtype == np.uint8
    assert len(first["latent"]) == 8
    assert np.square(written / 255 - image / 255).mean() == pytest.approx(first["mse"], abs=1e-3)


def test_a_file_that_is_no_image_is_refused_by_name(run: Path, cli: Cli) -> None:
    Path("notes.txt").write_text("no image")
    assert "notes.txt: cannot be read as an image" in cli("predict", str(run), "notes.txt", expect=1).stderr
    assert "none.png: there is no such file" in cli("predict", str(run), "none.png", expect=1).stderr
    assert not Path("predictions").exists()


def test_validation_scores_what_is_held_out(cli: Cli) -> None:
    cli("train", "conv-ae", "--dataset", "digits", "--epochs", "1", *SMALL, "--set", "val_size=100")
    (log,) = Path("runs").glob("*/*/metrics.jsonl")
    assert json.loads(log.read_text().splitlines()[-1])["val_mse"] > 0
    said = cli("train", "conv-ae", "--dataset", "digits", *SMALL, "--set", "val_size=2000", expect=1).stderr
    assert "val_size = 2000: expected less than the 1437 training images" in said
