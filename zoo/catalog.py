"""registry.toml: which weights have been published, what they claim, where they lie. The only file that knows TOML."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from zoo.errors import CatalogError, UnknownNameError, ZooError, nearest

LARGEST = 4_000_000
"""Bytes; no honest file of this kind is larger."""
HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Claim:
    """A figure that published weights are said to reach, and how far a re-run may differ."""

    value: float
    tolerance: float

    def holds(self, measured: float) -> bool:
        """Whether a re-run agrees."""
        return abs(measured - self.value) <= self.tolerance


@dataclass(frozen=True)
class Entry:
    """One set of published weights."""

    model: str
    tag: str
    default: bool
    size: int
    sha256: str
    digest: str
    """sha256 over the tensors, however they lie in the file; see `weights.digest`."""
    parameters: int
    sources: tuple[str, ...]
    dataset: str
    dataset_digest: str
    license: str
    command: str
    versions: Mapping[str, str]
    metrics: Mapping[str, Claim]

    @property
    def id(self) -> str:
        """`model:tag`."""
        return f"{self.model}:{self.tag}"

    def path(self) -> Path:
        """Where the file lies on this machine.

        Raises:
            CatalogError: none of its sources can be found.
        """
        for source in self.sources:
            package, _, name = source.removeprefix("package:").partition("/")
            found = importlib.util.find_spec(package)
            for folder in (found.submodule_search_locations or []) if found else []:
                if (path := Path(folder) / name).is_file():
                    return path
        raise CatalogError(f"the weights of {self.id} are not at {', '.join(self.sources)}. Install the plugin again.")


def read_toml(path: Path, error: type[ZooError] = CatalogError) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        error: with the file, the line where there is one, and the reason.
    """
    try:
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise error(f"{path}: {len(data)} bytes; expected at most {LARGEST}.")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or cause}.") from cause
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise error(f"{path}:{line}: not UTF-8 ({cause.reason}).") from cause
    except tomllib.TOMLDecodeError as cause:
        line = int(found.group(1)) if (found := re.search(r"line (\d+)", str(cause))) else data.count(b"\n") + 1
        raise error(f"{path}:{line}: {cause}.") from cause
    except RecursionError as cause:
        raise error(f"{path}:1: arrays or tables are nested too deeply.") from cause


@cache
def entries() -> dict[str, Entry]:
    """All published weights by id.

    Raises:
        CatalogError: registry.toml breaks its format.
    """
    path = location()
    tables = read_toml(path).get("weights", {})
    if not isinstance(tables, dict):
        raise CatalogError(f'{path}: expected tables [weights."model:tag"].')
    found = {identity: _entry(path, identity, table) for identity, table in tables.items()}
    for model in {entry.model for entry in found.values()}:
        if sum(entry.default for entry in found.values() if entry.model == model) != 1:
            raise CatalogError(f"{path}: {model}: expected exactly one tag with default = true.")
    return found


def tags(model: str) -> list[str]:
    """Tags of a model's published weights, the default first."""
    own = [entry for entry in entries().values() if entry.model == model]
    return [entry.tag for entry in sorted(own, key=lambda entry: (not entry.default, entry.tag))]


def find(reference: str) -> Entry:
    """The entry of `model:tag`, or of a model's default tag.

    Raises:
        UnknownNameError: there is none.
    """
    model, _, tag = reference.partition(":")
    known = tags(model)
    if not known:
        raise UnknownNameError("published weights", reference, entries(), f"To train your own: zoo train {model}")
    if tag and tag not in known:
        raise UnknownNameError(f"tag of {model}", tag, known)
    return entries()[f"{model}:{tag or known[0]}"]


def location() -> Path:
    """The file in a checkout, or the copy that the wheel carries."""
    package = Path(__file__).parent
    checkout = package.parent / "registry.toml"
    return checkout if (package.parent / "pyproject.toml").is_file() and checkout.is_file() else package / checkout.name


def to_toml(entry: Entry) -> str:
    """The entry as it stands in registry.toml. JSON's strings, numbers and lists are TOML's too."""
    lines = [f"[weights.{json.dumps(entry.id)}]"]
    for item in fields(Entry):
        value = getattr(entry, item.name)
        if item.name == "default":
            lines += ["default = true"] if value else []
        elif item.name == "metrics":
            claims = (f"{k} = {{ value = {c.value}, tolerance = {c.tolerance} }}" for k, c in value.items())
            lines += [f"metrics = {{ {', '.join(claims)} }}"]
        elif item.name == "versions":
            lines += [f"versions = {{ {', '.join(f'{k} = {json.dumps(v)}' for k, v in value.items())} }}"]
        elif item.name not in ("model", "tag"):
            lines += [f"{item.name} = {json.dumps(value)}"]
    return "\n".join(lines) + "\n"


def _entry(path: Path, identity: str, table: Any) -> Entry:
    where = f"{path}: {identity}"
    model, colon, tag = identity.partition(":")
    if not (model and colon and tag) or not isinstance(table, dict):
        raise CatalogError(f'{where}: expected a table [weights."model:tag"].')
    kinds = {item.name: item.type for item in fields(Entry) if item.name not in ("model", "tag")}
    for key in table.keys() - kinds.keys():
        near = nearest(key, kinds)
        raise CatalogError(f"{where}: unknown key {key!r}.{f' Did you mean {near!r}?' if near else ''}")
    if missing := sorted(kinds.keys() - table.keys() - {"default"}):
        raise CatalogError(f"{where}: lacks {', '.join(missing)}.")
    words = {"int": int, "str": str, "bool": bool, "tuple[str, ...]": list}
    for key, value in table.items():
        kind = words.get(str(kinds[key]), dict)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CatalogError(f"{where}: {key} = {value!r}: expected {kind.__name__}.")
    for key in ("sha256", "digest", "dataset_digest"):
        if not HEX64.fullmatch(table[key]):
            raise CatalogError(f"{where}: {key} = {table[key]!r}: expected 64 lower-case hexadecimal digits.")
    for source in table["sources"]:
        if not re.fullmatch(r"package:[A-Za-z_]\w*(/[A-Za-z0-9_][\w.-]*)+", source) or ".." in source:
            raise CatalogError(f"{where}: source {source!r}: expected package:NAME/path/inside/it.")
    try:
        claims = {
            name: Claim(float(claim["value"]), float(claim["tolerance"])) for name, claim in table["metrics"].items()
        }
    except (KeyError, TypeError, ValueError) as cause:
        raise CatalogError(f"{where}: metrics: expected NAME = {{ value = ..., tolerance = ... }}.") from cause
    values = {**table, "default": table.get("default", False), "sources": tuple(table["sources"]), "metrics": claims}
    return Entry(model=model, tag=tag, **values)
