"""What the environment says: folders for data sets, caches and settings, and this process's place under torchrun."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


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
