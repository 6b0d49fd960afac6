"""Building blocks that several image models share. Shapes: B images, C channels, H x W pixels, F features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError


class Residual(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))): a residual block with pre-activation (arXiv:1603.05027, figure 1b).

    Shapes:
        x: (B, C, H, W)
        output: the same
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*normed(channels), _same(channels), *normed(channels), _same(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x and what the block adds to it."""
        added: Tensor = self.layers(x)
        return x + added


def encoder(shape: Sequence[int], channels: Sequence[int], blocks: Sequence[int], features: int) -> nn.Sequential:
    """(B, *shape) to (B, features): each stage halves H and W, then has residual blocks; a linear layer ends it.

    Half of the last channels reach it, since most weights would be there otherwise.

    Raises:
        ConfigError: see `smallest`.
    """
    height, width = smallest(shape, channels, blocks)
    layers: list[nn.Module] = []
    before = shape[0]
    for after, count in zip(channels, blocks, strict=True):
        layers += [halve(before, after), *residuals(after, count)]
        before = after
    neck = max(1, before // 2)
    layers += [*normed(before), nn.Conv2d(before, neck, 1, bias=False)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(neck * height * width, features))


def decoder(shape: Sequence[int], channels: Sequence[int], blocks: Sequence[int], features: int) -> nn.Sequential:
    """(B, features) to (B, *shape), the mirror image of `encoder`; what comes out is not bounded.

    The last stage works at full resolution with half of the first stage's channels, and has no residual blocks.

    Raises:
        ConfigError: see `smallest`.
    """
    height, width = smallest(shape, channels, blocks)
    before = channels[-1]
    neck = max(1, before // 2)
    layers: list[nn.Module] = [nn.Linear(features, neck * height * width), nn.Unflatten(1, (neck, height, width))]
    layers.append(nn.Conv2d(neck, before, 1, bias=False))
    widths = (*reversed(channels[:-1]), max(1, channels[0] // 2))
    for after, count in zip(widths, reversed(blocks), strict=True):
        layers += [*residuals(before, count), *normed(before), double(before, after)]
        before = after
    return nn.Sequential(*layers, *normed(before), nn.Conv2d(before, shape[0], 3, padding=1))


def residuals(channels: int, count: int) -> list[nn.Module]:
    """`count` residual blocks."""
    return [Residual(channels) for _ in range(count)]


def normed(channels: int) -> list[nn.Module]:
    """Batch norm (arXiv:1502.03167), then ReLU."""
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def halve(before: int, after: int, side: int = 4) -> nn.Conv2d:
    """(B, before, H, W) to (B, after, H/2, W/2), with filters of side x side pixels, an even number."""
    return nn.Conv2d(before, after, side, stride=2, padding=side // 2 - 1)


def double(before: int, after: int, side: int = 4) -> nn.ConvTranspose2d:
    """(B, before, H, W) to (B, after, 2H, 2W), with filters of side x side pixels, an even number."""
    return nn.ConvTranspose2d(before, after, side, stride=2, padding=side // 2 - 1)


def smallest(shape: Sequence[int], channels: Sequence[int], blocks: Sequence[int]) -> tuple[int, int]:
    """H and W after the last stage.

    Raises:
        ConfigError: H or W cannot be halved that often, or channels and blocks speak of different numbers of stages.
    """
    if len(channels) != len(blocks):
        raise ConfigError(
            f"channels has {len(channels)} stages and blocks {len(blocks)}: expected one number of each for each stage."
        )
    _, height, width = shape
    times = 2 ** len(channels)
    if not channels or height % times or width % times:
        raise ConfigError(
            f"channels has {len(channels)} stages, each of which halves the image: {height} x {width} pixels cannot be "
            f"halved that often. Next: at most {int(math.log2(math.gcd(height, width) & -math.gcd(height, width)))}."
        )
    return height // times, width // times


def channels_last(model: nn.Module) -> None:
    """Lays filters out with channels last, and so all images in the model: on a CPU it is then a third faster."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def pixels(image: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Bytes to [0, 1]; what comes with the images stays as it is. A transform for `Batches`."""
    return (image.float() / 255, *others)


def _same(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)
