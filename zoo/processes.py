"""Training in several processes on torch's own engine, started by torchrun; alone, everything here does nothing."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from zoo.environment import rank_and_world
from zoo.errors import ConfigError


@dataclass(frozen=True)
class Processes:
    """This process among those that train together. Use as a context: the group and its threads end with the block."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def join(cls, device: str) -> Processes:
        """The group that torchrun describes (nccl on GPUs, gloo elsewhere), or this process alone."""
        rank, world = rank_and_world()
        if world > 1 and device == "cuda":
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
            torch.cuda.set_device(device)
        return cls(rank, world, torch.device(device))

    def __enter__(self) -> Self:
        if self.world > 1:
            importlib.import_module("torch.distributed.nn")  # imported later, its default arguments keep the group
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.world > 1:
            dist.destroy_process_group()
            gc.collect()  # the wrapped module is in a cycle; gloo's threads end with the last reference to the group

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the processes in each backward pass."""
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def share(self, batch_size: int) -> None:
        """Refuses a batch that does not split evenly.

        Raises:
            ConfigError: batch_size is no multiple of the number of processes.
        """
        if batch_size % self.world:
            raise ConfigError(f"batch_size = {batch_size}: expected a multiple of the {self.world} processes.")

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        return flag if self.world == 1 else bool(self.sum(torch.tensor(float(flag))))

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the processes, everywhere."""
        if self.world > 1:
            value = value.to(self.device)
            dist.all_reduce(value)
        return value

    def first(self, value: Tensor) -> Tensor:
        """The first process's value, everywhere."""
        if self.world > 1:
            value = value.to(self.device)
            dist.broadcast(value, 0)
        return value

    def stack(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of equal shape from all processes, stacked on a new first axis."""
        return {name: self._gather(tensor) for name, tensor in tensors.items()}

    def _gather(self, tensor: Tensor) -> Tensor:
        if self.world == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor, device=self.device) for _ in range(self.world)]
        dist.all_gather(parts, tensor.to(self.device))
        return torch.stack(parts).cpu()
