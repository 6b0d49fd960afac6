"""What someone pushed to a folder anywhere: weights beside a manifest that says what they are and what they hash to.

A manifest is data and is checked like a stranger's registry.toml; nothing that lies in such a folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import addresses, entries, files, hub, storage
from zoo.addresses import Address
from zoo.entries import Entry
from zoo.environment import cache_folder, offline
from zoo.errors import CatalogError, OfflineError, RunError, TransferError

log = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
LARGEST = 1_000_000
"""Bytes of a manifest."""


def manifest(entry: Entry, hashes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What is written beside published files: the entry, but for where it lies, and each file's size and sha256."""
    table = entry.to_json()
    table.pop("default", None)
    table.pop("sources")
    return {"format": FORMAT, "id": entry.id, "weights": table, "files": dict(hashes)}


def find(text: str) -> Entry:
    """The entry of what was pushed to an address. A commit, once seen, is not asked for again.

    Raises:
        AddressError: the address is none.
        TransferError: it cannot be reached, or nothing was pushed there.
        CatalogError: its manifest is not one.
    """
    address = addresses.folder(text)
    known = _remembered(address)
    if known is not None and address.pinned:
        return known
    try:
        pinned, content = _read(address)
    except TransferError as error:
        if known is None:
            raise
        log.warning("%s Using what was pulled before: %s", error, known.sources[0])
        return known
    entry = _parse(pinned, content)
    for seen in {str(address), str(pinned)}:
        files.write_json(_memory(seen), {"address": seen, "source": str(pinned), "manifest": json.loads(content)})
    return entry


def known() -> list[Entry]:
    """Everything that was pulled by address before."""
    found = [_recall(path) for path in sorted((cache_folder() / "publications").glob("*.json"))]
    return [entry for entry in found if entry is not None]


def _read(address: Address) -> tuple[Address, bytes]:
    if offline():
        raise OfflineError(f"{address} was not pulled before, and nothing may be fetched (ZOO_OFFLINE, --offline).")
    pinned = hub.resolve(address) if address.scheme == "hf" else address
    place = pinned.join(MANIFEST)
    content = hub.read(place, LARGEST) if address.scheme == "hf" else storage.read(str(place), LARGEST)
    if content is None:
        raise TransferError(
            f"{pinned} has no {MANIFEST}: `zoo push` writes one. Without a published hash nothing is loaded."
        )
    return pinned, content


def _parse(address: Address, content: bytes) -> Entry:
    try:
        said = json.loads(content)
        identity, table = said["id"], {**said["weights"], "sources": [str(address.join(WEIGHTS))]}
        right = said["format"] == FORMAT and isinstance(identity, str)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CatalogError(f"{address}: its {MANIFEST} is none of the zoo's: {error!r}.") from error
    if not right:
        raise CatalogError(f"{address}: its {MANIFEST} has format {said['format']!r}, expected {FORMAT}.")
    if found := entries.faults(identity, table):
        raise CatalogError("\n".join(f"{address}: {MANIFEST}: {what}" for _, what in found))
    return entries.build(identity, table)


def _memory(seen: str) -> Path:
    return cache_folder() / "publications" / f"{hashlib.sha256(seen.encode()).hexdigest()}.json"


def _remembered(address: Address) -> Entry | None:
    return _recall(_memory(str(address)))


def _recall(path: Path) -> Entry | None:
    """What was remembered; nothing where the file is missing or damaged, for it can be had again."""
    try:
        said = files.read_json(path)
        return _parse(addresses.folder(said["source"]), json.dumps(said["manifest"]).encode())
    except (RunError, CatalogError, KeyError, TypeError):
        return None
