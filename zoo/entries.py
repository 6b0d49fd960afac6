"""One set of published weights: what it is, what it claims, where it lies; and what a table that says so must hold."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from zoo import addresses
from zoo.errors import AddressError, nearest

HEX64 = re.compile(r"[0-9a-f]{64}")
LARGEST = 2**40
"""Bytes; a size beyond it is no size of a file."""
Fault = tuple[str, str]
"""(key, what is wrong with it); the key is "" where it is the whole table."""


@dataclass(frozen=True)
class Claim:
    """A figure that published weights are said to reach, and how far a re-run may differ."""

    value: float
    tolerance: float
    seeds: tuple[float, ...] = ()
    """The same figure of as many runs that differ in their seed alone, this one among them."""

    @property
    def spread(self) -> str:
        """Mean and standard deviation over seeds, in words; "" where there is one run only."""
        if not self.seeds:
            return ""
        mean, std = statistics.mean(self.seeds), statistics.stdev(self.seeds)
        return f"mean {mean:.6g}, std {std:.2g}, n = {len(self.seeds)} seeds"

    def to_json(self) -> dict[str, Any]:
        """The table that it was made of."""
        seeds = {"seeds": [*self.seeds]} if self.seeds else {}
        return {"value": self.value, "tolerance": self.tolerance, **seeds}

    def holds(self, measured: float) -> bool:
        """Whether a re-run agrees."""
        return abs(measured - self.value) <= self.tolerance


@dataclass(frozen=True)
class Entry:
    """One set of published weights."""

    model: str
    tag: str
    default: bool
    file: str
    """The file's name wherever it is copied to."""
    size: int
    """Bytes."""
    sha256: str
    digest: str
    """sha256 over the tensors, however they lie in the file; see `weights.digest`."""
    parameters: int
    sources: tuple[str, ...]
    """Addresses of the file, tried in order."""
    config: Mapping[str, Any]
    dataset: str
    dataset_digest: str
    license: str
    """An SPDX identifier."""
    command: str
    """What trained them."""
    versions: Mapping[str, str]
    metrics: Mapping[str, Claim]

    @property
    def id(self) -> str:
        """`model:tag`."""
        return f"{self.model}:{self.tag}"

    def to_json(self) -> dict[str, Any]:
        """The table that it was made of, with plain values; `default` only where it is true."""
        table: dict[str, Any] = {name: getattr(self, name) for name in KINDS}
        table["sources"], table["config"] = list(self.sources), _plain(self.config)
        table["metrics"] = {name: claim.to_json() for name, claim in self.metrics.items()}
        if not self.default:
            del table["default"]
        return table


KINDS: dict[str, type] = {
    item.name: {"int": int, "str": str, "bool": bool, "tuple[str, ...]": list}.get(str(item.type), dict)
    for item in fields(Entry)
    if item.name not in ("model", "tag")
}
"""What a table may hold, and of which type."""


def faults(identity: str, table: Any) -> list[Fault]:
    """Everything that is wrong with a table; nothing is read or fetched."""
    if not isinstance(table, dict):
        return [("", 'expected a table [weights."model:tag"]')]
    return [*_identity_faults(identity), *_key_faults(table), *_value_faults(table)]


def build(identity: str, table: Mapping[str, Any]) -> Entry:
    """The entry of a table without faults."""
    model, _, tag = identity.partition(":")
    values = {**table, "default": table.get("default", False), "sources": tuple(table["sources"])}
    values["metrics"] = {
        name: Claim(float(claim["value"]), float(claim["tolerance"]), tuple(map(float, claim.get("seeds", ()))))
        for name, claim in table["metrics"].items()
    }
    return Entry(model=model, tag=tag, **values)


def _identity_faults(identity: str) -> Iterator[Fault]:
    parts = identity.split(":")
    if len(parts) != 2 or not all(addresses.SLUG.fullmatch(part) for part in parts):
        yield "", f"{identity!r} is no id: expected model:tag, each of lower-case letters, digits and . _ -"


def _key_faults(table: Mapping[str, Any]) -> Iterator[Fault]:
    for key in table.keys() - KINDS.keys():
        near = nearest(key, KINDS)
        yield key, f"unknown key {key!r}.{f' Did you mean {near!r}?' if near else ''}"
    for key in sorted(KINDS.keys() - table.keys() - {"default"}):
        yield "", f"lacks {key}"
    for key, kind in KINDS.items():
        if key in table and (not isinstance(table[key], kind) or (kind is int and isinstance(table[key], bool))):
            yield key, f"{key} = {table[key]!r}: expected {'a table' if kind is dict else kind.__name__}"


def _value_faults(table: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with values of the right type."""
    right = {key: table[key] for key, kind in KINDS.items() if key in table and isinstance(table[key], kind)}
    for key in right.keys() & {"sha256", "digest", "dataset_digest"}:
        if not HEX64.fullmatch(right[key]):
            yield key, f"{key} = {right[key]!r}: expected 64 lower-case hexadecimal digits"
    for key in right.keys() & {"size", "parameters"}:
        if not 0 < right[key] < LARGEST:
            yield key, f"{key} = {right[key]}: expected a positive number"
    for key in right.keys() & {"dataset", "license", "command"}:
        if not right[key].strip() or not right[key].isprintable():
            yield key, f"{key} = {right[key]!r}: expected one line of text"
    if "file" in right:
        try:
            addresses.check_name(right["file"])
        except AddressError as error:
            yield "file", str(error)
    if "sources" in right and not right["sources"]:
        yield "sources", "sources is empty: expected at least one address"
    for text in right.get("sources", ()):
        try:
            addresses.source(text if isinstance(text, str) else repr(text))
        except AddressError as error:
            yield "sources", str(error)
    for key, value in right.get("versions", {}).items():
        if not isinstance(value, str):
            yield "versions", f"{key} = {value!r}: expected text"
    for name, claim in right.get("metrics", {}).items():
        if not isinstance(claim, dict) or claim.keys() - {"seeds"} != {"value", "tolerance"}:
            yield "metrics", f"{name}: expected {{ value = ..., tolerance = ... }}, and seeds = [...] if there are more"
            continue
        seeds = claim.get("seeds", [0, 0])
        if not isinstance(seeds, list) or len(seeds) < 2:
            yield "metrics", f"{name}: seeds = {seeds!r}: expected the figures of two runs or more"
        elif not all(map(_is_finite, (claim["value"], claim["tolerance"], *seeds))) or claim["tolerance"] < 0:
            yield "metrics", f"{name} = {claim}: expected finite numbers, and no negative tolerance"


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> Any:
    """TOML has no null and no tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
