"""What data sets there are, without reading one."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.environment import data_folder
from zoo.errors import DatasetError, UnknownNameError
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


def _planetoid(name: str, features: int, classes: tuple[str, ...], train: int, digest: str, about: str) -> DatasetSpec:
    parts = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    return DatasetSpec(
        name=name.lower(),
        summary=f"{about} in the public split of Planetoid (Yang et al. 2016): classes of nodes",
        splits={"train": train, "val": 500, "test": 1000},
        shape=(features,),
        classes=classes,
        license="not stated by its makers",
        module="zoo.datasets.planetoid",
        digest=digest,
        files=tuple(f"Planetoid/{name}/raw/ind.{name.lower()}.{part}" for part in parts),
        source="https://github.com/kimiyoung/planetoid/tree/master/data",
        extra={"level": "node"},
    )


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
            license="not stated beside the files; captions of Flickr30k",
            module="zoo.datasets.multi30k",
            digest="2449d74327a20988e0e43ad2b097d8c9a0c78464487571e650b2bd911dc2fd4f",
            files=tuple(f"multi30k/{split}.en.txt" for split in ("train", "val", "test")),
            source="https://github.com/multi30k/dataset",
        ),
        _planetoid(
            "Cora",
            1433,
            (
                "theory",
                "reinforcement learning",
                "genetic algorithms",
                "neural networks",
                "probabilistic methods",
                "case based",
                "rule learning",
            ),
            140,
            "f2ff9012c92e30ccece1f7eb1d2537eac1556da2af98c2ec5ed3e88ae545c7b5",
            "2,708 papers on machine learning and whom they cite",
        ),
        _planetoid(
            "CiteSeer",
            3703,
            ("AI", "machine learning", "information retrieval", "databases", "agents", "human-computer interaction"),
            120,
            "",
            "3,327 papers on computer science and whom they cite",
        ),
        _planetoid(
            "PubMed",
            500,
            ("experimental", "type 1", "type 2"),
            60,
            "",
            "19,717 papers on diabetes and whom they cite",
        ),
        DatasetSpec(
            name="karate",
            summary="34 members of a karate club in 4 communities (Zachary 1977); embedded in PyG",
            splits={"train": 4, "test": 30},
            shape=(34,),
            classes=("A", "B", "C", "D"),
            license="MIT, as part of PyG",
            module="zoo.datasets.graphs",
            digest="0dcd0d530307c34034a5730b396cf1eeb72b3686ac5c48dbd6d8e02c53f3ddcf",
            extra={"level": "node"},
        ),
        DatasetSpec(
            name="reddit-binary",
            summary="2,000 threads of Reddit, as who answered whom: question/answer or discussion (TUDataset)",
            splits={"train": 1600, "val": 200, "test": 200},
            shape=(1,),
            classes=("-1", "1"),
            license="not stated by its makers",
            module="zoo.datasets.tu",
            digest="6d85c8e5b34409ec41452f2e62193f410c8905b6c50b293c1d4360ab201ae652",
            files=tuple(
                f"TUDataset/REDDIT-BINARY/raw/REDDIT-BINARY_{part}.txt"
                for part in ("A", "graph_indicator", "graph_labels")
            ),
            source="https://chrsmrrs.github.io/datasets/",
            extra={"level": "graph", "features": "degree"},
        ),
        DatasetSpec(
            name="threads",
            summary="SYNTHETIC: 400 generated threads, as who answered whom; a stand-in where there is no network",
            splits={"train": 320, "val": 40, "test": 40},
            shape=(1,),
            classes=("question/answer (synthetic)", "discussion (synthetic)"),
            license="Apache-2.0, made by the zoo",
            module="zoo.datasets.threads",
            digest="f4c6a3229414dd6a628606e158ada57c86f38d8408cffb479ce387ea50e4763d",
            extra={"level": "graph", "features": "degree"},
        ),
    )
}


@dataclass(frozen=True)
class Family:
    """Data sets named by a prefix and an argument."""

    name: str
    """As models and people write it, e.g. "text:PATH"."""
    summary: str
    module: str
    """The module with `spec(argument)`."""


FAMILIES = {
    family.name.partition(":")[0]: family
    for family in (
        Family("text:PATH", "your own sentences, one a line of a text file", "zoo.datasets.text"),
        Family("tu:NAME", "any data set of graphs in TUDataset (Morris et al. 2020), by its name", "zoo.datasets.tu"),
    )
}


def spec(name: str) -> DatasetSpec:
    """What a data set is.

    Raises:
        UnknownNameError: there is no data set of that name.
        DatasetError: the argument of a family is none that it takes.
    """
    if one := fold(name):
        whole = spec(one.base)
        if whole.extra.get("level") != "graph":
            raise DatasetError(f"data set {one.base!r} has no folds: only data sets of many graphs have.")
        return replace(whole, name=name, splits={}, digest="")
    family, colon, argument = name.partition(":")
    if colon and family in FAMILIES:
        found: DatasetSpec = importlib.import_module(FAMILIES[family].module).spec(argument)
        return found
    if name not in SPECS:
        raise UnknownNameError("data set", name, SPECS, "See: zoo data list")
    return SPECS[name]


def matches(name: str, allowed: Iterable[str]) -> bool:
    """Whether a name is among those a model takes, of which "text:PATH" stands for its whole family."""
    return entry(name, allowed) is not None


def entry(name: str, allowed: Iterable[str]) -> str | None:
    """The one of those names, as in `matches`, that a data set goes by; a fold goes by its whole data set's."""
    one = fold(name)
    base = one.base if one else name
    family, colon, _ = base.partition(":")
    return next((other for other in allowed if other == base or (colon and other.startswith(f"{family}:"))), None)


@dataclass(frozen=True)
class Fold:
    """One fold of a data set for cross-validation; `number` counts from 1. See `zoo.datasets.folds`."""

    base: str
    number: int
    count: int
    seed: int = 0

    @property
    def name(self) -> str:
        """As it is typed and recorded, e.g. "reddit-binary@fold3of10"."""
        return f"{self.base}@fold{self.number}of{self.count}" + (f"-seed{self.seed}" if self.seed else "")


def fold(name: str) -> Fold | None:
    """What a name says of a fold; None if it is no fold's.

    Raises:
        DatasetError: there is no such fold.
    """
    found = re.fullmatch(r"(.+)@fold(\d+)of(\d+)(?:-seed(\d+))?", name)
    if not found:
        return None
    number, count, seed = (int(part or 0) for part in found.groups()[1:])
    if count < 3 or not 1 <= number <= count:
        raise DatasetError(f"{name}: expected at least 3 folds, and one of 1 to {max(count, 3)} of them.")
    return Fold(found[1], number, count, seed)
