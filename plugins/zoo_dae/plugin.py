"""dae: a denoising autoencoder (Vincent et al. 2008), which takes noise off images.

What is compared: the output with the clean image, by mean squared error; what goes in is the image corrupted by noise.
It has no bottleneck, for it must not forget the image but the noise; and no latent distribution, so it cannot sample.
The noise is drawn in training and in evaluation, under the run's seed, and never inside the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

api_version = 1
SIGMAS = (0.2, 0.3, 0.5)
"""Strengths that every network is scored at."""


PUBLISHED = {
    "optimizer": "adamw",
    "lr": 3e-3,
    "batch_size": 64,
    "balance": False,
    "channels": (64, 96),
    "side": 4,
}
"""What the recipes of the published weights have in common: they came before Muon."""


class Config(zoo.Config):
    """The recipe for MNIST, under 20 minutes on two cores; `long` is that of the published weights.

    One network for every strength of noise.
    """

    noise: Literal["gaussian", "masking", "salt-and-pepper"] = zoo.field(
        default="gaussian", doc="added; or pixels set to 0; or pixels set to 0 or 1"
    )
    sigma_min: float = zoo.field(default=0.15, doc="least strength in training; see sigma_max", ge=0)
    sigma_max: float = zoo.field(
        default=0.55,
        doc="largest: standard deviation of gaussian noise in pixels of [0, 1], or share of pixels hit",
        ge=0,
    )
    balance: bool = zoo.field(default=True, doc="let strong noise, which leaves more error, count less in the loss")
    channels: tuple[int, ...] = zoo.field(default=(64, 80), doc="filters at each scale; each halves the image", ge=1)
    blocks: tuple[int, ...] = zoo.field(default=(1, 2), doc="residual blocks at each scale, down and up", ge=0)
    side: Literal[2, 4] = zoo.field(default=2, doc="pixels a side of the filters that halve and double")
    epochs: int = zoo.field(default=5, doc="passes over the training images", ge=1)
    batch_size: int = zoo.field(default=32, doc="images in one step", ge=1)
    optimizer: Literal["adamw", "sgd", "muon"] = zoo.field(
        default="muon", doc="Muon for matrices and filters: fewer epochs"
    )
    lr: float = zoo.field(default=8e-3, doc="peak learning rate", gt=0)
    warmup: float = zoo.field(default=0.2, doc="share of the steps in which the rate climbs", gt=0, lt=1)
    ema_decay: float = zoo.field(default=0.999, doc="averages over about 1,000 steps", ge=0, lt=1)
    val_size: int = zoo.field(default=0, doc="training images held out to choose by; 0: train on all", ge=0)

    def check(self) -> None:
        """Refuses an empty range, and shares above 1."""
        if not self.sigma_min <= self.sigma_max:
            raise zoo.ConfigError(f"sigma_min = {self.sigma_min}: expected at most sigma_max = {self.sigma_max}.")
        if self.noise != "gaussian" and self.sigma_max > 1:
            raise zoo.ConfigError(
                f"sigma_max = {self.sigma_max}: {self.noise} noise hits a share of the pixels, at most 1."
            )


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="dae",
        task="image-denoising",
        summary="denoising autoencoder: a small U-Net that takes noise of any strength off images",
        paper="Vincent, Larochelle, Bengio, Manzagol: Extracting and composing robust features with denoising "
        "autoencoders, 2008; Ronneberger, Fischer, Brox: U-Net, 2015",
        config=Config,
        datasets=("mnist", "fashion-mnist", "digits"),
        recipes={
            "long": {**PUBLISHED, "epochs": 14},
            "digits": {**PUBLISHED, "epochs": 100, "ema_decay": 0.98},
        },
        metrics=tuple(
            zoo.Metric(
                f"psnr_sigma_{sigma}", "max", f"10 log10 of 1 over the pooled squared error, noise of {sigma}", "dB"
            )
            for sigma in SIGMAS
        ),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """The network with random weights."""
    from zoo_dae.model import UNet

    return UNet(config, dataset.shape)


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Mean squared error against the clean image, on the training split, less what `val_size` holds out."""
    from zoo_dae import model

    batches, held = zoo.image_batches(run)
    validate = (lambda: model.figures(run, held)) if held is not None else None
    zoo.fit(run, model.loss(run.config), batches, validate)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """PSNR at each strength, beside that of the noisy input."""
    from zoo import layers
    from zoo_dae import model

    layers.channels_last(run.model)
    return model.figures(run, run.data.split(run.split)[0])


@zoo.hookimpl
def zoo_plots(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """Clean, noisy and denoised images, one column a class."""
    from zoo_dae import plots

    return plots.draw(run, results)


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """One input, a noisy image, any number of them; no noise is drawn inside."""
    import torch

    image = torch.rand(8, *run.info.shape, generator=torch.Generator().manual_seed(0))
    return zoo.ExportSpec({"image": image}, ("denoised",), {"image": {0: "batch"}})


@zoo.hookimpl
def zoo_predict(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The cleaned image of each image file."""
    from zoo_dae.model import clean

    return clean(run, inputs)
