"""Reconstructions and latents as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import zoo
from zoo import layers, pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """Originals above reconstructions, one column a class; the latents' two principal components."""
    images, labels = run.data.split(run.split)
    classes = run.data.info.classes
    firsts = [int((labels == k).nonzero()[0]) for k in range(len(classes)) if (labels == k).any()]
    shown = layers.pixels(images[firsts])[0]
    with torch.inference_mode():
        made = run.model.cpu()(shown)[0]
    about = f"{run.spec.name} on {run.data.info.name} ({run.split}), {run.config.latent_dim} latent numbers"
    plane = results["embedding"]
    points, label = torch.tensor(plane["points"]), torch.tensor(plane["label"])
    names = [classes[int(labels[index])] for index in firsts]
    return {
        f"reconstructions-{run.split}": pictures.rows(
            [shown, made], ["original", "reconstruction"], names, f"{about}: mse {results['mse']:.5f}"
        ),
        f"latents-{run.split}": pictures.scatter(
            points, label, classes, plane["shares"], f"{about}: principal components"
        ),
    }
