"""cnn-mnist: a convolutional network for digits (LeCun et al. 1998), in under 150,000 parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

api_version = 1


class Config(zoo.Config):
    """The recipe for MNIST. The five lists have one item a layer; each layer must fit evenly (see zoo.conv_size)."""

    epochs: int = zoo.field(default=10, doc="passes over the training images", ge=1)
    batch_size: int = zoo.field(default=128, doc="images in one step; larger is not faster on a small cache", ge=1)
    lr: float = zoo.field(default=6e-3, doc="peak learning rate of AdamW", gt=0)
    ema_decay: float = zoo.field(default=0.998, doc="averages over about 500 steps, one epoch of MNIST", ge=0, lt=1)
    label_smoothing: float = zoo.field(default=0.0, doc="probability spread over the other classes", ge=0, lt=1)
    margin: float = zoo.field(default=0.3, doc="m, by which the right class has to win; cosine", ge=0, lt=1)
    scale: float = zoo.field(default=20.0, doc="s, logit of a perfect match", gt=0)
    image_size: int = zoo.field(default=28, doc="side of the images in pixels; others are scaled to it", ge=1)
    channels: tuple[int, ...] = zoo.field(default=(32, 48, 48, 64, 64, 64), doc="filters of each convolution", ge=1)
    kernels: tuple[int, ...] = zoo.field(default=(5, 3, 3, 3, 3, 3), doc="K, side of each filter in pixels", ge=1)
    strides: tuple[int, ...] = zoo.field(default=(1, 1, 1, 1, 1, 1), doc="S, step of each filter in pixels", ge=1)
    paddings: tuple[int, ...] = zoo.field(
        default=(2, 1, 1, 1, 0, 0), doc="P, zeros around each layer's input in pixels", ge=0
    )
    pools: tuple[int, ...] = zoo.field(
        default=(2, 1, 1, 2, 1, 1), doc="side of max-pooling after each layer; 1: none", ge=1
    )
    rotation: float = zoo.field(default=15.0, doc="augmentation: largest turn in degrees", ge=0, le=180)
    translation: float = zoo.field(default=2.0, doc="augmentation: largest shift in pixels", ge=0)
    scaling: float = zoo.field(
        default=0.1, doc="augmentation: largest relative change of width and of height", ge=0, lt=1
    )
    elastic: float = zoo.field(default=0.25, doc="augmentation: spread of a smooth random distortion in pixels", ge=0)
    shear: float = zoo.field(default=0.15, doc="augmentation: largest lean, in pixels sideways a pixel down", ge=0)
    stroke: float = zoo.field(
        default=1.0,
        doc="augmentation: change of stroke width and of contrast; 1: as much as handwriting has",
        ge=0,
        le=1,
    )
    fade: float = zoo.field(
        default=0.3, doc="augmentation: share of the steps, at the end, in which it fades to nothing", ge=0, le=1
    )
    val_size: int = zoo.field(default=0, doc="training images held out to choose by; 0: train on all", ge=0)

    def check(self) -> None:
        """Refuses lists of unequal length, and sizes that do not fit, with the arithmetic."""
        lists = {key: getattr(self, key) for key in ("channels", "kernels", "strides", "paddings", "pools")}
        if not self.channels or len({len(value) for value in lists.values()}) != 1:
            shown = ", ".join(f"{key} has {len(value)}" for key, value in lists.items())
            raise zoo.ConfigError(f"expected one item a layer in each list, at least one; {shown}.")
        self.widths()

    def widths(self) -> list[int]:
        """Side of each layer's output in pixels."""
        width, found = self.image_size, []
        layers = zip(self.kernels, self.strides, self.paddings, self.pools, strict=True)
        for number, (kernel, stride, padding, pool) in enumerate(layers, 1):
            try:
                width = zoo.conv_size(zoo.conv_size(width, kernel, stride, padding), pool, pool)
            except zoo.ConfigError as error:
                raise zoo.ConfigError(f"layer {number}: {error}") from None
            found.append(width)
        return found


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="cnn-mnist",
        task="image-classification",
        summary="small convolutional network that reads handwritten digits",
        paper="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998",
        config=Config,
        datasets=("mnist", "digits"),
        recipes={
            # Eight pixels wide before they were enlarged, digits have no strokes to speak of.
            "digits": {"epochs": 20, "batch_size": 32, "lr": 3e-3, "ema_decay": 0.98, "shear": 0.0, "stroke": 0.0}
        },
        metrics=(
            zoo.Metric("accuracy", "max", "share of images whose most probable class is the right one"),
            zoo.Metric("cross_entropy", "min", "mean negative log-probability of the right class", "nats"),
        ),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """The network with random weights."""
    from zoo_cnn_mnist.model import DigitNet

    return DigitNet(config, len(dataset.classes))


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Trains on the training split, less what `val_size` holds out."""
    from zoo_cnn_mnist import model

    images, labels = run.data.split("train")
    cut = len(images) - run.config.val_size
    if cut < 1:
        raise zoo.ConfigError(
            f"val_size = {run.config.val_size}: expected less than the {len(images)} training images."
        )
    prepare = model.Augment(run.config, lambda: run.progress)
    batches = zoo.Batches(images[:cut], labels[:cut], batch_size=run.config.batch_size, transform=prepare)
    held = (images[cut:], labels[cut:])
    zoo.fit(run, model.loss(run.config), batches, (lambda: model.figures(run, *held)[0]) if len(held[0]) else None)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """Accuracy, cross-entropy, precision and recall by class, the confusion matrix and its largest entries."""
    from zoo import layers
    from zoo_cnn_mnist import model

    layers.channels_last(run.model)
    metrics, confusion = model.figures(run, *run.data.split(run.split))
    return {**metrics, **model.by_class(confusion, run.data.info.classes)}


@zoo.hookimpl
def zoo_plots(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """The confusion matrix."""
    from zoo import pictures

    title = f"{run.spec.name} on {run.data.info.name} ({run.split}): {results['accuracy']:.2%}"
    return {
        f"confusion-{run.split}": pictures.confusion_matrix(results["confusion_matrix"], run.data.info.classes, title)
    }


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """One input, pixels in [0, 1], any number of images."""
    import torch

    side = run.config.image_size
    image = torch.rand(8, 1, side, side, generator=torch.Generator().manual_seed(0))
    return zoo.ExportSpec({"image": image}, ("logits",), {"image": {0: "batch"}})


@zoo.hookimpl
def zoo_predict(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The three most probable classes of each image file."""
    from zoo_cnn_mnist.model import top_three

    return top_three(run, inputs)
