"""The network, the noise, the loss and the figures. Shapes: B images of C x H x W pixels, N examples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo import layers
from zoo.images import prepare
from zoo_dae.plugin import SIGMAS

if TYPE_CHECKING:
    from zoo_dae.plugin import Config

EVALUATION_BATCH = 250
SEED = 0x0D4E
"""Of the noise that figures are measured with: the same for every network, so that they can be compared."""


class Position(nn.Module):
    """x and a learned number for each channel and position (arXiv:2010.11929, equation 1): digits are centred.

    Shapes:
        x: (B, C, H, W)
        output: the same
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self.bias


class Mixing(nn.Module):
    """x + conv(W relu(norm(x))): W combines all H W positions, alike in each channel; the convolution is 1 x 1.

    The token mixing of MLP-Mixer (arXiv:2105.01601, equation 1): noise leaves no neighbourhood to be sure of, so that
    each position sees the whole image at once.

    Shapes:
        x: (B, C, H, W)
        output: the same
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.norm = nn.Sequential(*layers.normed(channels))
        self.positions = nn.Linear(height * width, height * width, bias=False)
        self.channels = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x and what the block adds to it."""
        # Positions from the left: with channels last, nothing is copied to put them last.
        mixed = (self.positions.weight @ self.norm(x).flatten(2).mT).mT
        added: Tensor = self.channels(mixed.unflatten(2, x.shape[2:]))
        return x + added


class UNet(nn.Module):
    """Residual convolutions at several scales, each scale's result handed across to the way up (arXiv:1505.04597).

    It works at half resolution and below: four pixels come in as four channels (FFDNet, arXiv:1710.04026, section III),
    which costs a quarter, and sees twice as far. At the smallest scale each block is followed by `Mixing`.

    Shapes:
        image: (B, C, H, W), noisy, not clipped
        output: (B, C, H, W), pixels in [0, 1]
    """

    def __init__(self, config: Config, shape: Sequence[int]) -> None:
        super().__init__()
        channels, blocks = config.channels, config.blocks
        height, width = layers.smallest(shape, channels, blocks)
        scales = [*zip(channels, blocks, strict=True)]
        stem = nn.Conv2d(4 * shape[0], channels[0], 3, padding=1)
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), stem, Position(channels[0], shape[1] // 2, shape[2] // 2))
        self.down = nn.ModuleList(nn.Sequential(*layers.residuals(*scale)) for scale in scales[:-1])
        low = channels[-1], height, width
        bottom = [(block, Mixing(*low)) for block in layers.residuals(channels[-1], blocks[-1])]
        self.bottom = nn.Sequential(Position(*low), *itertools.chain(*bottom))
        self.shrink = nn.ModuleList(layers.halve(a, b, config.side) for a, b in itertools.pairwise(channels))
        self.grow = nn.ModuleList(layers.double(b, a, config.side) for a, b in itertools.pairwise(channels))
        self.up = nn.ModuleList(nn.Sequential(*layers.residuals(*scale)) for scale in scales[:-1])
        last = nn.Conv2d(channels[0], 4 * shape[0], 3, padding=1)
        self.head = nn.Sequential(*layers.normed(channels[0]), last, nn.PixelShuffle(2))

    def forward(self, image: Tensor) -> Tensor:
        """The clean image."""
        x = self.stem(image)
        across: list[Tensor] = []
        for scale, shrink in zip(self.down, self.shrink, strict=True):
            x = scale(x)
            across.append(x)
            x = shrink(x)
        x = self.bottom(x)
        for scale, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            x = scale(grow(x) + across.pop())
        logits: Tensor = self.head(x)
        return logits.float().sigmoid()


def corrupt(image: Tensor, kind: str, sigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """(B, C, H, W) with noise of strength sigma, (B, 1, 1, 1); gaussian noise is added and not clipped."""
    if kind == "gaussian":
        return image + sigma * torch.randn(image.shape, generator=generator, device=image.device)
    hit = torch.rand(image.shape, generator=generator, device=image.device) < sigma
    if kind == "masking":
        return image.masked_fill(hit, 0.0)
    white = torch.rand(image.shape, generator=generator, device=image.device) < 0.5
    return torch.where(hit, white.float(), image)


def loss(config: Config) -> Callable[[nn.Module, tuple[Tensor]], dict[str, Tensor]]:
    """Mean squared error of a pixel, after noise of a strength drawn for each image from the config's range.

    With `balance` an image counts by 1 / (0.3 + sigma), which lies between alike in squared error and alike in PSNR:
    the error that is left grows with the noise, and PSNR is its logarithm.
    """

    def of(model: nn.Module, batch: tuple[Tensor]) -> dict[str, Tensor]:
        (image,) = batch
        span = config.sigma_max - config.sigma_min
        sigma = config.sigma_min + span * torch.rand(len(image), 1, 1, 1, device=image.device)
        error = F.mse_loss(model(corrupt(image, config.noise, sigma)), image, reduction="none").flatten(1).mean(1)
        mse = error.mean()
        return {"loss": (error / (0.3 + sigma.flatten())).mean() if config.balance else mse, "mse": mse.detach()}

    return of


def noisy(config: Config, images: Tensor, sigma: float) -> Tensor:
    """Bytes (N, C, H, W) to pixels with the noise that figures are measured with."""
    generator = torch.Generator().manual_seed(SEED)
    strength = torch.full((1, 1, 1, 1), sigma)
    return corrupt(layers.pixels(images.cpu())[0], config.noise, strength, generator)


def figures(run: zoo.Run, images: Tensor) -> dict[str, Any]:
    """PSNR of the denoised images at each strength, and of the noisy ones beside it.

    From squared errors pooled over all pixels of all images, with a peak of 1; the input is not clipped.
    """

    def measure(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        corrupted, clean = batch
        return {"error": (model(corrupted) - clean).square().flatten(1).mean(1)}

    clean = layers.pixels(images.cpu())[0]
    found: dict[str, Any] = {}
    before: dict[str, float] = {}
    for sigma in SIGMAS:
        corrupted = noisy(run.config, images, sigma)
        batches = zoo.Batches(corrupted, clean, batch_size=EVALUATION_BATCH, shuffle=False)
        found[f"psnr_sigma_{sigma}"] = psnr(zoo.score(run, measure, batches)["error"].double().mean().item())
        before[f"psnr_sigma_{sigma}"] = psnr((corrupted - clean).double().square().mean().item())
    return {**found, "noisy_input": before}


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of pixels in [0, 1]."""
    return -10 * math.log10(error)


@torch.inference_mode()
def clean(run: zoo.Run, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The cleaned image of each image file.

    Raises:
        InputError: a file is no image, or blank; all files are read before one answer is given.
    """
    prepared = [prepare(path, run.info) for path in paths]
    image = torch.stack([torch.from_numpy(pixels)[None] for pixels, _ in prepared])
    results = []
    for path, (_, note), before, after in zip(paths, prepared, image, run.model(image), strict=True):
        removed = (after - before).square().mean().sqrt().item()
        text = f"changed by {removed:.3f} a pixel{note}"
        results.append({"input": path, "text": text, "removed_rms": removed, "image": after})
    return results
