"""better-gcn: graph convolution with weights of its own for a node, and a gate between averaging and counting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

api_version = 1

GRAPHS = {
    "epochs": 80,
    "batch_size": 32,
    "lr": 5e-3,
    "schedule": "onecycle",
    "beta2": 0.99,
    "hidden": 64,
    "layers": 4,
    "self_weight": 1.0,
    "gate": 2.0,
    "dropout": 0.1,
    "head_dropout": 0.3,
    "input_dropout": 0.0,
    "mlp": 1,
    "norm": True,
    "weight_decay": 0.01,
    "l2": 0.0,
    "draws": 1,
    "consistency": 0.0,
    "row_norm": False,
}


class Config(zoo.Config):
    """The recipe for Cora; those for data sets of graphs differ."""

    epochs: int = zoo.field(default=200, doc="passes over the graph, one step each; over all graphs", ge=1)
    batch_size: int = zoo.field(default=1, doc="graphs in a step; one graph of nodes is always one step", ge=1)
    lr: float = zoo.field(default=0.01, doc="learning rate of Adam", gt=0)
    weight_decay: float = zoo.field(default=0.0, doc="decoupled; for few labels see l2", ge=0)
    beta2: float = zoo.field(default=0.999, doc="second beta of Adam", ge=0, lt=1)
    schedule: Literal["onecycle", "cosine", "constant"] = zoo.field(
        default="constant", doc="learning rate over the run"
    )
    ema_decay: float = zoo.field(default=0.99, doc="averages over about 100 steps", ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = zoo.field(
        default="float32", doc="arithmetic of training; sparse products are in float32 always"
    )
    hidden: int = zoo.field(default=64, doc="H, channels of all layers", ge=1)
    layers: int = zoo.field(default=2, doc="L, how far a node sees", ge=1)
    self_weight: float = zoo.field(default=0.1, doc="weight of a node's own path beside its neighbours'", ge=0)
    gate: float = zoo.field(
        default=6.0,
        doc="start of the gate before its sigmoid: 6 begins with the average alone, 2 with 12 % of the count",
    )
    dropout: float = zoo.field(default=0.8, doc="of hidden channels", ge=0, lt=1)
    input_dropout: float = zoo.field(
        default=0.8, doc="of features; the zeros of a sparse matrix need no draw", ge=0, lt=1
    )
    head_dropout: float = zoo.field(default=0.5, doc="of what the head sees", ge=0, lt=1)
    mlp: int = zoo.field(default=0, doc="ReLU and linear layer, so many times, before a layer", ge=0)
    norm: bool = zoo.field(default=False, doc="batch norms; 140 labels are too few for them")
    l2: float = zoo.field(default=7e-4, doc="half the squared norm of all matrices of weights, in the loss", ge=0)
    label_smoothing: float = zoo.field(default=0.0, doc="probability spread over the other classes", ge=0, lt=1)
    draws: int = zoo.field(default=2, doc="S, draws of dropout in a step", ge=1)
    consistency: float = zoo.field(default=1.0, doc="weight of their agreement, on all nodes", ge=0)
    temperature: float = zoo.field(default=0.5, doc="T, sharpens what they are to agree on", gt=0, le=1)
    ramp: float = zoo.field(
        default=0.25, doc="share of the run in which that weight grows to its full size", gt=0, le=1
    )
    row_norm: bool = zoo.field(default=True, doc="divide each node's features by their sum")

    def check(self) -> None:
        """Refuses agreement without a second draw."""
        if self.consistency and self.draws < 2:
            raise zoo.ConfigError(
                f"consistency = {self.consistency:g} with draws = {self.draws}: expected at least 2 draws to agree."
            )


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="better-gcn",
        task="graph-classification, node-classification",
        summary="graph convolution with a weight of its own for each node, averaging and counting its neighbours",
        paper="after Kipf, Welling 2017 (arXiv:1609.02907), Xu et al. 2018 and 2019 (arXiv:1806.03536, 1810.00826)",
        config=Config,
        datasets=("cora", "citeseer", "pubmed", "karate", "reddit-binary", "threads", "tu:NAME"),
        recipes={
            "karate": {"dropout": 0.5, "input_dropout": 0.0, "epochs": 200},
            "reddit-binary": GRAPHS,
            "threads": GRAPHS,
            "tu:NAME": GRAPHS,
        },
        metrics=(
            zoo.Metric("accuracy", "max", "share of nodes, or graphs, whose most probable class is the right one"),
            zoo.Metric("macro_f1", "max", "mean over the classes of 2 TP / (2 TP + FP + FN)"),
        ),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """The net with random weights."""
    from zoo_better_gcn.model import BetterGCN

    facts = dataset.extra
    return BetterGCN(config, dataset.shape[0], len(dataset.classes), facts["level"], facts.get("features") == "degree")


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Trains on the whole graph, or on graphs in batches."""
    from zoo import graphtasks

    graphtasks.train(run)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """Accuracy, F1 of each class, the confusion matrix, the embeddings in two dimensions."""
    from zoo import graphtasks

    return graphtasks.evaluate(run)


@zoo.hookimpl
def zoo_plots(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """The confusion matrix and the embeddings."""
    from zoo import graphtasks

    return graphtasks.plots(run, results)


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """A graph as x, edge_index and edge_weight."""
    from zoo import graphtasks

    return graphtasks.export(run)


@zoo.hookimpl
def zoo_predict(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The class of each node, or of the graph, in a user's graph file."""
    from zoo import graphtasks

    return graphtasks.predict(run, inputs)


@zoo.hookimpl
def zoo_embed(run: zoo.Run, inputs: Sequence[str]) -> tuple[list[str], Tensor]:
    """The embedding of each node, or of the graph, in a user's graph file."""
    from zoo import graphtasks

    return graphtasks.embed(run, inputs)
