"""A data set in memory, drawn in batches: no worker processes, no copies but the batch itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from zoo.errors import ConfigError, DatasetError
from zoo.images import prepare
from zoo.layers import pixels

if TYPE_CHECKING:
    from zoo.runs import Run

Batch = tuple[Tensor, ...]


def image_batches(run: Run) -> tuple[Batches, Tensor | None]:
    """The training images of a run, (B, C, H, W) in [0, 1], and, as bytes, the last `val_size`, which are held out.

    Raises:
        ConfigError: val_size leaves nothing to train on.
    """
    images = run.data.split("train")[0]
    cut = len(images) - run.config.val_size
    if cut < 1:
        raise ConfigError(f"val_size = {run.config.val_size}: expected less than the {len(images)} training images.")
    batches = Batches(images[:cut], batch_size=run.config.batch_size, transform=pixels)
    return batches, images[cut:] if run.config.val_size else None


def image_files(run: Run, paths: Sequence[str]) -> Tensor:
    """A user's own image files as the run's model takes them, (N, 1, H, W) in [0, 1].

    Raises:
        InputError: a file is no image, or blank.
    """
    return torch.stack([torch.from_numpy(prepare(path, run.info)[0])[None] for path in paths])


class Batches:
    """Tensors that share their first axis, cut into batches along it.

    A plugin whose examples do not stack (graphs, sentences by length) overrides `plan` and `take`; the engine uses
    nothing else.

    Args:
        tensors: each (N, ...).
        batch_size: examples in a batch; when shuffled, a last smaller batch is left out, so that all weigh the same.
        transform: applied to each drawn batch, e.g. augmentation; may draw from torch's global generator.

    Raises:
        DatasetError: there is no example, or the tensors differ in N.
    """

    def __init__(
        self, *tensors: Tensor, batch_size: int, transform: Callable[..., Batch] | None = None, shuffle: bool = True
    ) -> None:
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1 or lengths == {0}:
            raise DatasetError(f"expected tensors with equally many examples, at least one; got {sorted(lengths)}.")
        self.tensors = tensors
        self.batch_size = batch_size
        self.transform = transform
        self.shuffle = shuffle

    def __len__(self) -> int:
        """Batches in an epoch."""
        examples = len(self.tensors[0])
        return max(1, examples // self.batch_size) if self.shuffle else -(-examples // self.batch_size)

    def plan(self, generator: torch.Generator | None) -> list[Tensor]:
        """The epoch's batches as index tensors, a pure function of the generator's state."""
        examples = len(self.tensors[0])
        if not self.shuffle:
            return list(torch.split(torch.arange(examples), self.batch_size))
        order = torch.randperm(examples, generator=generator)
        return list(torch.split(order, self.batch_size))[: len(self)]

    def take(self, index: Tensor) -> Batch:
        """The batch with the examples of that index, (B, ...) each."""
        batch = tuple(tensor[index] for tensor in self.tensors)
        return self.transform(*batch) if self.transform else batch

    def to(self, device: torch.device) -> Self:
        """Moves the tensors once, so that no batch is copied from host to device."""
        self.tensors = tuple(tensor.to(device) for tensor in self.tensors)
        return self
