"""The data sets of the zoo: what there is, where it lies, and how to get it. Importing this imports no torch."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.environment import data_folder, offline
from zoo.errors import DatasetError, UnknownNameError
from zoo.spec import DatasetInfo

if TYPE_CHECKING:
    from torch import Tensor


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
    """The module with `read(spec, folder)`, which returns the splits, and, unless embedded, `fetch(spec, folder)`."""
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


@dataclass(frozen=True)
class Dataset:
    """A data set in memory."""

    info: DatasetInfo
    splits: Mapping[str, tuple[Tensor, ...]] = field(repr=False)
    """Tensors that share their first axis, by split: for images (N, C, H, W) uint8 pixels and (N,) int64 classes."""

    def split(self, name: str) -> tuple[Tensor, ...]:
        """The tensors of a split.

        Raises:
            UnknownNameError: there is no such split.
        """
        if name not in self.splits:
            raise UnknownNameError(f"split of {self.info.name}", name, self.splits)
        return self.splits[name]


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
    )
}


def spec(name: str) -> DatasetSpec:
    """What a data set is.

    Raises:
        UnknownNameError: there is no data set of that name.
    """
    if name not in SPECS:
        raise UnknownNameError("data set", name, SPECS, "See: zoo data list")
    return SPECS[name]


def load(name: str) -> Dataset:
    """A data set in memory, fetched first if it is not there, and checked to be the one that the name stands for.

    Raises:
        UnknownNameError: there is no data set of that name.
        DatasetError: it cannot be fetched or read, or its content is not what it should be.
    """
    wanted = spec(name)
    if not wanted.present:
        fetch(name)
    folder = data_folder()
    try:
        splits: dict[str, tuple[Tensor, ...]] = importlib.import_module(wanted.module).read(wanted, folder)
    except Exception as error:
        raise DatasetError(_damaged(wanted, folder, f"{type(error).__name__}: {error}")) from error
    found = digest(splits)
    if found != (wanted.digest or found):
        raise DatasetError(_damaged(wanted, folder, f"its digest is {found}, expected {wanted.digest}"))
    return Dataset(replace(wanted.info, digest=found), splits)


def fetch(name: str) -> Path:
    """Downloads a data set into `ZOO_DATA` unless it is there, whole or not at all, and returns the folder.

    Raises:
        UnknownNameError: there is no data set of that name.
        DatasetError: it cannot be downloaded; the message names three ways out.
    """
    wanted, folder = spec(name), data_folder()
    if not wanted.present:
        if offline():
            raise DatasetError(_ways_out(wanted, folder, "nothing may be fetched (ZOO_OFFLINE, --offline)"))
        try:
            importlib.import_module(wanted.module).fetch(wanted, folder)
        except Exception as error:
            raise DatasetError(_ways_out(wanted, folder, f"{type(error).__name__}: {error}")) from error
    return folder


def digest(splits: Mapping[str, tuple[Tensor, ...]]) -> str:
    """sha256 over names, shapes, dtypes and bytes of all tensors."""
    total = hashlib.sha256()
    for name in sorted(splits):
        for tensor in splits[name]:
            total.update(f"{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
            total.update(tensor.contiguous().numpy().data)
    return total.hexdigest()


def _ways_out(wanted: DatasetSpec, folder: Path, reason: str) -> str:
    reason = " ".join(reason.split())
    return (
        f"data set {wanted.name!r} is not in {folder}, and cannot be downloaded: {reason[:300]}\n"
        "Three ways out:\n"
        f"  1. put the files there by hand: {folder / wanted.files[0]} and {len(wanted.files) - 1} more "
        f"(zoo data where {wanted.name}), from {wanted.source}\n"
        f"  2. have them elsewhere? ZOO_DATA=DIR, where DIR holds {wanted.files[0].partition('/')[0]}/\n"
        "  3. data that needs no network: --dataset digits"
    )


def _damaged(wanted: DatasetSpec, folder: Path, reason: str) -> str:
    what = f"data set {wanted.name!r} is not what it should be: {reason}."
    if wanted.embedded:
        return f"{what}\nNext: install the package that holds it again, at the version that constraints.txt names."
    return f"{what}\nNext: remove {folder / wanted.files[0].rpartition('/')[0]}, then: zoo data fetch {wanted.name}"
