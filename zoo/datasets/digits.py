"""Optical recognition of handwritten digits (UCI), embedded in scikit-learn: real data that needs no network.

The only file that knows sklearn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zoo.datasets.specs import DatasetSpec

TEST_EXAMPLES = 360


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """1,797 digits; 8x8 counts of 0 to 16 become 28x28 pixels of 0 to 255, bilinearly. A fifth is the test split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    source = load_digits()
    small = (source.images * 255 / 16).round().astype(np.uint8)
    large = [Image.fromarray(image).resize((28, 28), Image.Resampling.BILINEAR) for image in small]
    images = torch.from_numpy(np.stack([np.asarray(image) for image in large]))[:, None]
    labels = torch.from_numpy(source.target.astype(np.int64))
    everything = np.arange(len(labels))
    train, test = train_test_split(everything, test_size=TEST_EXAMPLES, stratify=source.target, random_state=0)
    return {"train": (images[train], labels[train]), "test": (images[test], labels[test])}
