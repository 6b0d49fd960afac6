"""The network, its prior, its loss and its figures.

Shapes: B images of C x H x W pixels, D latents, S samples, N examples. z latents, x binary image; all in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo import layers
from zoo.images import prepare

if TYPE_CHECKING:
    from zoo_vae.plugin import Config

EVALUATION_BATCH = 250
SEED = 0x0AE1
"""Of the binarisation and the latents that figures are measured with."""
NLL_IMAGES, NLL_SAMPLES = 100, 500
FULL_SAMPLES = 5000
ACTIVE = 0.01
"""Variance over the images of a latent's posterior mean, from which it counts as active (arXiv:1509.00519)."""
COLLAPSED = 1.0
"""Nats of KL below which nothing of the image is left in the latents."""


class VAE(nn.Module):
    """q(z|x) diagonal Gaussian, p(x|z) Bernoulli, p(z) a normalizing flow or a standard normal.

    Shapes:
        image: (B, C, H, W), in [0, 1]
        output: reconstruction (B, C, H, W), probabilities, and mean of the latents (B, D); nothing is drawn
    """

    def __init__(self, config: Config, shape: Sequence[int]) -> None:
        super().__init__()
        self.encoder = layers.encoder(shape, config.channels, config.blocks, 2 * config.latent_dim)
        self.decoder = layers.decoder(shape, config.channels, config.blocks, config.latent_dim)
        self.prior = Prior(config.latent_dim, config.flows, config.flow_width)

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), (B, D) each."""
        mean, logvar = self.encoder(image).float().chunk(2, dim=1)
        return mean, logvar.clamp(-10, 5)

    def decode(self, latent: Tensor) -> Tensor:
        """Logits of p(x|z), (B, C, H, W)."""
        logits: Tensor = self.decoder(latent)
        return logits.float()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction by the mean, and the mean."""
        mean, _ = self.encode(image)
        return self.decode(mean).sigmoid(), mean

    def terms(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(log p(x|z), log q(z|x) - log p(z), mean of z) for one z of each image: (B,), (B,), (B, D).

        z = mean + std * noise, the reparameterisation (arXiv:1312.6114, equation 4). The second term is a one-draw
        estimate of the KL divergence, which has no closed form under a learned prior.
        """
        mean, logvar = self.encode(image)
        noise = torch.randn_like(mean)
        latent = mean + (0.5 * logvar).exp() * noise
        log_q = normal(noise) - 0.5 * logvar.sum(1)
        return bernoulli(self.decode(latent), image), log_q - self.prior.log_prob(latent), mean


class Prior(nn.Module):
    """p(z) by affine coupling layers that turn z into a standard normal u (RealNVP, arXiv:1605.08803, equations 4-6).

    A prior that fits the aggregate posterior takes away the part of the ELBO that is lost between the two (as with
    autoregressive flows in arXiv:1611.02731); with no layers it is the standard normal of the original VAE.
    """

    def __init__(self, latents: int, flows: int, width: int) -> None:
        super().__init__()
        self.latents, self.kept = latents, latents // 2
        self.couplings = nn.ModuleList(
            nn.Sequential(
                nn.Linear(self.kept, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, 2 * (latents - self.kept)),
            )
            for _ in range(flows)
        )
        for coupling in self.couplings:
            last = coupling[-1]  # type: ignore[index]
            nn.init.zeros_(last.weight)  # starts as the standard normal
            nn.init.zeros_(last.bias)

    def log_prob(self, latent: Tensor) -> Tensor:
        """log p(z), (B, D) to (B,), in float32 whatever the autocast."""
        with torch.autocast(latent.device.type, enabled=False):
            u, change = latent.float(), torch.zeros(len(latent), device=latent.device)
            for coupling in self.couplings:
                kept, moved = u[:, : self.kept], u[:, self.kept :]
                scale, shift = _affine(coupling, kept)
                u = torch.cat([kept, moved * scale.exp() + shift], 1).flip(1)
                change = change + scale.sum(1)
            return normal(u) + change

    def draw(self, normal: Tensor) -> Tensor:
        """z for standard normal u, (B, D): the inverse."""
        z = normal
        for coupling in reversed(self.couplings):
            z = z.flip(1)
            kept, moved = z[:, : self.kept], z[:, self.kept :]
            scale, shift = _affine(coupling, kept)
            z = torch.cat([kept, (moved - shift) * (-scale).exp()], 1)
        return z


def _affine(coupling: nn.Module, kept: Tensor) -> tuple[Tensor, Tensor]:
    scale, shift = coupling(kept).chunk(2, dim=1)
    return 2 * torch.tanh(scale / 2), shift  # bounded: e^2 at most a layer


def normal(noise: Tensor) -> Tensor:
    """log N(noise; 0, I), (B, D) to (B,)."""
    return -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1)


def bernoulli(logits: Tensor, image: Tensor) -> Tensor:
    """log p(x|z) of binary images, (B, C, H, W) to (B,)."""
    return -F.binary_cross_entropy_with_logits(logits, image, reduction="none").flatten(1).sum(1)


def loss(run: zoo.Run) -> Callable[[nn.Module, tuple[Tensor]], dict[str, Tensor]]:
    """-(log p(x|z) - beta KL), with beta climbing from 0, on a fresh binarisation of each batch."""
    config: Config = run.config

    def of(model: nn.Module, batch: tuple[Tensor]) -> dict[str, Tensor]:
        image = torch.bernoulli(batch[0])
        likelihood, divergence, _ = model.terms(image)  # type: ignore[operator]
        reconstruction, kl = likelihood.mean(), divergence.mean()
        beta = config.beta * min(1.0, run.progress / config.kl_warmup if config.kl_warmup else 1.0)
        cost = beta * kl.clamp(min=config.free_bits) - reconstruction
        return {"loss": cost, "reconstruction": reconstruction, "kl": kl}

    return of


def binary(images: Tensor) -> Tensor:
    """The binarisation that figures are measured on, from bytes: (N, C, H, W), 0 or 1."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.bernoulli(layers.pixels(images.cpu())[0], generator=generator)


def bound(run: zoo.Run, images: Tensor) -> dict[str, float]:
    """ELBO and its terms from one draw of z for each image, and the number of active latents."""

    def measure(model: nn.Module, batch: tuple[Tensor]) -> dict[str, Tensor]:
        likelihood, divergence, mean = model.terms(batch[0])  # type: ignore[operator]
        return {"likelihood": likelihood, "divergence": divergence, "mean": mean}

    torch.manual_seed(SEED)
    batches = zoo.Batches(binary(images), batch_size=EVALUATION_BATCH, shuffle=False)
    found = zoo.score(run, measure, batches)
    reconstruction, kl = found["likelihood"].double().mean().item(), found["divergence"].double().mean().item()
    active = int((found["mean"].double().var(0) > ACTIVE).sum()) if len(images) > 1 else 0
    return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl, "active_units": active}


