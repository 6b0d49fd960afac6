"""The English captions of Multi30k (Elliott et al. 2016, task 1), fetched from its makers' own repository."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import download, files
from zoo.datasets import text
from zoo.datasets.specs import DatasetSpec
from zoo.datasets.text import describe as describe
from zoo.errors import HashMismatchError

if TYPE_CHECKING:
    from torch import Tensor

BASE = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
PACKED = {
    "train": ("train.en.gz", 568_929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
    "val": ("val.en.gz", 21_650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
    "test": ("test_2016_flickr.en.gz", 21_077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
}
"""Name, bytes and sha256 of what is fetched for each split."""


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """29,000 + 1,014 + 1,000 captions, in the order of the files, as `zoo.datasets.text` holds them."""
    return {name: text.pack(text.sentences(folder / f"multi30k/{name}.en.txt")) for name in PACKED}


def fetch(spec: DatasetSpec, folder: Path) -> None:
    """Downloads beside the place where the files belong, checks and unpacks them, then moves them there.

    Raises:
        TransferError: a file cannot be fetched.
        HashMismatchError: a file is not the one that was published.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
        for split, (name, size, sha256) in PACKED.items():
            packed = Path(temporary) / name
            download.fetch(BASE + name, packed, size)
            if (got := files.sha256(packed)) != sha256:
                raise HashMismatchError(f"{BASE}{name} is not what was published: expected {sha256}, got {got}.")
            packed.with_name(f"{split}.en.txt").write_bytes(gzip.decompress(packed.read_bytes()))
        (folder / "multi30k").mkdir(exist_ok=True)
        for split in PACKED:
            (Path(temporary) / f"{split}.en.txt").replace(folder / f"multi30k/{split}.en.txt")
