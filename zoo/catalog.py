"""registry.toml: which weights have been published, by the zoo and by each plugin. The only file that knows TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from zoo import entries, registry
from zoo.entries import Entry
from zoo.errors import CatalogError, UnknownNameError, ZooError, nearest

LARGEST = 4_000_000
"""Bytes; no honest file of this kind is larger."""

_HEADER = re.compile(r"""^\s*\[\s*weights\s*\.\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*\]""")
_KEY = re.compile(r"""^\s*["']?([\w.-]+)["']?\s*=""")


def read_toml(path: Path, error: type[ZooError] = CatalogError) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        error: with the file, the line where there is one, and the reason.
    """
    return _parse(path, _text(path, error), error)


def read(path: Path) -> dict[str, Entry]:
    """The entries of one file, by id.

    Raises:
        CatalogError: the file breaks the format; every fault is listed with its line.
    """
    tables, found = _check(path)
    if found:
        raise CatalogError("\n".join(found))
    return {identity: entries.build(identity, table) for identity, table in tables.items()}


def faults(path: Path) -> list[str]:
    """Everything that is wrong with the format of a file, each as "file:line: id: what"."""
    try:
        return _check(path)[1]
    except CatalogError as error:
        return [str(error)]


def line_of(path: Path, identity: str, key: str = "") -> int:
    """The line of a table, or of a key in it; 1 where it cannot be told."""
    return _line(_lines(_text(path, CatalogError)), identity, key)


@cache
def entries_of(model: str) -> dict[str, Entry]:
    """A model's published weights by tag, the default first: from the zoo's file and from the plugin's own.

    Raises:
        CatalogError: a file breaks the format, two files claim one id, or there is not exactly one default.
        UnknownNameError, PluginError: see `registry.load`.
    """
    found: dict[str, Entry] = {}
    owners: dict[str, Path] = {}
    for path in _files_of(model):
        for entry in _read_once(path).values():
            if entry.model != model:
                continue
            if entry.tag in owners:
                raise CatalogError(
                    f"{entry.id} is published twice: by {owners[entry.tag]}:{line_of(owners[entry.tag], entry.id)} "
                    f"and by {path}:{line_of(path, entry.id)}. Next: remove one, or give it another tag."
                )
            owners[entry.tag], found[entry.tag] = path, entry
    if found and sum(entry.default for entry in found.values()) != 1:
        where = ", ".join(sorted({str(path) for path in owners.values()}))
        raise CatalogError(f"{where}: {model}: expected exactly one tag with default = true.")
    return dict(sorted(found.items(), key=lambda item: (not item[1].default, item[0])))


def everything() -> dict[str, Entry]:
    """Published weights of every plugin that can be loaded, by id.

    Raises:
        CatalogError: see `entries_of`.
    """
    usable = [plugin.name for plugin, spec in registry.models() if spec is not None]
    return {entry.id: entry for model in usable for entry in entries_of(model).values()}


def find(reference: str) -> Entry:
    """The entry of `model:tag`, or of a model's default tag.

    Raises:
        UnknownNameError: there is none.
        CatalogError: see `entries_of`.
    """
    model, _, tag = reference.partition(":")
    known = entries_of(model)
    if not known:
        near = nearest(reference, everything())
        hint = f"Did you mean {near!r}? " if near else ""
        raise UnknownNameError("published weights", reference, (), f"{hint}To train your own: zoo train {model}")
    if tag and tag not in known:
        raise UnknownNameError(f"tag of {model}", tag, known)
    return known[tag or next(iter(known))]


def location() -> Path:
    """The zoo's own file: in a checkout the one at its root, or else the copy that the wheel carries."""
    package = Path(__file__).parent
    checkout = package.parent / "registry.toml"
    return checkout if (package.parent / "pyproject.toml").is_file() and checkout.is_file() else package / checkout.name


def locations() -> list[Path]:
    """The zoo's file and those of all plugins that can be loaded."""
    own = [Path(spec.registry) for _, spec in registry.models() if spec is not None and spec.registry]
    return list(dict.fromkeys([location(), *own]))


def to_toml(entry: Entry) -> str:
    """The entry as it stands in registry.toml."""
    lines = [f"[weights.{_toml(entry.id)}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in entry.to_json().items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """JSON's strings, numbers and lists are TOML's too, but for a character that TOML wants escaped."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml_key(key)} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _files_of(model: str) -> list[Path]:
    own = registry.load(model).spec.registry
    return [location(), *([Path(own)] if own else [])]


@cache
def _read_once(path: Path) -> dict[str, Entry]:
    return read(path)


def _text(path: Path, error: type[ZooError]) -> str:
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or cause}.") from cause
    if len(data) > LARGEST:
        raise error(f"{path}: {len(data)} bytes; expected at most {LARGEST}.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise error(f"{path}:{line}: not UTF-8 ({cause.reason}).") from cause


def _parse(path: Path, text: str, error: type[ZooError]) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        line = int(found.group(1)) if (found := re.search(r"line (\d+)", str(cause))) else text.count("\n") + 1
        raise error(f"{path}:{line}: {cause}.") from cause
    except RecursionError as cause:
        raise error(f"{path}:1: arrays or tables are nested too deeply.") from cause


def _check(path: Path) -> tuple[dict[str, Any], list[str]]:
    """(tables by id, faults with their lines)."""
    text = _text(path, CatalogError)
    content = _parse(path, text, CatalogError)
    lines = _lines(text)
    found = [
        f'{path}:1: unknown table {name!r}; expected [weights."model:tag"]' for name in content.keys() - {"weights"}
    ]
    tables = content.get("weights", {})
    if not isinstance(tables, dict):
        return {}, [*found, f'{path}:1: expected tables [weights."model:tag"]']
    for identity, table in tables.items():
        for key, what in entries.faults(identity, table):
            found.append(f"{path}:{_line(lines, identity, key)}: {identity}: {what}")
    defaults: dict[str, list[str]] = {}
    for identity, table in tables.items():
        if isinstance(table, dict) and table.get("default") is True:
            defaults.setdefault(identity.partition(":")[0], []).append(identity)
    for several in defaults.values():
        for identity in several[1:]:
            found.append(f"{path}:{_line(lines, identity, 'default')}: {identity}: {several[0]} is the default already")
    return tables, found


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Line of each table, as (id, ""), and of each key in it, as (id, key)."""
    found: dict[tuple[str, str], int] = {}
    identity = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _HEADER.match(line):
            identity = next(group for group in match.groups() if group is not None)
            found[identity, ""] = number
        elif match := _KEY.match(line):
            found.setdefault((identity, match.group(1)), number)
    return found


def _line(lines: Mapping[tuple[str, str], int], identity: str, key: str) -> int:
    return lines.get((identity, key)) or lines.get((identity, "")) or 1
