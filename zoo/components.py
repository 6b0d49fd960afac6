"""Principal components (Pearson 1901): the best linear encoding, and the axes of every two-dimensional picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Components:
    """The directions of largest variance of some data. Shapes: N examples, F features, K components."""

    mean: Tensor
    """(F,)"""
    axes: Tensor
    """(F, K), orthonormal, in descending order of variance."""
    shares: tuple[float, ...]
    """Of the whole variance, for each axis."""

    @classmethod
    def of(cls, data: Tensor, count: int) -> Components:
        """The first `count` components of (N, F), by the eigenvectors of the covariance, in double precision."""
        values = data.flatten(1).double()
        mean = values.mean(0)
        centred = values - mean
        spread, axes = torch.linalg.eigh(centred.T @ centred / len(values))
        top = spread.flip(0)[:count].clamp(min=0)
        whole = float(spread.clamp(min=0).sum()) or 1.0
        return cls(mean, axes.flip(1)[:, :count], tuple((top / whole).tolist()))

    def project(self, data: Tensor) -> Tensor:
        """(N, F) to (N, K)."""
        return (data.flatten(1).double() - self.mean) @ self.axes

    def reconstruct(self, data: Tensor) -> Tensor:
        """(N, ...) to the nearest point that the components can express, in the same shape."""
        return (self.project(data) @ self.axes.T + self.mean).view(data.shape)
