"""Building blocks: shapes, and what cannot be halved."""

from __future__ import annotations

import pytest
import torch

from zoo import layers
from zoo.errors import ConfigError


@pytest.mark.parametrize(("shape", "channels"), [((1, 28, 28), (4, 8)), ((3, 16, 32), (4,)), ((1, 8, 8), (2, 3, 4))])
def test_encoder_and_decoder_are_mirror_images(shape: tuple[int, ...], channels: tuple[int, ...]) -> None:
    image = torch.rand(5, *shape)
    blocks = range(len(channels))
    latent = layers.encoder(shape, channels, blocks, 7)(image)
    assert latent.shape == (5, 7)
    assert layers.decoder(shape, channels, blocks, 7)(latent).shape == image.shape


def test_a_size_that_cannot_be_halved_is_refused_with_what_can_be() -> None:
    with pytest.raises(ConfigError, match=r"3 stages.*28 x 28.*at most 2"):
        layers.encoder((1, 28, 28), (4, 8, 16), (1, 1, 1), 7)
    with pytest.raises(ConfigError, match="0 stages"):
        layers.decoder((1, 28, 28), (), (), 7)
    with pytest.raises(ConfigError, match="2 stages and blocks 1"):
        layers.encoder((1, 28, 28), (4, 8), (1,), 7)


def test_a_residual_block_adds_to_what_it_is_given() -> None:
    block, x = layers.Residual(4).eval(), torch.randn(2, 4, 6, 6)
    assert not torch.equal(block(x), x)
    torch.nn.init.zeros_(block.layers[-1].weight)  # type: ignore[arg-type]
    assert torch.equal(block(x), x)


def test_bytes_become_pixels() -> None:
    image, label = layers.pixels(torch.tensor([0, 51, 255], dtype=torch.uint8), torch.tensor([1]))
    assert image.tolist() == pytest.approx([0.0, 0.2, 1.0])
    assert label.tolist() == [1]
