"""MNIST and Fashion-MNIST by torchvision's own classes: their downloads, their checksums, their file layout."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.datasets.specs import DatasetSpec
from zoo.datasets.torchvision import torchvision_datasets

TIMEOUT_SECONDS = 20.0
"""Without one, torchvision waits for ever for a server that accepts and never answers."""


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """60,000 + 10,000 images as (N, 1, 28, 28) uint8 pixels and (N,) int64 classes."""
    parts = {name: _class(spec)(folder, train=name == "train") for name in ("train", "test")}
    return {name: (part.data[:, None], part.targets) for name, part in parts.items()}


def fetch(spec: DatasetSpec, folder: Path) -> None:
    """Downloads beside the place where the files belong, then moves them there, each whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary, _patience():
        _class(spec)(temporary, download=True)
        for name in spec.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / name).replace(folder / name)


def _class(spec: DatasetSpec) -> Any:
    """The files lie in a folder that is named like the class."""
    return getattr(torchvision_datasets(), spec.files[0].partition("/")[0])


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """A bound on every wait for the network, and torchvision's progress bars only on a terminal."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
