"""The hooks of a model plugin: the page that a plugin author reads.

A plugin is a module, named by an entry point of the group `zoo.plugins`, whose functions carry `@zoo.hookimpl`. Every
hook but the optional ones must be there. A hook names only the arguments that it uses. A hook belongs to one plugin
and is called on that plugin alone; `zoo_on_event` is the exception and is broadcast.

The module must not import torch at its top: `zoo list` and `zoo info` answer in a blink because no plugin does. It
states the contract that it was made for, `api_version = 1`, which is read from its source before it is imported.

Letters in shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.registry import hookspec
from zoo.spec import DatasetInfo, Event, ExportSpec, ModelSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from zoo.config import Config
    from zoo.runs import Run

OPTIONAL = frozenset({"zoo_predict", "zoo_embed", "zoo_sample", "zoo_plots", "zoo_on_event"})


@hookspec(firstresult=True)
def zoo_model() -> ModelSpec:  # type: ignore[empty-body]
    """What the model is: name (as in the entry point), task, summary, config, data sets, metrics. Cheap, torch-free."""


@hookspec(firstresult=True)
def zoo_build(config: Config, dataset: DatasetInfo) -> nn.Module:  # type: ignore[empty-body]
    """The module with random weights, on the CPU; the run's seed is set before the call.

    `dataset` describes the data (shape, classes); the data themselves may not be there. Raises ConfigError where the
    config does not fit the data.
    """


@hookspec(firstresult=True)
def zoo_train(run: Run) -> None:
    """Trains `run.model` in place on `run.data`, usually by one call of `zoo.fit(run, loss, batches)`.

    Randomness comes from torch's, numpy's or Python's global generator: all three are seeded, and restored on resume.
    """


@hookspec(firstresult=True)
def zoo_evaluate(run: Run) -> dict[str, Any]:  # type: ignore[empty-body]
    """Scores `run.model` (in eval mode, on `run.device`) on the split `run.split` of `run.data`.

    Returns figures by name: plain numbers become metrics; anything else must be JSON (a confusion matrix, say) and
    becomes a detail of the evaluation. Never draws random numbers that the run's seed does not fix.
    """


@hookspec(firstresult=True)
def zoo_export(run: Run) -> ExportSpec:  # type: ignore[empty-body]
    """Example inputs for `run.model.forward` and the axes that may vary; the core writes and certifies the files."""


@hookspec(firstresult=True)
def zoo_predict(run: Run, inputs: Sequence[str]) -> list[dict[str, Any]]:  # type: ignore[empty-body]
    """Optional. A readable result for each of a user's own inputs (paths, or raw text), in their order.

    Each result is plain JSON with the keys "input" and "text" (one line for people), and any figures beside them; an
    image that the model makes, (1, H, W) in [0, 1], goes into "image", and the core writes it; so it does with "rows",
    flat objects with the same keys, as CSV.
    Raises InputError for an input that cannot be read, by its name.
    """


@hookspec(firstresult=True)
def zoo_embed(  # type: ignore[empty-body]
    run: Run, inputs: Sequence[str]
) -> Tensor | tuple[Sequence[str], Tensor]:
    """Optional. The vector that the encoder makes of each of a user's own inputs, (N, D), in their order.

    Where an input holds several things, as a graph holds nodes: a name for each, N of them, and their vectors.

    Inputs are as for `zoo_predict`: paths, or lines of text where `ModelSpec.inputs` says so.
    Raises InputError for an input that cannot be read, by its name.
    """


@hookspec(firstresult=True)
def zoo_sample(run: Run, count: int, between: Sequence[str]) -> Tensor | list[str]:  # type: ignore[empty-body]
    """Optional. New examples of a generative model: images (count, 1, H, W) in [0, 1], or text; the seed is set before.

    With two of a user's own inputs in `between`, the way from one to the other in `count` steps instead.
    Raises InputError where the model can only walk between two inputs, and none are given.
    """


@hookspec(firstresult=True)
def zoo_plots(run: Run, results: dict[str, Any]) -> dict[str, Figure]:  # type: ignore[empty-body]
    """Optional. Pictures by name, drawn from what `zoo_evaluate` returned; the core saves them as PNG."""


@hookspec
def zoo_on_event(event: Event) -> None:
    """Optional, broadcast to the model's own plugin and to every entry point of the group `zoo.trackers`.

    Called after each step, so it must be quick. What it raises is reported and stops nothing.
    """
