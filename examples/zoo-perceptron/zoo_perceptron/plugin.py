"""perceptron: one hidden layer (Rumelhart, Hinton & Williams 1986). Shapes: B images of C x H x W, K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zoo

if TYPE_CHECKING:
    from torch import Tensor, nn

api_version = 1


class Config(zoo.Config):
    """The recipe for digits."""

    epochs: int = zoo.field(default=10, doc="passes over the training images", ge=1)
    batch_size: int = zoo.field(default=64, doc="images in one step", ge=1)
    hidden: int = zoo.field(default=64, doc="units of the hidden layer", ge=1)
    dropout: float = zoo.field(default=0.1, doc="share of hidden units left out in training", ge=0, lt=1)


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="perceptron",
        task="image-classification",
        summary="perceptron with one hidden layer",
        config=Config,
        datasets=("digits", "mnist"),
        metrics=(zoo.Metric("accuracy", "max", "share of images whose most probable class is the right one"),),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """(B, C, H, W) pixels in [0, 1] to (B, K) logits."""
    import math

    from torch import nn

    class Perceptron(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(math.prod(dataset.shape), config.hidden)
            self.dropout = nn.Dropout(config.dropout)
            self.output = nn.Linear(config.hidden, len(dataset.classes))

        def forward(self, image: Tensor) -> Tensor:
            hidden = self.hidden(image.flatten(1)).relu()
            logits: Tensor = self.output(self.dropout(hidden))
            return logits

    return Perceptron()


def pixels(image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Bytes to [0, 1]."""
    return image.float() / 255, label


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Cross-entropy on the training split."""
    from torch.nn.functional import cross_entropy

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        image, label = batch
        return cross_entropy(model(image).float(), label)

    batches = zoo.Batches(*run.data.split("train"), batch_size=run.config.batch_size, transform=pixels)
    zoo.fit(run, loss, batches)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """Accuracy on the split."""

    def measure(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image, label = batch
        return {"right": model(image).argmax(1) == label}

    batches = zoo.Batches(*run.data.split(run.split), batch_size=500, transform=pixels, shuffle=False)
    return {"accuracy": zoo.score(run, measure, batches)["right"].double().mean().item()}


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """One input, any number of images."""
    import torch

    image = torch.rand(8, *run.info.shape, generator=torch.Generator().manual_seed(0))
    return zoo.ExportSpec({"image": image}, ("logits",), {"image": {0: "batch"}})
