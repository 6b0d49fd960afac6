"""dae: the noise is what it says, is drawn outside of the network, and is taken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from zoo_dae import model
from zoo_dae.plugin import Config

import zoo
from zoo import datasets

CONFIG = {"channels": (4, 8), "epochs": 6, "precision": "float32"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = zoo.train("dae", "digits", config=CONFIG, out=tmp_path_factory.mktemp("runs"))
    assert trained is not None
    return trained.run


def test_the_network_is_small_and_draws_nothing() -> None:
    network = model.UNet(Config(), (1, 28, 28)).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000
    image = torch.randn(3, 1, 28, 28)
    made = network(image)
    assert made.shape == image.shape
    assert torch.equal(network(image), made)
    with pytest.raises(zoo.ConfigError, match="halved"):
        model.UNet(Config(channels=(4, 4, 4), blocks=(1, 1, 1)), (1, 28, 28))


def test_gaussian_noise_has_its_strength_and_is_not_clipped() -> None:
    image = torch.zeros(50, 1, 28, 28)
    noise = model.corrupt(image, "gaussian", torch.full((50, 1, 1, 1), 0.3))
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.min() < 0


def test_other_noise_hits_its_share_of_the_pixels() -> None:
    image, share = torch.full((50, 1, 28, 28), 0.5), torch.full((50, 1, 1, 1), 0.4)
    masked = model.corrupt(image, "masking", share)
    assert (masked == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)
    assert set(masked.flatten().tolist()) == {0.0, 0.5}
    salted = model.corrupt(image, "salt-and-pepper", share)
    assert (salted == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert (salted == 1).float().mean().item() == pytest.approx(0.2, abs=0.02)


def test_strong_noise_counts_less_where_strengths_are_balanced() -> None:
    image = torch.rand(8, 1, 28, 28)
    for sigma, weight in ((0.2, 2.0), (0.7, 1.0)):  # 1 / (0.3 + sigma)
        figures = {}
        for balance in (True, False):
            torch.manual_seed(0)
            config = Config(sigma_min=sigma, sigma_max=sigma, balance=balance)
            figures[balance] = model.loss(config)(torch.nn.Identity(), (image,))
            assert figures[balance]["mse"].item() == pytest.approx(sigma**2, rel=0.1)
        assert figures[True]["loss"].item() == pytest.approx(weight * figures[True]["mse"].item())
        assert torch.equal(figures[False]["loss"], figures[False]["mse"])


def test_each_image_gets_its_own_strength() -> None:
    sigma = torch.tensor([0.1, 0.5]).view(2, 1, 1, 1)
    noise = model.corrupt(torch.zeros(2, 1, 100, 100), "gaussian", sigma)
    assert noise.flatten(1).std(1).tolist() == pytest.approx([0.1, 0.5], rel=0.05)


@pytest.mark.parametrize(
    "values",
    [
        {"sigma_min": -0.1},
        {"sigma_max": -1.0},
        {"sigma_min": 0.5, "sigma_max": 0.2},
        {"noise": "masking", "sigma_max": 2},
    ],
)
def test_the_config_refuses(values: dict[str, float]) -> None:
    with pytest.raises(zoo.ConfigError, match="sigma"):
        Config(**values)  # type: ignore[arg-type]


def test_psnr_is_that_of_the_pooled_error_and_the_noise_is_the_same_each_time(run: Path) -> None:
    images = datasets.load("digits").split("test")[0]
    clean = images.float() / 255
    corrupted = model.noisy(Config(), images, 0.3)
    assert torch.equal(corrupted, model.noisy(Config(), images, 0.3))
    network = zoo.load(str(run))
    with torch.inference_mode():
        error = (network(corrupted) - clean).square().mean().item()
    found = zoo.evaluate(run)
    assert found.metrics["psnr_sigma_0.3"] == pytest.approx(-10 * np.log10(error), abs=1e-3)
    assert found.details["noisy_input"]["psnr_sigma_0.5"] == pytest.approx(-20 * np.log10(0.5), abs=0.05)
    for name, before in found.details["noisy_input"].items():
        assert found.metrics[name] > before + 3
    assert sum(path.endswith(".png") for path in found.files) == 3


def test_an_image_is_cleaned(run: Path) -> None:
    image = datasets.load("digits").split("test")[0][0, 0].float() / 255
    noise = torch.randn(28, 28, generator=torch.Generator().manual_seed(0))
    Image.fromarray(((image + 0.2 * noise).clamp(0, 1) * 255).byte().numpy()).save("noisy.png")
    (result,) = zoo.predict(str(run), ["noisy.png"])
    cleaned = torch.from_numpy(np.asarray(Image.open(result["image"])) / 255)
    assert (cleaned - image).square().mean() < 0.5 * (0.2 * noise).square().mean()
    assert result["image"] == "predictions/noisy-dae.png"
