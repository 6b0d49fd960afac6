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

EVALUATION_BATCH = 100
DRAFT = 0.01
LOOKS_IN_TRAINING = 3
"""At most, of which the last is learned from; what is learned there serves further looks too."""
POINTS = 1_000
"""Latents in the picture of them."""
PROBED = 1_500
"""Training images whose latents the linear probe is fitted to; all, where all the time may be taken."""


class ConvAutoencoder(nn.Module):
    """Residual convolutions down to D numbers, corrected by looking at what they decode to, and back.

    A single pass of an encoder misses the latents that would serve its decoder best (the amortisation gap,
    arXiv:1801.03558). So a small encoder drafts them, and a larger one, which sees the image beside its present
    reconstruction, corrects them, several times: iterative amortised inference (arXiv:1807.09356, equation 6, with the
    reconstruction in the place of the gradient).

    Shapes:
        image: (B, C, H, W), pixels in [0, 1]
        output: reconstruction (B, C, H, W), pixels in [0, 1], and latent (B, D); in training also the draft (B, D)
    """

    def __init__(self, config: Config, shape: Sequence[int]) -> None:
        super().__init__()
        self.looks = config.looks
        small, none = [max(1, width // 4) for width in config.channels], [0] * len(config.channels)
        self.draft = layers.encoder(shape, small, none, config.latent_dim)
        pair = (2 * shape[0], *shape[1:])
        self.correction = layers.encoder(pair, config.channels, config.blocks, config.latent_dim)
        self.decoder = layers.decoder(shape, config.channels, config.blocks, config.latent_dim)

    def encode(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D)."""
        latent: Tensor = self.draft(image).float()
        for _ in range(self.looks):
            latent = self.look(image, latent, self.decode(latent))
        return latent

    def look(self, image: Tensor, latent: Tensor, seen: Tensor) -> Tensor:
        """Latents corrected by what they are `seen` to decode to."""
        correction: Tensor = self.correction(torch.cat([image, seen], 1))
        return latent + correction.float()

    def decode(self, latent: Tensor) -> Tensor:
        """(B, D) to (B, C, H, W), pixels in [0, 1]."""
        logits: Tensor = self.decoder(latent)
        return logits.float().sigmoid()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Reconstruction and latent. In training the last look alone is learned from, after 0 or more others."""
        if not self.training:
            latent = self.encode(image)
            return self.decode(latent), latent
        draft: Tensor = self.draft(image).float()
        latent, seen = self._before(image, draft)
        latent = self.look(image, latent, seen)
        return self.decode(latent), latent, draft

    @torch.no_grad()
    def _before(self, image: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latents before the last look, and what they decode to; batch norm as in evaluation, and not moved by it."""
        self.eval()
        for _ in range(int(torch.randint(min(self.looks, LOOKS_IN_TRAINING), ()))):
            latent = self.look(image, latent, self.decode(latent))
        seen = self.decode(latent)
        self.train()
        return latent.detach(), seen


def loss(model: nn.Module, batch: tuple[Tensor]) -> dict[str, Tensor]:
    """Mean squared error of a pixel; and that of the draft, as a share of the latents' variance.

    The draft learns from the corrected latents and does not move them, so that the share's weight is one for the eye.
    """
    (image,) = batch
    reconstruction, latent, draft = model(image)
    mse = F.mse_loss(reconstruction, image)
    goal = latent.detach()
    missed = F.mse_loss(draft, goal) / (goal - goal.mean(0)).square().mean()
    return {"loss": mse + DRAFT * missed, "mse": mse, "draft": missed}


def looks(run: zoo.Run, images: Tensor) -> tuple[Tensor, Tensor]:
    """(squared error of each image, a mean over its pixels, after no look, one, ..., (N, looks + 1); latents (N, D)).

    `images` are bytes, (N, C, H, W).
    """

    def measure(network: Any, batch: tuple[Tensor]) -> dict[str, Tensor]:
        (image,) = batch
        latent = network.draft(image).float()
        seen = [network.decode(latent)]
        for _ in range(network.looks):
            latent = network.look(image, latent, seen[-1])
            seen.append(network.decode(latent))
        errors = [(each - image).square().flatten(1).mean(1) for each in seen]
        return {"error": torch.stack(errors, 1), "latent": latent}

    found = zoo.score(run, measure, _batches(images))
    return found["error"].double(), found["latent"]


def latents(run: zoo.Run, images: Tensor) -> Tensor:
    """(N, D), from bytes (N, C, H, W)."""

    def measure(network: Any, batch: tuple[Tensor]) -> dict[str, Tensor]:
        return {"latent": network.encode(batch[0])}

    return zoo.score(run, measure, _batches(images))["latent"]


def mse(run: zoo.Run, images: Tensor) -> float:
    """Mean squared error of a pixel in [0, 1], over all images."""
    return looks(run, images)[0][:, -1].mean().item()


def figures(run: zoo.Run) -> dict[str, Any]:
    """The metrics, the error of each class, and some latents in two dimensions (principal components)."""
    train, train_labels = run.data.split("train")
    images, labels = run.data.split(run.split)
    errors, latent = looks(run, images)
    error = errors[:, -1]
    probed = len(train) if run.full else min(PROBED, len(train))
    linear, plane = Components.of(layers.pixels(train)[0], run.config.latent_dim), Components.of(latent, 2)
    plain = layers.pixels(images)[0].double()
    return {
        "mse": error.mean().item(),
        "mse_by_looks": errors.mean(0).tolist(),
        "pca_mse": (linear.reconstruct(plain) - plain).square().mean().item(),
        "probe_accuracy": probe(latents(run, train[:probed]), train_labels[:probed], latent, labels),
        "probe_fitted_to": {"training_images": probed},
        "embedding": {
            "points": plane.project(latent[:POINTS]).tolist(),
            "shares": list(plane.shares),
            "label": labels[:POINTS].tolist(),
        },
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


def _batches(images: Tensor) -> zoo.Batches:
    return zoo.Batches(images, batch_size=EVALUATION_BATCH, transform=layers.pixels, shuffle=False)
