"""pull(): published weights onto this machine, verified."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo import addresses, cache, catalog, publications
from zoo.entries import Entry


@dataclass(frozen=True)
class Pulled:
    """Where verified weights lie."""

    id: str
    path: Path
    sha256: str
    size: int
    """Bytes."""
    source: str

    def to_json(self) -> dict[str, Any]:
        """One plain object."""
        return {**asdict(self), "path": str(self.path)}


def pull(reference: str) -> Pulled:
    """Fetches published weights, unless they are here, and verifies them.

    Args:
        reference: "model", "model:tag", or the address of what was pushed: hf://owner/name[@revision], file:DIR,
            s3://bucket/folder. Code that lies there is neither fetched nor run.

    Raises:
        UnknownNameError: there is no such model or tag.
        HashMismatchError, TransferError, CacheError: see `cache.read`.
    """
    entry = find(reference)
    cache.read(entry)
    path = cache.obtain(entry)
    return Pulled(entry.id, path, entry.sha256, entry.size, entry.sources[0])


def find(reference: str) -> Entry:
    """The entry of a model, a tag, or an address.

    Raises:
        UnknownNameError, CatalogError, TransferError: see `catalog.find` and `publications.find`.
    """
    return publications.find(reference) if addresses.is_address(reference) else catalog.find(reference)


def names() -> dict[str, str]:
    """Ids of all weights that a registry.toml lists or that were pulled by address, by sha256."""
    return {entry.sha256: entry.id for entry in (*publications.known(), *catalog.everything().values())}
