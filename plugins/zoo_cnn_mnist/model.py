"""The network, its loss, its augmentation and its figures.

Shapes: B images in a batch, H = W = image_size, K classes, N examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.images import centred, read_grey

if TYPE_CHECKING:
    from zoo_cnn_mnist.plugin import Config

EVALUATION_BATCH = 250


class DigitNet(nn.Module):
    """Convolution, max-pooling, batch norm (arXiv:1502.03167) and ReLU, a few times, then a cosine classifier.

    Pooling first leaves norm and ReLU a quarter of the pixels, which saves a fifth of a step. The last convolutions are
    unpadded and leave a 3x3 map, so that the classifier knows where things are; pooling to one pixel would forget it.
    Pixels need no normalisation: the first batch norm does it.

    Shapes:
        image: (B, 1, H, W), pixels in [0, 1]
        output: (B, K), logits
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        sizes = zip(config.channels, config.kernels, config.strides, config.paddings, config.pools, strict=True)
        for channels, kernel, stride, padding, pool in sizes:
            layers.append(nn.Conv2d(before, channels, kernel, stride, padding, bias=False))
            layers += [nn.MaxPool2d(pool)] if pool > 1 else []
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            before = channels
        self.features = nn.Sequential(*layers)
        self.classify = Cosine(before * config.widths()[-1] ** 2, classes, config.scale)

    def forward(self, image: Tensor) -> Tensor:
        """Logits, (B, K)."""
        logits: Tensor = self.classify(self.features(image).flatten(1))
        return logits


class Cosine(nn.Module):
    """Logits that depend on directions alone: s cos(x, w_k), with w_k a learned direction for each class.

    Shapes:
        x: (B, F)
        output: (B, K), between -s and s
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features) / math.sqrt(features))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Products and sums, not a matrix product, which autocast would round to bfloat16."""
        return self.scale * (F.normalize(x.float())[:, None] * F.normalize(self.weight)).sum(2)


def loss(config: Config) -> Callable[[nn.Module, tuple[Tensor, Tensor]], dict[str, Tensor]]:
    """Cross-entropy with an additive cosine margin m, and the batch's accuracy.

    The right class y has to win by m: s (cos_y - m) takes the place of s cos_y (CosFace, arXiv:1801.09414, equation 4;
    AM-Softmax, arXiv:1801.05599). Label smoothing as in arXiv:1512.00567.
    """

    def of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image, label = batch
        logits = model(image)
        right = (logits.detach().argmax(1) == label).float().mean()
        handicapped = logits - config.margin * config.scale * F.one_hot(label, logits.shape[1])
        return {"loss": F.cross_entropy(handicapped, label, label_smoothing=config.label_smoothing), "accuracy": right}

    return of


