"""vae: the bound is a bound, the prior is a density that can be drawn from, and a collapse is noticed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli
from PIL import Image
from zoo_vae import model
from zoo_vae.plugin import Config, zoo_model

import zoo
from zoo import datasets, loading
from zoo.runs import Run

CONFIG = {"channels": (4, 8), "blocks": (0, 0), "latent_dim": 4, "flows": 2, "epochs": 8, "precision": "float32"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = zoo.train("vae", "digits", config=CONFIG, out=tmp_path_factory.mktemp("runs"))
    assert trained is not None
    return trained.run


def random_prior(latents: int) -> model.Prior:
    torch.manual_seed(0)
    prior = model.Prior(latents, 4, 16)
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return prior


def made(**config: Any) -> Run:
    """A run with a network of random weights."""
    torch.manual_seed(0)
    found = Run(zoo_model(), Config(**{**CONFIG, **config}), datasets.spec("digits").info)
    found.model = model.VAE(found.config, (1, 28, 28)).eval()
    return found


@pytest.mark.parametrize("latents", [2, 4, 5])
def test_the_prior_is_a_density_and_can_be_inverted(latents: int) -> None:
    prior, u = random_prior(latents), torch.randn(6, latents)
    z = prior.draw(u)
    for row in range(6):
        jacobian = torch.autograd.functional.jacobian(lambda v: prior.draw(v[None])[0], u[row])  # type: ignore[no-untyped-call]
        expected = model.normal(u[row : row + 1]) - torch.linalg.slogdet(jacobian)[1]
        assert prior.log_prob(z[row : row + 1]).item() == pytest.approx(expected.item(), abs=1e-3)


def test_the_prior_integrates_to_one() -> None:
    axis = torch.linspace(-12, 12, 600)
    plane = torch.cartesian_prod(axis, axis)
    mass = random_prior(2).log_prob(plane).double().exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=0.01)


def test_without_flows_the_prior_is_the_standard_normal() -> None:
    z = torch.randn(5, 3)
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum(1)  # type: ignore[no-untyped-call]
    assert torch.allclose(model.Prior(3, 0, 8).log_prob(z), expected, atol=1e-5)


def test_the_divergence_is_kl_on_average() -> None:
    network = made(flows=0).model
    image = model.binary(datasets.load("digits").split("test")[0][:1])
    with torch.inference_mode():
        mean, logvar = network.encode(image)  # type: ignore[operator]
        exact = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum().item()
        drawn = network.terms(image.expand(20_000, -1, -1, -1))[1]  # type: ignore[operator]
    assert drawn.mean().item() == pytest.approx(exact, abs=5 * drawn.std().item() / math.sqrt(20_000))


def test_importance_weighting_finds_the_integral_over_the_latents() -> None:
    """log p(x) of two latents, summed over a grid."""
    found = made(latent_dim=2)
    network: Any = found.model
    image = model.binary(datasets.load("digits").split("test")[0][:1])
    axis = torch.linspace(-7, 7, 300)
    plane = torch.cartesian_prod(axis, axis)
    with torch.inference_mode():
        logits = torch.cat([network.decode(part) for part in torch.split(plane, 5000)])
        joint = model.bernoulli(logits, image.expand(len(plane), -1, -1, -1)) + network.prior.log_prob(plane)
    exact = (torch.logsumexp(joint.double(), 0) + 2 * torch.log(axis[1] - axis[0])).item()
    assert model.likelihood(found, image, 4000).item() == pytest.approx(exact, abs=0.05)


def test_the_bound_lies_below_the_likelihood(run: Path) -> None:
    found = zoo.evaluate(run)
    metrics = found.metrics
    assert set(metrics) == {"elbo", "nll", "reconstruction", "kl", "active_units"}
    assert metrics["elbo"] == pytest.approx(metrics["reconstruction"] - metrics["kl"], abs=1e-6)
    opened = loading.open_model(str(run), Path())
    images = datasets.load("digits").split("test")[0][:100]
    assert model.bound(opened.run, images)["elbo"] < -metrics["nll"]
    assert found.details["nll_measured_on"]["first_images"] == 100
    assert found.details["nll_measured_on"]["samples"] == 500
    assert found.details["posterior_collapse"] is False
    assert "dynamic" in found.details["binarisation"]
    assert zoo.evaluate(run).metrics == metrics
    assert {Path(path).name for path in found.files} >= {"samples.png", "latents-test.png", "reconstructions-test.png"}


def test_a_collapsed_posterior_is_noticed() -> None:
    found = made(flows=0)
    for parameter in found.model.encoder[-1].parameters():  # type: ignore[index, union-attr]
        torch.nn.init.zeros_(parameter)
    results = model.figures(found, datasets.load("digits").split("test")[0])
    assert results["posterior_collapse"] is True
    assert results["active_units"] == 0


def test_beta_climbs_and_free_bits_cost_nothing() -> None:
    found = made(kl_warmup=0.5, beta=2.0, free_bits=1e6)
    of, batch = model.loss(found), (torch.rand(4, 1, 28, 28),)
    for progress, beta in ((0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (0.9, 2.0)):
        found.progress = progress
        said = of(found.model, batch)
        assert (said["loss"] + said["reconstruction"]).item() == pytest.approx(beta * 1e6, rel=1e-3, abs=1e-2)


@pytest.mark.parametrize(("key", "value"), [("latent_dim", 0), ("beta", -1.0), ("free_bits", -1.0), ("kl_warmup", 1.5)])
def test_the_config_refuses(key: str, value: float) -> None:
    with pytest.raises(zoo.ConfigError, match=key):
        Config(**{key: value})  # type: ignore[arg-type]


def test_samples_are_fixed_by_their_seed_and_a_walk_ends_at_its_images(run: Path, cli: Cli) -> None:
    first = cli("sample", str(run), "-n", "9", "--seed", "3", "--to", "a.png").stdout.strip()
    cli("sample", str(run), "-n", "9", "--seed", "3", "--to", "b.png")
    cli("sample", str(run), "-n", "9", "--seed", "4", "--to", "c.png")
    pictures = [Image.open(name).tobytes() for name in (first, "b.png")]
    assert pictures[0] == pictures[1]
    images = datasets.load("digits").split("test")[0]
    for name, image in (("x.png", images[0, 0]), ("y.png", images[1, 0])):
        Image.fromarray(image.numpy()).save(name)
    opened = loading.open_model(str(run), Path())
    with torch.inference_mode():
        ends = opened.run.model(images[:2].float() / 255)[0]
    steps = model.walk(opened.run, "x.png", "y.png", 5)
    assert torch.allclose(steps[[0, 4]], ends, atol=1e-4)
    assert not torch.allclose(steps[2], ends[0], atol=1e-2)
    assert cli("sample", str(run), "--interpolate", "x.png", "y.png", "-n", "5").stdout.strip().endswith("-x-y.png")
    assert "generates nothing" in cli("sample", "cnn-mnist", expect=1).stderr


def test_encoder_and_decoder_are_exported_apart(run: Path, tmp_path: Path) -> None:
    certificates = zoo.export(str(run), ["pt2"], to=tmp_path)
    assert [Path(made["path"]).name for made in certificates] == ["vae.pt2", "vae-encode.pt2", "vae-decode.pt2"]
    assert certificates[2]["outputs"] == ["probabilities"]
    decode = torch.export.load(tmp_path / "vae-decode.pt2").module()
    assert decode(latent=torch.zeros(3, 4)).shape == (3, 1, 28, 28)


def test_two_latents_have_a_manifold(tmp_path: Path) -> None:
    trained = zoo.train("vae", "digits", config={**CONFIG, "latent_dim": 2, "epochs": 1}, out=tmp_path)
    assert trained is not None
    assert (trained.run / "plots" / "manifold.png").is_file()
