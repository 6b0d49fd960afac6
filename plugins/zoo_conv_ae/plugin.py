"""conv-ae: a convolutional autoencoder (Hinton & Salakhutdinov 2006), which squeezes an image through a few numbers.

What is compared: the reconstruction with the image itself, by mean squared error over pixels in [0, 1]. Nothing is
corrupted (as `dae` does) and nothing is drawn at random (as `vae` does), so its latents have no distribution that one
could sample from. The encoder looks several times, each time at the image and at what its latents decode to.
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

    latent_dim: int = zoo.field(default=32, doc="numbers that an image is squeezed through", ge=2, le=128)
    channels: tuple[int, ...] = zoo.field(default=(32, 64), doc="filters of each stage; each halves the image", ge=1)
    blocks: tuple[int, ...] = zoo.field(default=(1, 2), doc="residual blocks in each stage", ge=0)
    looks: int = zoo.field(default=5, doc="times that the encoder corrects the latents by what they decode to", ge=1)
    epochs: int = zoo.field(default=5, doc="passes over the training images", ge=1)
    batch_size: int = zoo.field(default=64, doc="images in one step", ge=1)
    lr: float = zoo.field(default=3e-3, doc="peak learning rate of AdamW", gt=0)
    warmup: float = zoo.field(default=0.2, doc="share of the steps in which the rate climbs", gt=0, lt=1)
    ema_decay: float = zoo.field(default=0.999, doc="averages over about 1,000 steps, one epoch of MNIST", ge=0, lt=1)
    val_size: int = zoo.field(default=0, doc="training images held out to choose by; 0: train on all", ge=0)


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="conv-ae",
        task="image-reconstruction",
        summary="convolutional autoencoder that keeps an image in a few numbers",
        paper="Hinton & Salakhutdinov: Reducing the dimensionality of data with neural networks, 2006",
        config=Config,
        datasets=("mnist", "fashion-mnist", "digits"),
        recipes={"long": {"epochs": 16}, "digits": {"epochs": 100, "batch_size": 64, "ema_decay": 0.98}},
        metrics=(
            zoo.Metric("mse", "min", "mean squared error of a pixel in [0, 1]"),
            zoo.Metric("pca_mse", "min", "the same of as many principal components, the best linear autoencoder"),
            zoo.Metric(
                "probe_accuracy",
                "max",
                "share of latents whose class a logistic regression on those of 1,500 training images tells",
            ),
        ),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """The network with random weights."""
    from zoo_conv_ae.model import ConvAutoencoder

    return ConvAutoencoder(config, dataset.shape)


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Mean squared error on the training split, less what `val_size` holds out."""
    from zoo_conv_ae import model

    batches, held = zoo.image_batches(run)
    zoo.fit(run, model.loss, batches, (lambda: {"mse": model.mse(run, held)}) if held is not None else None)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """The error beside that of as many principal components, and how well the latents tell the classes apart."""
    from zoo import layers
    from zoo_conv_ae import model

    layers.channels_last(run.model)
    return model.figures(run)


@zoo.hookimpl
def zoo_plots(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """Originals above reconstructions, one column a class; the latents in two dimensions, coloured by class."""
    from zoo_conv_ae import plots

    return plots.draw(run, results)


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """One input, pixels in [0, 1], any number of images."""
    import torch

    image = torch.rand(8, *run.info.shape, generator=torch.Generator().manual_seed(0))
    return zoo.ExportSpec({"image": image}, ("reconstruction", "latent"), {"image": {0: "batch"}})


@zoo.hookimpl
def zoo_predict(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The reconstruction of each image file, and its error."""
    from zoo_conv_ae.model import reconstruct

    return reconstruct(run, inputs)


@zoo.hookimpl
def zoo_embed(run: zoo.Run, inputs: Sequence[str]) -> Tensor:
    """The latents of each image file."""
    import torch

    with torch.inference_mode():
        latent: Tensor = run.model(zoo.image_files(run, inputs))[1]
    return latent
