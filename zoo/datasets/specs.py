"""What data sets there are, without reading one."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.environment import data_folder
from zoo.errors import UnknownNameError
from zoo.spec import DatasetInfo


@dataclass(frozen=True)
class DatasetSpec:
    """What a data set is, without reading it."""

    name: str
    summary: str
    splits: Mapping[str, int]
    """Examples in each split."""
    shape: tuple[int, ...]
    """Of one example."""
    classes: tuple[str, ...]
    license: str
    module: str
    """The module with `read(spec, folder)`, which returns the splits, and, unless embedded, `fetch(spec, folder)`.
    Where a model has to know something that only the data tell, `describe(splits)` adds it to the info's `extra`."""
    digest: str
    """sha256 over all its tensors; see `digest`. Empty where the zoo has never seen the data: then only its makers'
    checksums are compared, when it is fetched."""
    files: tuple[str, ...] = ()
    """What must lie under `ZOO_DATA`; nothing for a data set that comes embedded in a package."""
    source: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def info(self) -> DatasetInfo:
        """What a model has to know of it."""
        return DatasetInfo(self.name, self.shape, self.classes, self.digest, self.extra)

    @property
    def embedded(self) -> bool:
        """Whether it needs no download."""
        return not self.files

    @property
    def present(self) -> bool:
        """Whether all its files lie where they should."""
        return all((data_folder() / name).is_file() for name in self.files)


SPECS = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="mnist",
            summary="handwritten digits, 28x28 grey (LeCun et al. 1998)",
            splits={"train": 60_000, "test": 10_000},
            shape=(1, 28, 28),
            classes=tuple("0123456789"),
            license="CC-BY-SA-3.0",
            module="zoo.datasets.mnist",
            digest="ba7c00d3efa59b83616bcb20b095f17119c227ecd6b1c093860106945bdb12ca",
            files=tuple(
                f"MNIST/raw/{part}-ubyte"
                for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
            ),
            source="http://yann.lecun.com/exdb/mnist/",
            extra={"ink_box": 20, "centre": "mass"},
        ),
        DatasetSpec(
            name="fashion-mnist",
            summary="articles of clothing, 28x28 grey (Xiao, Rasul & Vollgraf 2017)",
            splits={"train": 60_000, "test": 10_000},
            shape=(1, 28, 28),
            classes=("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
            license="MIT",
            module="zoo.datasets.mnist",
            digest="",
            files=tuple(
                f"FashionMNIST/raw/{part}-ubyte"
                for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
            ),
            source="https://github.com/zalandoresearch/fashion-mnist",
            extra={"ink_box": 28, "centre": "box"},
        ),
        DatasetSpec(
            name="digits",
            summary="1,797 handwritten digits of UCI, 8x8 grey scaled to 28x28; embedded in scikit-learn",
            splits={"train": 1_437, "test": 360},
            shape=(1, 28, 28),
            classes=tuple("0123456789"),
            license="CC-BY-4.0",
            module="zoo.datasets.digits",
            digest="0b869e7d33d8268795253bc433e8a08c68d5d9d7fdda9736c0af8634b5fea884",
            extra={"ink_box": 28, "centre": "box"},
        ),
        DatasetSpec(
            name="sentences",
            summary="sentences of a small English grammar, 3 to 12 words; embedded in the zoo",
            splits={"train": 20_000, "val": 1_000, "test": 1_000},
            shape=(),
            classes=(),
            license="Apache-2.0",
            module="zoo.datasets.sentences",
            digest="34b178e2a08f059054341adbd3412abeaf36679f0c6946b809b7a20bf122cacc",
        ),
        DatasetSpec(
            name="multi30k",
            summary="English captions of photographs (Elliott, Frank, Sima'an & Specia 2016)",
            splits={"train": 29_000, "val": 1_014, "test": 1_000},
            shape=(),
            classes=(),
            license="CC-BY-NC-SA-4.0",
            module="zoo.datasets.multi30k",
            digest="2449d74327a20988e0e43ad2b097d8c9a0c78464487571e650b2bd911dc2fd4f",
            files=tuple(f"multi30k/{split}.en.txt" for split in ("train", "val", "test")),
            source="https://github.com/multi30k/dataset",
        ),
    )
}


FAMILIES = {"text": "zoo.datasets.text"}
"""Data sets named by a prefix and an argument, as in "text:PATH": prefix to the module with `spec(argument)`."""


def spec(name: str) -> DatasetSpec:
    """What a data set is.

    Raises:
        UnknownNameError: there is no data set of that name.
        DatasetError: the argument of a family is none that it takes.
    """
    family, colon, argument = name.partition(":")
    if colon and family in FAMILIES:
        found: DatasetSpec = importlib.import_module(FAMILIES[family]).spec(argument)
        return found
    if name not in SPECS:
        raise UnknownNameError("data set", name, SPECS, "See: zoo data list")
    return SPECS[name]


def matches(name: str, allowed: Iterable[str]) -> bool:
    """Whether a name is among those a model takes, of which "text:PATH" stands for its whole family."""
    family, colon, _ = name.partition(":")
    return name in allowed or (bool(colon) and any(other.startswith(f"{family}:") for other in allowed))
