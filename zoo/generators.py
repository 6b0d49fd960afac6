"""Every global generator of random numbers: seeded, read, put back, kept."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seeds torch, numpy and Python; `deterministic` also asks torch for algorithms that never vary on GPUs."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False


def mix(seed: int, epoch: int) -> int:
    """One number for each (seed, epoch)."""
    return (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9) % 2**63


def get_random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of every global generator of this process as tensors of fixed shape."""
    _, words, python_gauss = random.getstate()
    _, keys, position, has_gauss, gauss = np.random.get_state()
    state = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words),
        "numpy": torch.from_numpy(np.append(keys, [position, has_gauss]).astype(np.int64)),
        "gauss": torch.tensor([float("nan") if python_gauss is None else python_gauss, gauss], dtype=torch.float64),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Puts back what `get_random_state` returned."""
    python_gauss, gauss = state["gauss"].tolist()
    words = state["numpy"].tolist()
    torch.set_rng_state(state["torch"])
    random.setstate((3, tuple(state["python"].tolist()), None if python_gauss != python_gauss else python_gauss))
    np.random.set_state(("MT19937", np.array(words[:-2], dtype=np.uint32), words[-2], words[-1], gauss))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


@contextlib.contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Leaves every global generator as it was before the block."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
    random.setstate(python)
    np.random.set_state(numpy)
