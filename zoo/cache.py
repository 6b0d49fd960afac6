"""Published files on this machine, named by their sha256: in their package, or in the cache, fetched when first needed.

<ZOO_CACHE>/weights/
    <sha256>.safetensors    whole and verified; nothing else gets this name
    .partial-<sha256>       on its way; goes on where it was cut
    <sha256>.damaged        was whole once, and is set aside
    .locks/<sha256>         held by the one process that fetches it
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from zoo import addresses, download, files, hub, storage
from zoo.addresses import Address
from zoo.entries import Entry
from zoo.environment import cache_folder, offline
from zoo.errors import CacheError, HashMismatchError, OfflineError, TransferError, WeightsCorruptError, ZooError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

SUFFIX = ".safetensors"
DAMAGED = ".damaged"
PARTIAL = ".partial-"
WAIT = 3600.0
"""Seconds to wait for another process that fetches the same file."""


def folder() -> Path:
    """Where the files are kept."""
    return cache_folder() / "weights"


def path_of(sha256: str) -> Path:
    """The place of a file in the cache, whether it is there or not."""
    return folder() / f"{sha256}{SUFFIX}"


def read(entry: Entry) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata of published weights, hashed as they are read.

    A cached copy that is damaged is set aside and fetched again, once.

    Raises:
        HashMismatchError: no source has the bytes that were published.
        TransferError: no source can be reached.
        CacheError: the cache cannot be written.
        WeightsCorruptError: the published bytes are no sound safetensors file.
    """
    from zoo import weights  # loads torch, which looking after the files does without

    path = obtain(entry)
    try:
        return weights.read(path, entry.sha256)
    except (HashMismatchError, WeightsCorruptError) as error:
        if path != path_of(entry.sha256) or files.sha256(path) == entry.sha256:
            raise
        log.warning("%s Fetching it again.", str(error).splitlines()[0])
        with _writing(path):
            path.replace(path.with_suffix(DAMAGED))
    return weights.read(obtain(entry), entry.sha256)


def obtain(entry: Entry) -> Path:
    """The path of published weights, fetched from the first source that has them. What is fetched is verified here.

    Raises:
        HashMismatchError, TransferError, CacheError: see `read`.
    """
    path = path_of(entry.sha256)
    faults: list[ZooError] = []
    for address in map(addresses.source, entry.sources):
        if address.scheme == "package":
            if found := _in_package(address):
                return found
            faults.append(TransferError(f"{address} is not there. Install the plugin again."))
            continue
        if _present(path):
            return path
        try:
            _fetch_once(entry, address, path)
            return path
        except (TransferError, HashMismatchError) as error:
            faults.append(error)
    raise type(faults[-1])(
        f"the weights of {entry.id} cannot be had:\n  " + "\n  ".join(str(fault) for fault in faults)
    )


def find(entry: Entry) -> Path | None:
    """Where published weights are on this machine, if they are; nothing is fetched or verified."""
    places = [_in_package(address) for address in map(addresses.source, entry.sources) if address.scheme == "package"]
    cached = path_of(entry.sha256)
    return next((path for path in places if path), cached if _present(cached) else None)


def listing() -> list[dict[str, Any]]:
    """Every file in the cache: sha256, state ("ready", "partial" or "damaged"), bytes and path."""
    states = {SUFFIX: "ready", DAMAGED: "damaged"}
    found = []
    for path in sorted(folder().glob("*")) if folder().is_dir() else []:
        partial = path.name.startswith(PARTIAL)
        if partial or path.suffix in states:
            found.append(
                {
                    "sha256": path.name.removeprefix(PARTIAL) if partial else path.stem,
                    "state": "partial" if partial else states[path.suffix],
                    "bytes": _bytes(path),
                    "path": str(path),
                }
            )
    return found


def verify() -> list[dict[str, Any]]:
    """Hashes every file in the cache again; one that is damaged is set aside and said to be."""
    rows = listing()
    for row in rows:
        path = Path(row["path"])
        if row["state"] == "ready" and files.sha256(path) != row["sha256"]:
            with _writing(path):
                row["path"] = str(path.replace(path.with_suffix(DAMAGED)))
            row["state"] = "damaged"
    return rows


def prune(keep: set[str]) -> list[dict[str, Any]]:
    """Removes every file that is not whole, and every whole one whose sha256 is not to be kept; says which."""
    gone = [row for row in listing() if row["state"] != "ready" or row["sha256"] not in keep]
    for row in gone:
        path = Path(row["path"])
        with _locked(row["sha256"]), _writing(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return gone


def _fetch_once(entry: Entry, address: Address, path: Path) -> None:
    """One process fetches, the others wait and find the file there."""
    if offline():
        raise OfflineError(f"{address} is not in the cache, and nothing may be fetched (ZOO_OFFLINE, --offline).")
    with _locked(entry.sha256):
        if not _present(path):
            _fetch_verified(entry, address, path)


def _fetch_verified(entry: Entry, address: Address, path: Path) -> None:
    partial = path.with_name(f"{PARTIAL}{entry.sha256}")
    got = ""
    for _ in range(2):  # a body that was damaged on its way may be whole the second time
        with _writing(partial):
            _fetch(address, partial, entry.size)
            got = files.sha256(partial)
            if partial.stat().st_size == entry.size and got == entry.sha256:
                files.settle(partial, path)
                return
            partial.unlink()
    raise HashMismatchError(
        f"{address} is not the file that was published: expected sha256 {entry.sha256}, got {got}. Twice. "
        "It was thrown away; the cache is as it was."
    )


def _fetch(address: Address, path: Path, size: int) -> None:
    if address.scheme == "https":
        download.fetch(str(address), path, size)
    elif address.scheme == "hf":
        hub.fetch(address, path, size)
    else:
        storage.fetch(str(address), path, size)


def _present(path: Path) -> bool:
    """A link is none of ours, wherever it points; the file that is fetched takes its place."""
    with contextlib.suppress(OSError):  # a name too long
        return path.is_file() and not path.is_symlink()
    return False


def _in_package(address: Address) -> Path | None:
    found = importlib.util.find_spec(address.place)
    places = (found.submodule_search_locations or []) if found else []
    return next((path for place in places if (path := Path(place) / address.path).is_file()), None)


@contextlib.contextmanager
def _locked(sha256: str) -> Iterator[None]:
    """A lock that the system frees when its owner dies."""
    path = folder() / ".locks" / sha256
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=WAIT)
        except filelock.Timeout:
            raise CacheError(f"another process has been fetching {sha256} for {WAIT / 60:g} minutes.") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Says in the zoo's words why something could not be written; a file that filled the disk is removed."""
    try:
        yield
    except OSError as error:
        if path.name.startswith(PARTIAL):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise CacheError(
            f"cannot write {path}: {files.reason(error)} What was there before is untouched.\n"
            "Next: free some space, or set ZOO_CACHE to a folder that you can write."
        ) from error


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
    return path.stat().st_size
