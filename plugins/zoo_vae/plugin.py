"""vae: a variational autoencoder (Kingma & Welling 2014), which learns to generate images.

What is compared: the likelihood of the image under the decoder, and the posterior of its latents with their prior; the
sum is the evidence lower bound (ELBO). Because the latents are made to follow a prior that can be drawn from, a VAE can
sample; an autoencoder that only reconstructs (`conv-ae`) or denoises (`dae`) has no such prior.

All figures are for **dynamically binarised** images: each pixel is drawn anew as 0 or 1 with its grey value as the
probability, in training at each use, in evaluation once, under a fixed seed. The likelihood is Bernoulli.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

api_version = 1


class Config(zoo.Config):
    """The recipe for MNIST, under 20 minutes on two cores; `long` is that of the published weights."""

    latent_dim: int = zoo.field(default=32, doc="numbers that an image is drawn from", ge=2, le=128)
    channels: tuple[int, ...] = zoo.field(default=(32, 64), doc="filters of each stage; each halves the image", ge=1)
    blocks: tuple[int, ...] = zoo.field(default=(1, 1), doc="residual blocks in each stage", ge=0)
    flows: int = zoo.field(default=6, doc="coupling layers of the learned prior; 0: a standard normal prior", ge=0)
    flow_width: int = zoo.field(default=128, doc="hidden units of each coupling layer", ge=1)
    beta: float = zoo.field(default=1.0, doc="weight of the KL divergence; 1: the ELBO", ge=0)
    kl_warmup: float = zoo.field(default=0.1, doc="share of the run in which beta climbs from 0", ge=0, le=1)
    free_bits: float = zoo.field(default=0.0, doc="nats of KL, over all latents, that cost nothing", ge=0)
    epochs: int = zoo.field(default=8, doc="passes over the training images", ge=1)
    batch_size: int = zoo.field(default=128, doc="images in one step", ge=1)
    lr: float = zoo.field(default=2e-3, doc="peak learning rate of AdamW", gt=0)
    grad_clip: float = zoo.field(default=200.0, doc="largest norm of the gradient of the ELBO in nats", ge=0)
    ema_decay: float = zoo.field(default=0.998, doc="averages over about 500 steps, one epoch of MNIST", ge=0, lt=1)
    val_size: int = zoo.field(default=0, doc="training images held out to choose by; 0: train on all", ge=0)


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="vae",
        task="image-generation",
        summary="variational autoencoder of binarised images, with a learned prior",
        paper="Kingma & Welling: Auto-encoding variational Bayes, 2014",
        config=Config,
        datasets=("mnist", "fashion-mnist", "digits"),
        recipes={
            "long": {"epochs": 20},
            "digits": {"epochs": 100, "batch_size": 64, "ema_decay": 0.98, "latent_dim": 16},
        },
        metrics=(
            zoo.Metric("elbo", "max", "evidence lower bound of a dynamically binarised image, one draw", "nats"),
            zoo.Metric("nll", "min", "negative log-likelihood, importance-weighted", "nats"),
            zoo.Metric("reconstruction", "max", "log-likelihood of the image given its latents", "nats"),
            zoo.Metric("kl", "min", "divergence of the posterior from the prior", "nats"),
            zoo.Metric("active_units", "max", "latents whose mean varies over the images (variance above 0.01)"),
        ),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """The network with random weights."""
    from zoo_vae.model import VAE

    return VAE(config, dataset.shape)


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Maximises the ELBO on the training split, less what `val_size` holds out."""
    from zoo_vae import model

    batches, held = zoo.image_batches(run)
    zoo.fit(run, model.loss(run), batches, (lambda: model.bound(run, held)) if held is not None else None)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """ELBO, its two terms, an importance-weighted likelihood, and whether the posterior has collapsed."""
    from zoo import layers
    from zoo_vae import model

    layers.channels_last(run.model)
    return model.figures(run, run.data.split(run.split)[0])


@zoo.hookimpl
def zoo_plots(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """Reconstructions, samples, the latents in two dimensions; with two latents, what each place of the plane means."""
    from zoo_vae import plots

    return plots.draw(run, results)


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """Reconstruction by the posterior's mean, nothing drawn; encoder and decoder also apart."""
    from zoo_vae import model

    return model.export(run)


@zoo.hookimpl
def zoo_predict(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The reconstruction of each image file, and its ELBO."""
    from zoo_vae.model import reconstruct

    return reconstruct(run, inputs)


@zoo.hookimpl
def zoo_embed(run: zoo.Run, inputs: Sequence[str]) -> Tensor:
    """The mean of the latents of each image file."""
    import torch

    with torch.inference_mode():
        latent: Tensor = run.model(zoo.image_files(run, inputs))[1]
    return latent


@zoo.hookimpl
def zoo_sample(run: zoo.Run, count: int, between: Sequence[str]) -> Tensor:
    """Probabilities of pixels, for latents drawn from the prior or on the way between those of two images."""
    from zoo_vae import model

    return model.walk(run, between[0], between[1], count) if between else model.sample(run, count)
