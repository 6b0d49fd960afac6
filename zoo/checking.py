"""check(): whether each registry.toml says what is so, as far as can be told without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoo import addresses, cache, catalog, datasets, registry, weights
from zoo.entries import Entry
from zoo.errors import PluginError, UnknownNameError, ZooError


def check(paths: list[Path]) -> tuple[list[str], int]:
    """(faults as "file:line: id: what", number of entries) of the files, or of all that are installed.

    Beside the format: the plugin and the data set exist, the metrics are the model's, the files that are on this
    machine have the size, hash, digest, config and data that are listed, no id is published twice.
    """
    found: list[str] = []
    count, readable = 0, True
    for path in paths or catalog.locations():
        faults = catalog.faults(path)
        found += faults
        if faults:
            readable = False
        else:
            listed = catalog.read(path)
            count += len(listed)
            owners = {spec.name for _, spec in registry.models() if spec and spec.registry == str(path)}
            for entry in listed.values():
                if owners and entry.model not in owners:
                    line = catalog.line_of(path, entry.id)
                    found.append(f"{path}:{line}: {entry.id}: this file is that of {', '.join(sorted(owners))} only")
                for key, what in _faults(entry):
                    found.append(f"{path}:{catalog.line_of(path, entry.id, key)}: {entry.id}: {what}")
    if readable and not paths:
        try:
            catalog.everything()
        except ZooError as error:
            found.append(str(error))
    return found, count


def _faults(entry: Entry) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it)."""
    try:
        spec = registry.load(entry.model).spec
    except (UnknownNameError, PluginError) as error:
        yield "", str(error).splitlines()[0]
        return
    declared = {metric.name for metric in spec.metrics}
    for name in entry.metrics.keys() - declared:
        yield "metrics", f"{spec.name} has no metric {name!r}; it has {', '.join(sorted(declared))}"
    known = datasets.SPECS[entry.dataset].digest if entry.dataset in datasets.SPECS else ""
    if known and entry.dataset_digest != known:
        yield "dataset_digest", f"is not that of {entry.dataset}, {known}"
    here = cache.find(entry)
    if here is None:
        if all(addresses.source(source).scheme == "package" for source in entry.sources):
            yield "sources", f"the file is not at {', '.join(entry.sources)}"
        return
    yield from _file_faults(entry, here)


def _file_faults(entry: Entry, path: Path) -> Iterator[tuple[str, str]]:
    if (size := path.stat().st_size) != entry.size:
        yield "size", f"{path} has {size} bytes"
    try:
        tensors, metadata = weights.read(path, entry.sha256)
    except ZooError as error:
        yield "sha256", str(error).splitlines()[0]
        return
    if (digest := weights.digest(tensors)) != entry.digest:
        yield "digest", f"the digest of the tensors in {path} is {digest}"
    if metadata.get("model") != entry.model:
        yield "", f"{path} holds weights of {metadata.get('model')!r}"
    made_with = metadata.get("config", {})
    for name in sorted(made_with.keys() | entry.config.keys()):
        if made_with.get(name) != entry.config.get(name):
            yield "config", f"{name} = {entry.config.get(name)!r}, but {path} was made with {made_with.get(name)!r}"
    made_from = metadata.get("dataset", {})
    if (made_from.get("name"), made_from.get("digest")) != (entry.dataset, entry.dataset_digest):
        yield "dataset", f"{path} was made from {made_from.get('name')!r}, digest {made_from.get('digest')}"
