"""Clean, noisy and denoised images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import zoo
from zoo import layers, pictures
from zoo_dae.model import noisy
from zoo_dae.plugin import SIGMAS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """One picture for each strength of noise; one column a class."""
    images, labels = run.data.split(run.split)
    classes = run.data.info.classes
    firsts = [int((labels == k).nonzero()[0]) for k in range(len(classes)) if (labels == k).any()]
    names = [classes[int(labels[index])] for index in firsts]
    clean = layers.pixels(images[firsts])[0]
    found = {}
    for sigma in SIGMAS:
        corrupted = noisy(run.config, images[firsts], sigma)
        with torch.inference_mode():
            denoised = run.model.cpu()(corrupted)
        title = (
            f"{run.spec.name} on {run.data.info.name} ({run.split}), {run.config.noise} noise of {sigma}: "
            f"{results[f'psnr_sigma_{sigma}']:.2f} dB from {results['noisy_input'][f'psnr_sigma_{sigma}']:.2f} dB"
        )
        rows = [clean, corrupted, denoised]
        found[f"denoised-{sigma}-{run.split}"] = pictures.rows(rows, ["clean", "noisy", "denoised"], names, title)
    return found
