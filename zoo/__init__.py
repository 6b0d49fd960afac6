"""The zoo: models as plugins, weights that are verified, claims that anyone can re-run.

Everything public hangs here and is imported when it is first used, so that `import zoo` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.batches import Batches as Batches
    from zoo.batches import image_batches as image_batches
    from zoo.batches import image_files as image_files
    from zoo.config import Config as Config
    from zoo.config import field as field
    from zoo.crossval import CrossValidated as CrossValidated
    from zoo.crossval import cross_validate as cross_validate
    from zoo.embedding import Embedded as Embedded
    from zoo.embedding import embed as embed
    from zoo.engine import fit as fit
    from zoo.engine import score as score
    from zoo.errors import ConfigError as ConfigError
    from zoo.errors import InputError as InputError
    from zoo.errors import ZooError as ZooError
    from zoo.evaluation import Evaluation as Evaluation
    from zoo.evaluation import evaluate as evaluate
    from zoo.evaluation import predict as predict
    from zoo.evaluation import sample as sample
    from zoo.exports import export as export
    from zoo.listing import list_models as list_models
    from zoo.loading import load as load
    from zoo.pulling import Pulled as Pulled
    from zoo.pulling import pull as pull
    from zoo.pushing import Pushed as Pushed
    from zoo.pushing import push as push
    from zoo.registry import hookimpl as hookimpl
    from zoo.runs import Run as Run
    from zoo.shapes import conv_size as conv_size
    from zoo.spec import DatasetInfo as DatasetInfo
    from zoo.spec import Event as Event
    from zoo.spec import ExportSpec as ExportSpec
    from zoo.spec import Metric as Metric
    from zoo.spec import ModelSpec as ModelSpec
    from zoo.training import Trained as Trained
    from zoo.training import train as train

_HOMES = {
    "Batches": "zoo.batches",
    "Config": "zoo.config",
    "ConfigError": "zoo.errors",
    "CrossValidated": "zoo.crossval",
    "DatasetInfo": "zoo.spec",
    "Embedded": "zoo.embedding",
    "Evaluation": "zoo.evaluation",
    "Event": "zoo.spec",
    "ExportSpec": "zoo.spec",
    "InputError": "zoo.errors",
    "Metric": "zoo.spec",
    "ModelSpec": "zoo.spec",
    "Pulled": "zoo.pulling",
    "Pushed": "zoo.pushing",
    "Run": "zoo.runs",
    "Trained": "zoo.training",
    "ZooError": "zoo.errors",
    "conv_size": "zoo.shapes",
    "cross_validate": "zoo.crossval",
    "embed": "zoo.embedding",
    "evaluate": "zoo.evaluation",
    "export": "zoo.exports",
    "field": "zoo.config",
    "fit": "zoo.engine",
    "hookimpl": "zoo.registry",
    "image_batches": "zoo.batches",
    "image_files": "zoo.batches",
    "list_models": "zoo.listing",
    "load": "zoo.loading",
    "predict": "zoo.evaluation",
    "pull": "zoo.pulling",
    "push": "zoo.pushing",
    "sample": "zoo.evaluation",
    "score": "zoo.engine",
    "train": "zoo.training",
}
__all__ = [*sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("plugin-zoo")
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