def figures(run: zoo.Run, images: Tensor) -> dict[str, Any]:
    """The metrics, and on what they were measured."""
    found = bound(run, images)
    count, samples = (len(images), FULL_SAMPLES) if run.full else (min(NLL_IMAGES, len(images)), NLL_SAMPLES)
    nll = -likelihood(run, binary(images)[:count], samples)
    return {
        **found,
        "nll": nll.mean().item(),
        "nll_measured_on": {
            "first_images": count,
            "samples": samples,
            "standard_error": (nll.std() / math.sqrt(count)).item() if count > 1 else None,
        },
        "binarisation": f"dynamic, one draw, seed {SEED}",
        "posterior_collapse": found["kl"] < COLLAPSED,
    }


@torch.inference_mode()
def likelihood(run: zoo.Run, images: Tensor, samples: int) -> Tensor:
    """log p(x) by importance sampling: log of the mean of p(x|z) p(z) / q(z|x) over S draws (arXiv:1509.00519, eq. 8).

    (N, C, H, W) binary images to (N,), in double precision.
    """
    model: Any = run.model.to(run.device).eval()
    torch.manual_seed(SEED)
    found = []
    for image in images.to(run.device):
        mean, logvar = model.encode(image[None])
        weights = []
        for start in range(0, samples, EVALUATION_BATCH):
            noise = torch.randn(min(EVALUATION_BATCH, samples - start), mean.shape[1], device=mean.device)
            latent = mean + (0.5 * logvar).exp() * noise
            log_q = normal(noise) - 0.5 * logvar.sum(1)
            given = bernoulli(model.decode(latent), image.expand(len(latent), -1, -1, -1))
            weights.append((given + model.prior.log_prob(latent) - log_q).double())
        found.append(torch.logsumexp(torch.cat(weights), 0) - math.log(samples))
    return torch.stack(found).cpu()


