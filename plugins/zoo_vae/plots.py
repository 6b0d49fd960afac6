"""Reconstructions, samples and latents as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import zoo
from zoo import layers, pictures
from zoo.components import Components
from zoo_vae.model import sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 3000
SIDE = 20
"""Of the manifold's grid."""


@torch.inference_mode()
def draw(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """Pictures by name."""
    model: Any = run.model.cpu()
    images, labels = run.data.split(run.split)
    classes, split = run.data.info.classes, run.split
    about = f"{run.spec.name} on {run.data.info.name}"
    firsts = [int((labels == k).nonzero()[0]) for k in range(len(classes)) if (labels == k).any()]
    shown = layers.pixels(images[firsts])[0]
    names = [classes[int(labels[index])] for index in firsts]
    latent = model(layers.pixels(images[:POINTS])[0])[1]
    axes = Components.of(latent, 2)
    found = {
        f"reconstructions-{split}": pictures.rows(
            [shown, model(shown)[0]],
            ["original", "reconstruction"],
            names,
            f"{about} ({split}): ELBO {results['elbo']:.2f} nats, dynamically binarised",
        ),
        "samples": pictures.grid(sample(run, 100), 10, f"{about}: samples from the prior"),
        f"latents-{split}": pictures.scatter(
            axes.project(latent), labels[:POINTS], classes, axes.shares, f"{about} ({split}): means of the latents"
        ),
    }
    if run.config.latent_dim == 2:
        steps = torch.linspace(0.02, 0.98, SIDE, dtype=torch.float64)
        ticks = torch.special.ndtri(steps).float()  # equal shares of the prior's mass
        plane = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)
        made = model.decode(model.prior.draw(plane)).sigmoid()
        found["manifold"] = pictures.grid(made, SIDE, f"{about}: the plane of the two latents, in shares of the prior")
    return found
