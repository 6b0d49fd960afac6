"""What graph models do with a run: train, score, embed, answer and export. The nets themselves are the plugins'.

Letters as in `zoo.graphs`; K classes, n examples of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import engine, graphsets, pictures
from zoo.batches import Batches
from zoo.classification import figures
from zoo.components import Components
from zoo.errors import InputError
from zoo.graphfiles import UserGraph, read_graph
from zoo.graphs import Graph
from zoo.runs import Run
from zoo.spec import ExportSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GraphBatch = tuple[Graph, Tensor, Tensor]


def train(run: Run) -> None:
    """Trains `run.model`, scoring the validation split, if there is one, after each epoch.

    Raises:
        ConfigError: a node model is to be trained in several processes.
    """
    batches = _batches(run, "train", shuffle=True)
    held = _batches(run, "val", shuffle=False) if "val" in run.data.splits else None
    engine.fit(run, loss(run), batches, (lambda: validation(run, held)) if held is not None else None)


def loss(run: Run) -> Callable[[nn.Module, GraphBatch], dict[str, Tensor]]:
    """Cross-entropy of the labelled examples, and the agreement of several draws of dropout on all of them.

    With S draws p_s, the target q is their mean p sharpened, q_k = p_k^(1/T) / sum_j p_j^(1/T), and each draw pays
    its cross-entropy with q, over all examples (consistency regularisation: GRAND, arXiv:2005.11079, equations 3 to 5,
    with the cross-entropy in place of the squared distance, and dropout in place of random propagation). The weight of
    it grows linearly from 0 in the first `ramp` of the run. `l2` is Kipf & Welling's weight decay, as a loss.
    """
    config = run.config

    def of(model: nn.Module, batch: GraphBatch) -> dict[str, Tensor]:
        graph, index, label = batch
        draws: list[Tensor] = [model.classify(graph).float() for _ in range(config.draws)]  # type: ignore[operator]
        chosen, smooth = [draw.index_select(0, index) for draw in draws], config.label_smoothing
        total = sum(F.cross_entropy(logits, label, label_smoothing=smooth) for logits in chosen) / len(draws)
        right = (chosen[0].detach().argmax(1) == label).float().mean()
        if config.consistency and config.draws > 1:
            logs = [draw.log_softmax(1) for draw in draws]
            with torch.no_grad():
                mean = sum(log.exp() for log in logs) / len(logs)
                target = (mean.log() / config.temperature).softmax(1)  # type: ignore[union-attr]
            weight = config.consistency * min(1.0, run.progress / config.ramp)
            total = total - weight * sum((target * log).sum(1).mean() for log in logs) / len(logs)
        decay = model.penalty()  # type: ignore[operator]
        return {"loss": total + decay, "accuracy": right}

    return of


def validation(run: Run, batches: Batches) -> dict[str, float]:
    """Accuracy and cross-entropy of the model as it is."""
    logits, label, _ = scores(run, batches)
    return {
        "accuracy": (logits.argmax(1) == label).double().mean().item(),
        "cross_entropy": F.cross_entropy(logits.double(), label).item(),
    }


def scores(run: Run, batches: Batches) -> tuple[Tensor, Tensor, Tensor]:
    """(logits (n, K), classes (n,), embeddings (n, H)) of a split, in its order, on the CPU."""

    def measure(model: nn.Module, batch: GraphBatch) -> dict[str, Tensor]:
        graph, index, label = batch
        hidden = model.encode(graph)  # type: ignore[operator]
        return {"logits": model.head(graph, hidden)[index], "label": label, "hidden": hidden[index]}  # type: ignore[operator]

    found = engine.score(run, measure, batches)
    return found["logits"], found["label"], found["hidden"]


def evaluate(run: Run) -> dict[str, Any]:
    """Accuracy, F1, the confusion matrix, and the embeddings of the split in two dimensions (principal components)."""
    logits, label, hidden = scores(run, _batches(run, run.split, shuffle=False))
    axes = Components.of(hidden, 2)
    plane = {"points": axes.project(hidden).tolist(), "shares": list(axes.shares), "label": label.tolist()}
    return {**figures(logits, label, run.data.info.classes), "embedding": plane}


def plots(run: Run, results: dict[str, Any]) -> dict[str, Figure]:
    """The confusion matrix and the embeddings that `evaluate` returned."""
    info, split, plane = run.data.info, run.split, results["embedding"]
    about = f"{run.spec.name} on {info.name} ({split}): {results['accuracy']:.2%}"
    points, label = torch.tensor(plane["points"]), torch.tensor(plane["label"])
    return {
        f"confusion-{split}": pictures.confusion_matrix(results["confusion_matrix"], info.classes, about),
        f"embedding-{split}": pictures.scatter(points, label, info.classes, plane["shares"], f"{about}, embeddings"),
    }


def embed(run: Run, inputs: Sequence[str]) -> tuple[list[str], Tensor]:
    """The embeddings of a user's own graphs, (N or G, H), and their names: FILE:NODE for all nodes, or FILE.

    Raises:
        InputError: a file cannot be read as a graph with the features of the data set; all are read first.
    """
    graphs = [_graph(run, path) for path in inputs]
    names = list(inputs)
    if run.info.extra["level"] == "node":
        names = [f"{path}:{node}" for path, graph in zip(inputs, graphs, strict=True) for node in graph.names]
    return names, torch.cat([_answer(run, graph)[1] for graph in graphs])


def predict(run: Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The class of each node, or of each graph, of a user's own graph files.

    Raises:
        InputError: a file cannot be read as a graph with the features of the data set; all are read first.
    """
    graphs = [_graph(run, path) for path in inputs]
    results = []
    for path, graph in zip(inputs, graphs, strict=True):
        chance, kind = _answer(run, graph)[0].softmax(1).max(1)
        names = [run.info.classes[k] for k in kind.tolist()]
        if run.info.extra["level"] == "graph":
            results.append({"input": path, "text": f"{names[0]} {chance[0]:.1%}", "label": names[0]})
            continue
        rows = [
            {"node": node, "label": name, "probability": round(p, 4)}
            for node, name, p in zip(graph.names, names, chance.tolist(), strict=True)
        ]
        counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
        results.append({"input": path, "text": f"{len(rows)} nodes: {counts}", "rows": rows})
    return results


