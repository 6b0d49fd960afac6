"""Plain descriptions that plugins and the core hand to each other; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from zoo.config import Config

if TYPE_CHECKING:
    from torch import Tensor, nn

API_VERSION = 1
"""The major version of the plugin contract. A plugin states the one that it was made for: `api_version = 1`."""


@dataclass(frozen=True)
class Metric:
    """A figure that a model is judged by."""

    name: str
    direction: Literal["max", "min"]
    doc: str
    unit: str = ""


def numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """The figures among a plugin's results that are plain numbers, which become metrics."""
    plain = {name: value for name, value in results.items() if isinstance(value, (int, float))}
    return {name: float(value) for name, value in plain.items() if not isinstance(value, bool)}


@dataclass(frozen=True)
class DatasetInfo:
    """What a model has to know of its data in order to be built: plain JSON, kept in the weights' own metadata.

    So a model can be loaded where the data set itself is not.
    """

    name: str
    shape: tuple[int, ...]
    """Shape of one example, without the batch, e.g. (1, 28, 28)."""
    classes: tuple[str, ...] = ()
    digest: str = ""
    """sha256 over the names, shapes, dtypes and bytes of all its tensors."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The description as plain JSON."""
        return {**asdict(self), "shape": list(self.shape), "classes": list(self.classes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DatasetInfo:
        """The description that `dataclasses.asdict` and JSON made of it."""
        return cls(**{**value, "shape": tuple(value["shape"]), "classes": tuple(value["classes"])})


@dataclass(frozen=True)
class ModelSpec:
    """What a model is, without building it. `zoo_model()` returns one; it must be cheap and must not import torch."""

    name: str
    """The entry point's name, as typed on the command line."""
    task: str
    summary: str
    config: type[Config]
    """Its defaults are the recipe for the first data set."""
    datasets: tuple[str, ...]
    """Names of data sets that it can be trained on; the first is the default."""
    metrics: tuple[Metric, ...]
    paper: str = ""
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Config values that differ from the defaults, by data set, or by a name of their own, for `--config NAME`."""
    inputs: Literal["files", "lines"] = "files"
    """What a user's own inputs are: files, or lines of text, which `zoo embed` reads from text files."""
    exports: tuple[str, ...] = ("safetensors", "pt2", "onnx")
    registry: str = ""
    """Path of a registry.toml beside the plugin that lists its published weights; none by default."""

    def metric(self, name: str) -> Metric | None:
        """The declared metric of that name, if there is one."""
        return next((metric for metric in self.metrics if metric.name == name), None)


@dataclass(frozen=True)
class ExportSpec:
    """Example inputs of a model and what may vary in them; the core traces, writes and certifies the files."""

    inputs: Mapping[str, Tensor]
    """Example inputs by the name of the argument of `forward`, e.g. {"image": (2, 1, 28, 28)}."""
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]]
    """Axes that may have any size, by input: {"image": {0: "batch"}}."""
    module: nn.Module | None = None
    """What is exported; the model itself unless given."""
    parts: Mapping[str, ExportSpec] = field(default_factory=dict)
    """Modules of the model that are of use alone, each exported to a file of its own: {"encode": ...}."""


@dataclass(frozen=True)
class Event:
    """Something that happened in a run, told to every listener and tracker.

    `kind` is one of "started", "step", "epoch", "checkpoint", "finished", "interrupted", "fold" and "warning".
    """

    kind: str
    step: int = 0
    steps: int = 0
    """Steps of the whole run."""
    epoch: int = 0
    """The epoch that the step belongs to, from 1."""
    epochs: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    """Figures by name: "loss" and "lr" of a step, the means of an epoch, the metrics of a finished run."""
    message: str = ""