class Augment:
    """Bytes to pixels in [0, 1], each image distorted at random: by one bilinear resampling, then in its strokes.

    Affine and elastic distortions as in Simard, Steinkraus & Platt 2003; the elastic field is noise on a coarse grid,
    smoothly enlarged, which costs less than smoothing a fine one. Strokes get thicker or thinner, and their edges
    sharper or softer: a mean over 3x3 pixels is mixed in, then the contrast is stretched and shifted. At the end of a
    run all of it fades, so that the net settles on digits as they are (arXiv:1909.09148).
    """

    COARSE = 5

    def __init__(self, config: Config, progress: Callable[[], float] = lambda: 0.0) -> None:
        self.config = config
        self.progress = progress

    @property
    def strength(self) -> float:
        """Share of the config's amplitudes that is in force now: 1, and at the end of a run down to 0."""
        return min(1.0, (1 - self.progress()) / self.config.fade) if self.config.fade else 1.0

    def __call__(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) uint8 and (B,) to (B, 1, H, W) float and (B,)."""
        config = self.config
        pixels = to_pixels(image, config.image_size)
        grid = F.affine_grid(self._affine(pixels), list(pixels.shape), align_corners=False)
        if config.elastic:
            noise = torch.randn(len(pixels), 2, self.COARSE, self.COARSE, device=pixels.device)
            field = F.interpolate(noise, size=pixels.shape[-2:], mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1) * (self.strength * config.elastic * 2 / config.image_size)
        return self._stroked(F.grid_sample(pixels, grid, align_corners=False)), label

    def _stroked(self, pixels: Tensor) -> Tensor:
        """(B, 1, H, W), each image with strokes of its own width."""
        strength = self.strength * self.config.stroke
        if not strength:
            return pixels
        soften, stretch, shift = torch.rand(3, len(pixels), 1, 1, 1, device=pixels.device)
        soft = F.avg_pool2d(pixels, 3, stride=1, padding=1)
        mixed = torch.lerp(pixels, soft, 0.6 * strength * soften)
        moved = mixed * (1 + strength * stretch) + 0.25 * strength * (2 * shift - 1) * (soft > 0.02)  # not the ground
        drawn: Tensor = moved.clamp(0, 1)
        return drawn

    def _affine(self, pixels: Tensor) -> Tensor:
        """(B, 2, 3): where each output pixel is read from."""
        count, config = len(pixels), self.config
        turn, wide, high, right, down, lean = self.strength * (2 * torch.rand(6, count, device=pixels.device) - 1)
        angle = turn * math.radians(config.rotation)
        wide, high = 1 + wide * config.scaling, 1 + high * config.scaling
        shift = torch.stack([right, down], 1) * (config.translation * 2 / config.image_size)
        leaning = (config.shear * lean - angle.sin()) * high
        matrix = torch.stack([angle.cos() * wide, leaning, angle.sin() * wide, angle.cos() * high], 1)
        return torch.cat([matrix.view(count, 2, 2), shift[:, :, None]], 2)


def to_pixels(image: Tensor, size: int) -> Tensor:
    """(B, 1, H, W) bytes to pixels in [0, 1], scaled to (B, 1, size, size) if they differ."""
    pixels = image.float() / 255
    if pixels.shape[-1] != size:
        pixels = F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    return pixels


def figures(run: zoo.Run, images: Tensor, labels: Tensor) -> tuple[dict[str, float], Tensor]:
    """Accuracy and cross-entropy of `run.model`, and the confusion matrix (K, K): true class down, predicted across."""

    def measure(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"logits": model(to_pixels(batch[0], run.config.image_size))}

    logits = zoo.score(run, measure, zoo.Batches(images, labels, batch_size=EVALUATION_BATCH, shuffle=False))["logits"]
    labels, guess, classes = labels.cpu(), logits.argmax(1), logits.shape[1]
    confusion = torch.bincount(labels * classes + guess, minlength=classes**2).view(classes, classes)
    accuracy = (guess == labels).double().mean().item()
    return {"accuracy": accuracy, "cross_entropy": F.cross_entropy(logits.double(), labels).item()}, confusion


def by_class(confusion: Tensor, classes: Sequence[str], most: int = 5) -> dict[str, Any]:
    """Precision and recall of each class, and the pairs most often confused, as JSON. Empty classes have none."""
    right, true, guessed = confusion.diag(), confusion.sum(1), confusion.sum(0)
    rows = [
        {
            "class": name,
            "n": int(true[k]),
            "precision": float(right[k] / guessed[k]) if guessed[k] else None,
            "recall": float(right[k] / true[k]) if true[k] else None,
        }
        for k, name in enumerate(classes)
    ]
    wrong = confusion - torch.diag(right)
    order = wrong.flatten().argsort(descending=True, stable=True)[:most].tolist()
    pairs = [divmod(index, len(classes)) for index in order if wrong.flatten()[index]]
    confused = [{"true": classes[a], "predicted": classes[b], "n": int(wrong[a, b])} for a, b in pairs]
    return {"per_class": rows, "most_confused": confused, "confusion_matrix": confusion.tolist()}


@torch.inference_mode()
def top_three(run: zoo.Run, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The three most probable classes of each image file; see `zoo.images` for what is done to it first.

    Raises:
        InputError: a file is no image, or blank; all files are read before one answer is given.
    """
    size, box = run.config.image_size, run.info.extra["ink_box"]
    box = max(1, round(box * size / run.info.shape[-1]))
    images = [centred(read_grey(path), size, box, run.info.extra["centre"]) for path in paths]
    batch = torch.stack([torch.from_numpy(image)[None] for image in images])
    probabilities, order = run.model(batch).softmax(1).topk(min(3, len(run.info.classes)))
    results = []
    for path, chances, indices in zip(paths, probabilities.tolist(), order.tolist(), strict=True):
        top = [{"class": run.info.classes[k], "probability": p} for k, p in zip(indices, chances, strict=True)]
        text = "  ".join(f"{item['class']} {item['probability']:.1%}" for item in top)
        results.append({"input": path, "text": text, "top": top})
    return results
