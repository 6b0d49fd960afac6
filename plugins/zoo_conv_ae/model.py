"""The network, its loss and its figures. Shapes: B images of C x H x W pixels, D latent numbers, N examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo import layers
from zoo.components import Components
from zoo.images import prepare

if TYPE_CHECKING:
    from zoo_conv_ae.plugin import Config

EVALUATION_BATCH = 500


class ConvAutoencoder(nn.Module):
    """Residual convolutions down to D numbers, and their mirror image back.

    Shapes:
        image: (B, C, H, W), pixels in [0, 1]
        output: reconstruction (B, C, H, W), pixels in [0, 1], and latent (B, D)
    """

    def __init__(self, config: Config, shape: Sequence[int]) -> None:
        super().__init__()
        self.encoder = layers.encoder(shape, config.channels, config.blocks, config.latent_dim)
        self.decoder = layers.decoder(shape, config.channels, config.blocks, config.latent_dim)

    def encode(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D)."""
        latent: Tensor = self.encoder(image)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """(B, D) to (B, C, H, W), pixels in [0, 1]."""
        logits: Tensor = self.decoder(latent)
        return logits.float().sigmoid()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and latent."""
        latent = self.encode(image)
        return self.decode(latent), latent


def loss(model: nn.Module, batch: tuple[Tensor]) -> Tensor:
    """Mean squared error of a pixel."""
    (image,) = batch
    return F.mse_loss(model(image)[0], image)


def codes(run: zoo.Run, images: Tensor) -> tuple[Tensor, Tensor]:
    """(squared error of each image, (N,), a mean over its pixels; latents (N, D)), from bytes (N, C, H, W)."""

    def measure(model: nn.Module, batch: tuple[Tensor]) -> dict[str, Tensor]:
        reconstruction, latent = model(batch[0])
        return {"error": (reconstruction - batch[0]).square().flatten(1).mean(1), "latent": latent}

    batches = zoo.Batches(images, batch_size=EVALUATION_BATCH, transform=layers.pixels, shuffle=False)
    found = zoo.score(run, measure, batches)
    return found["error"], found["latent"]


def mse(run: zoo.Run, images: Tensor) -> float:
    """Mean squared error of a pixel in [0, 1], over all images."""
    return codes(run, images)[0].double().mean().item()


def figures(run: zoo.Run) -> dict[str, Any]:
    """The metrics, and the error of each class."""
    train, train_labels = run.data.split("train")
    images, labels = run.data.split(run.split)
    error, latent = codes(run, images)
    error = error.double()
    linear = Components.of(layers.pixels(train)[0], run.config.latent_dim)
    plain = layers.pixels(images)[0].double()
    return {
        "mse": error.mean().item(),
        "pca_mse": (linear.reconstruct(plain) - plain).square().mean().item(),
        "probe_accuracy": probe(codes(run, train)[1], train_labels, latent, labels),
        "per_class": [
            {"class": name, "n": int((labels == k).sum()), "mse": error[labels == k].mean().item()}
            for k, name in enumerate(run.data.info.classes)
            if (labels == k).any()
        ],
    }


def probe(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Accuracy of a logistic regression on standardised latents, (N, D): the linear probe (arXiv:1610.01644)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    classifier.fit(train.double().numpy(), train_labels.numpy())
    return float(classifier.score(test.double().numpy(), test_labels.numpy()))


@torch.inference_mode()
def reconstruct(run: zoo.Run, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The reconstruction of each image file, and its error.

    Raises:
        InputError: a file is no image, or blank; all files are read before one answer is given.
    """
    prepared = [prepare(path, run.info) for path in paths]
    image = torch.stack([torch.from_numpy(pixels)[None] for pixels, _ in prepared])
    made, latent = run.model(image)
    results = []
    for path, (_, note), before, after, code in zip(paths, prepared, image, made, latent, strict=True):
        error = (after - before).square().mean().item()
        text = f"mse {error:.5f}{note}"
        results.append({"input": path, "text": text, "mse": error, "latent": code.tolist(), "image": after})
    return results