@torch.inference_mode()
def sample(run: zoo.Run, count: int) -> Tensor:
    """Probabilities of pixels, (count, C, H, W), for latents from the prior."""
    model: Any = run.model
    made: Tensor = model.decode(model.prior.draw(torch.randn(count, run.config.latent_dim))).sigmoid()
    return made


@torch.inference_mode()
def walk(run: zoo.Run, first: str, last: str, count: int) -> Tensor:
    """`count` steps on the straight line between the latents of two image files, decoded.

    Raises:
        InputError: a file is no image, or blank.
    """
    model: Any = run.model
    ends = torch.stack([torch.from_numpy(prepare(path, run.info)[0])[None] for path in (first, last)])
    mean = model.encode(ends)[0]
    made: Tensor = model.decode(torch.lerp(mean[:1], mean[1:], torch.linspace(0, 1, count)[:, None])).sigmoid()
    return made


@torch.inference_mode()
def reconstruct(run: zoo.Run, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The reconstruction of each image file by its mean latents, and its ELBO.

    Raises:
        InputError: a file is no image, or blank; all files are read before one answer is given.
    """
    model: Any = run.model
    prepared = [prepare(path, run.info) for path in paths]
    image = torch.stack([torch.from_numpy(pixels)[None] for pixels, _ in prepared])
    made, mean = model(image)
    torch.manual_seed(SEED)
    given, divergence, _ = model.terms(torch.bernoulli(image))
    results = []
    for number, (path, (_, note)) in enumerate(zip(paths, prepared, strict=True)):
        elbo = (given[number] - divergence[number]).item()
        text = f"elbo {elbo:.2f} nats{note}"
        results.append(
            {"input": path, "text": text, "elbo": elbo, "latent": mean[number].tolist(), "image": made[number]}
        )
    return results


class _Part(nn.Module):
    """One way through the model, as a module that can be exported."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model


class Encode(_Part):
    """image (B, C, H, W) to mean and log-variance of the latents."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) each."""
        mean, logvar = self.model.encode(image)
        return mean, logvar


class Decode(_Part):
    """latent (B, D) to probabilities of pixels."""

    def forward(self, latent: Tensor) -> Tensor:
        """(B, C, H, W)."""
        probabilities: Tensor = self.model.decode(latent).sigmoid()
        return probabilities


def export(run: zoo.Run) -> zoo.ExportSpec:
    """The model by its mean, and its two halves."""
    generator = torch.Generator().manual_seed(0)
    image = {"image": torch.rand(8, *run.info.shape, generator=generator)}
    latent = {"latent": torch.randn(8, run.config.latent_dim, generator=generator)}
    axes = {0: "batch"}
    return zoo.ExportSpec(
        image,
        ("reconstruction", "mean"),
        {"image": axes},
        parts={
            "encode": zoo.ExportSpec(image, ("mean", "logvar"), {"image": axes}, module=Encode(run.model)),
            "decode": zoo.ExportSpec(latent, ("probabilities",), {"latent": axes}, module=Decode(run.model)),
        },
    )
