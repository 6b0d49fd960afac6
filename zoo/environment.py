"""What surrounds a process: folders for data, caches and settings, its place under torchrun, versions and machine."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs

RECORDED = ("plugin-zoo", "torch", "torchvision", "numpy", "safetensors", "pluggy")
"""Distributions whose versions a run records."""


def cache_folder() -> Path:
    """`ZOO_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_dir("zoo", appauthor=False))


def data_folder() -> Path:
    """`ZOO_DATA`, or `data` in the cache folder."""
    return Path(os.environ.get("ZOO_DATA") or cache_folder() / "data")


def config_folder() -> Path:
    """`ZOO_CONFIG`, or the user's config folder."""
    return Path(os.environ.get("ZOO_CONFIG") or platformdirs.user_config_dir("zoo", appauthor=False))


def allowed_plugins() -> set[str] | None:
    """`ZOO_PLUGINS`: names, separated by commas, of the only plugins that may ever be imported; None: all may."""
    said = os.environ.get("ZOO_PLUGINS")
    return None if said is None else {name.strip() for name in said.split(",")}


def offline() -> bool:
    """Whether nothing may be fetched: `ZOO_OFFLINE` or `HF_HUB_OFFLINE` is set, and not to 0, no or false."""
    said = (os.environ.get(name, "").casefold() for name in ("ZOO_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value not in ("", "0", "no", "off", "false") for value in said)


def rank_and_world() -> tuple[int, int]:
    """(rank, number of processes) as torchrun says; (0, 1) without it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def conditions(device: str) -> dict[str, Any]:
    """What a figure depends on beside the code: versions, machine, the commit of the user's folder if any."""
    import torch

    facts: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    facts["cpu"] = torch.backends.cpu.get_cpu_capability()
    facts["cores"] = os.cpu_count()
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name()
    facts["versions"] = versions()
    facts["git"] = _git_commit()
    return facts


def versions(*more: str) -> dict[str, str]:
    """Versions of the distributions that matter and of `more`, as far as they are installed."""
    found = {}
    for name in (*RECORDED, *more):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _git_commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
