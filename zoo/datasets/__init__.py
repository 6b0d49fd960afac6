"""The data sets of the zoo: where they lie, how to get them, and what is in them. Importing this imports no torch."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.datasets.specs import FAMILIES as FAMILIES
from zoo.datasets.specs import SPECS as SPECS
from zoo.datasets.specs import DatasetSpec as DatasetSpec
from zoo.datasets.specs import Fold as Fold
from zoo.datasets.specs import entry as entry
from zoo.datasets.specs import fold as fold
from zoo.datasets.specs import matches as matches
from zoo.datasets.specs import spec as spec
from zoo.environment import data_folder, offline
from zoo.errors import DatasetError, UnknownNameError
from zoo.spec import DatasetInfo

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """A data set in memory."""

    info: DatasetInfo
    splits: Mapping[str, tuple[Tensor, ...]] = field(repr=False)
    """Tensors by split, the first with a row for each example: for images (N, C, H, W) uint8 pixels and (N,) int64
    classes; for text see `zoo.datasets.text`, for graphs `zoo.datasets.graphs`."""

    def split(self, name: str) -> tuple[Tensor, ...]:
        """The tensors of a split.

        Raises:
            UnknownNameError: there is no such split.
        """
        if name not in self.splits:
            raise UnknownNameError(f"split of {self.info.name}", name, self.splits)
        return self.splits[name]


def load(name: str) -> Dataset:
    """A data set in memory, fetched first if it is not there, and checked to be the one that the name stands for.

    Raises:
        UnknownNameError: there is no data set of that name.
        DatasetError: it cannot be fetched or read, or its content is not what it should be.
    """
    if one := fold(name):
        spec(name)  # what has no folds is refused before anything is fetched
        whole = load(one.base)
        folds = importlib.import_module("zoo.datasets.folds").splits(whole.splits, one)
        return Dataset(replace(spec(name).info, digest=digest(folds)), folds)
    if not spec(name).present:
        fetch(name)
    wanted, folder = spec(name), data_folder()  # of a family some is known only once its files are here
    module = importlib.import_module(wanted.module)
    try:
        splits: dict[str, tuple[Tensor, ...]] = module.read(wanted, folder)
    except DatasetError as error:
        if wanted.embedded:  # a user's own file
            raise
        raise DatasetError(_damaged(wanted, folder, str(error))) from error
    except Exception as error:
        raise DatasetError(_damaged(wanted, folder, f"{type(error).__name__}: {error}")) from error
    found = digest(splits)
    if found != (wanted.digest or found):
        raise DatasetError(_damaged(wanted, folder, f"its digest is {found}, expected {wanted.digest}"))
    extra = {**wanted.extra, **(module.describe(splits) if hasattr(module, "describe") else {})}
    return Dataset(replace(wanted.info, digest=found, extra=extra), splits)


def describe(name: str) -> DatasetInfo:
    """What a model has to know of a data set; the data are read only where they alone tell.

    Raises:
        UnknownNameError, DatasetError: as for `load`.
    """
    wanted = spec(name)
    return load(name).info if hasattr(importlib.import_module(wanted.module), "describe") else wanted.info


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
    alike = (other.name for other in SPECS.values() if other.embedded and len(other.shape) == len(wanted.shape))
    instead = next(alike, "digits")
    return (
        f"data set {wanted.name!r} is not in {folder}, and cannot be downloaded: {reason[:300]}\n"
        "Three ways out:\n"
        f"  1. put the files there by hand: {folder / wanted.files[0]} and {len(wanted.files) - 1} more "
        f"(zoo data where {wanted.name}), from {wanted.source}\n"
        f"  2. have them elsewhere? ZOO_DATA=DIR, where DIR holds {wanted.files[0].partition('/')[0]}/\n"
        f"  3. data that needs no network: --dataset {instead}"
    )


def _damaged(wanted: DatasetSpec, folder: Path, reason: str) -> str:
    what = f"data set {wanted.name!r} is not what it should be: {reason}."
    if wanted.embedded:
        return f"{what}\nNext: install the package that holds it again, at the version that constraints.txt names."
    return f"{what}\nNext: remove {folder / wanted.files[0].rpartition('/')[0]}, then: zoo data fetch {wanted.name}"