def export(run: Run) -> ExportSpec:
    """x (N, F), edge_index (2, E) and edge_weight (E,), any N and E; of graph classification, one graph at a time."""
    nodes, generator = 8, torch.Generator().manual_seed(0)
    x = torch.rand(nodes, run.info.shape[0], generator=generator)
    target = torch.arange(nodes)  # edge k reaches node k from one before it: so any first few nodes make a graph
    edge_index = torch.stack([(target - 1).clamp(min=0), target])
    inputs = {"x": x, "edge_index": edge_index, "edge_weight": torch.rand(nodes, generator=generator) + 0.5}
    dynamic = {"x": {0: "nodes"}, "edge_index": {1: "edges"}, "edge_weight": {0: "edges"}}
    return ExportSpec(inputs, ("logits",), dynamic, module=Scattered(run.model))


class Scattered(nn.Module):
    """A net whose products gather and add, which every exporter knows, in place of sparse matrices."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Logits, (N, K), or (1, K) of the whole graph."""
        logits: Tensor = self.net(x, edge_index, edge_weight, scatter=True)
        return logits


def _batches(run: Run, split: str, shuffle: bool) -> Batches:
    info = run.data.info
    tensors, level = run.data.split(split), info.extra["level"]
    return graphsets.batches(run.model, tensors, info.shape[0], level, run.config.batch_size, shuffle)  # type: ignore[arg-type]


def _graph(run: Run, path: str) -> UserGraph:
    graph = read_graph(path, run.info.shape[0], run.info.extra.get("features") == "degree")
    if run.info.extra["level"] == "graph" and not graph.names:
        raise InputError(f"{path} has no nodes: expected a graph with at least one.")
    return graph


@torch.inference_mode()
def _answer(run: Run, graph: UserGraph) -> tuple[Tensor, Tensor]:
    """(logits, embeddings)."""
    net: Any = run.model
    made = net.graph(graph.x, graph.edge_index, graph.edge_weight)
    hidden = net.encode(made)
    return net.head(made, hidden), hidden
