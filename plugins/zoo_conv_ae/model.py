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

EVALUATION_BATCH = 250
DRAFT = 0.01
LOOKS_IN_TRAINING = 3
"""At most, of which the last is learned from; what is learned there serves further looks too."""
LOOKED_AT = 1000
"""Images by which the looks are told apart."""
PROBED = 10_000
"""Training images whose latents the linear probe is fitted to."""


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
    run.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a third faster in float32
    error, latent = codes(run, images)
    error = error.double()
    linear = Components.of(layers.pixels(train)[0], run.config.latent_dim)
    plain = layers.pixels(images)[0].double()
    return {
        "mse": error.mean().item(),
        "mse_by_looks": by_looks(run, images[:LOOKED_AT]),
        "pca_mse": (linear.reconstruct(plain) - plain).square().mean().item(),
        "probe_accuracy": probe(codes(run, train[:PROBED])[1], train_labels[:PROBED], latent, labels),
        "per_class": [
            {"class": name, "n": int((labels == k).sum()), "mse": error[labels == k].mean().item()}
            for k, name in enumerate(run.data.info.classes)
            if (labels == k).any()
        ],
    }


def by_looks(run: zoo.Run, images: Tensor) -> list[float]:
    """Mean squared error after no look, one, and so on."""

    def measure(network: Any, batch: tuple[Tensor]) -> dict[str, Tensor]:
        (image,) = batch
        latent = network.draft(image)
        seen = [network.decode(latent)]
        for _ in range(network.looks):
            latent = network.look(image, latent, seen[-1])
            seen.append(network.decode(latent))
        return {"error": torch.stack([(each - image).square().flatten(1).mean(1) for each in seen], 1)}

    batches = zoo.Batches(images, batch_size=EVALUATION_BATCH, transform=layers.pixels, shuffle=False)
    found: list[float] = zoo.score(run, measure, batches)["error"].double().mean(0).tolist()
    return found


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
