"""push(): a run's or a model's weights to where others can pull them, with card and manifest, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo import addresses, cache, files, hub, pulling, registry, report, runs, storage, weights
from zoo.addresses import Address
from zoo.entries import Claim, Entry
from zoo.errors import RunError, TransferError
from zoo.publications import LARGEST, MANIFEST, WEIGHTS, manifest

OUT = Path("runs")
LICENSE = "Apache-2.0"
TOLERANCE = 1e-3
"""How far a re-run may differ, relative to the figure, unless said otherwise: other machines add in another order."""


@dataclass(frozen=True)
class Pushed:
    """What lies where, and the registry.toml entry that publishes it."""

    address: str
    files: dict[str, int]
    """Bytes of each file."""
    entry: Entry
    sent: bool


def push(
    reference: str | Path,
    to: str,
    *,
    tag: str | None = None,
    license: str = LICENSE,
    tolerances: Mapping[str, float] | None = None,
    private: bool = False,
    dry_run: bool = False,
    out: str | Path = OUT,
) -> Pushed:
    """Publishes weights with their config, figures, model card and manifest.

    Args:
        reference: a finished run, "model" or "model:tag".
        to: hf://owner/name[@branch], file:DIR, or s3://bucket/folder. A folder that holds something else is refused.
        tag: what a run is published as; its data set's name by default.
        license: SPDX identifier of a run's weights.
        tolerances: how far a re-run's figures may differ; a thousandth of the figure by default.
        private: make a new repository private.
        dry_run: send nothing.
        out: where runs are looked for by id.

    Raises:
        RunError: the run is not finished, or its files are links.
        WeightsError: the weights are not those that were recorded.
        TransferError: see `hub.push` and `storage.write`.
    """
    reference, address = str(reference), addresses.folder(to)
    entry, path = _published(reference) or _of_run(reference, tag, license, tolerances, Path(out))
    _, metadata = weights.read(path, entry.sha256)
    with tempfile.TemporaryDirectory(prefix="zoo-push-") as name:
        staged = _stage(Path(name), entry, metadata, path)
        if not dry_run:
            address = _send(staged, address, f"Publish {entry.id}", private)
        sizes = {file: place.stat().st_size for file, place in staged.items()}
    source = str(address.join(WEIGHTS))
    return Pushed(str(address), sizes, replace(entry, default=False, file=WEIGHTS, sources=(source,)), not dry_run)


def entry_of(
    reference: str,
    tag: str | None,
    source: str,
    *,
    default: bool = False,
    license: str = LICENSE,
    tolerances: Mapping[str, float] | None = None,
    others: Sequence[str] = (),
    out: Path = OUT,
) -> Entry:
    """The registry.toml entry that publishes a finished run, with every figure read from the run.

    `others` are runs of the same thing with other seeds: the entry tells all their figures, for mean and spread.

    Raises:
        RunError: a run is not finished, has no such metric, or one that is not finite; or the others are not the same.
        WeightsError: its weights are not those that it recorded.
    """
    folder, record, config = _finished(reference, out)
    records = [record]
    for other in others:
        _, theirs, their_config = _finished(other, out)
        if any(theirs[key] != record[key] for key in ("model", "dataset")) or their_config != config:
            raise RunError(f"{other} is not {folder} with another seed: its model, data set or config differs.")
        records.append(theirs)
    if len({one["seed"] for one in records}) < len(records):
        raise RunError(f"{', '.join(others)}: expected runs with seeds that differ from each other's.")
    if strange := sorted((tolerances or {}).keys() - record["metrics"].keys()):
        raise RunError(f"{folder} has no metric {', '.join(strange)}; it has {', '.join(record['metrics'])}.")
    bounds = tolerances or {metric: TOLERANCE * abs(value) for metric, value in record["metrics"].items()}
    claims = {
        metric: Claim(record["metrics"][metric], bound, tuple(one["metrics"][metric] for one in records if others))
        for metric, bound in bounds.items()
    }
    path = folder / runs.WEIGHTS
    tensors, _ = weights.read(path, record["sha256"])
    return Entry(
        model=record["model"],
        tag=tag or record["dataset"]["name"],
        default=default,
        file=source.rpartition("/")[2],
        size=path.stat().st_size,
        sha256=record["sha256"],
        digest=weights.digest(tensors),
        parameters=record["parameters"],
        sources=(source,),
        config=config,
        dataset=record["dataset"]["name"],
        dataset_digest=record["dataset"]["digest"],
        license=license,
        command=record["command"],
        versions=record["environment"]["versions"],
        metrics=claims,
    )


def _finished(reference: str, out: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """(folder, record, config) of a run whose figures can be claimed."""
    folder = runs.find(reference, out)
    record, config = runs.read(folder)
    if record.get("state") != "finished":
        raise RunError(f"{folder} is not finished. Next: zoo train --resume {folder}")
    if bad := [metric for metric, value in record["metrics"].items() if value is None]:
        raise RunError(f"{folder}: {', '.join(bad)} is not a finite number: such weights are not published.")
    return folder, record, config["config"]


def _published(reference: str) -> tuple[Entry, Path] | None:
    """What a registry.toml lists, if the reference names a model."""
    if reference.partition(":")[0] not in {plugin.name for plugin in registry.plugins()}:
        return None
    entry = pulling.find(reference)
    cache.read(entry)
    return entry, cache.obtain(entry)


def _of_run(
    reference: str, tag: str | None, license: str, tolerances: Mapping[str, float] | None, out: Path
) -> tuple[Entry, Path]:
    path = runs.find(reference, out) / runs.WEIGHTS
    if path.is_symlink():
        raise RunError(f"{path} is a link: only files of the run itself are published.")
    return entry_of(reference, tag, f"file:{path.absolute()}", license=license, tolerances=tolerances, out=out), path


def _stage(folder: Path, entry: Entry, metadata: Mapping[str, Any], path: Path) -> dict[str, Path]:
    """Exactly the files that are published, in a folder of their own; the same entry gives the same bytes."""
    spec = registry.load(entry.model).spec
    shutil.copyfile(path, folder / WEIGHTS)
    files.write_json(folder / "config.json", {key: metadata[key] for key in ("model", "config", "dataset")})
    files.write_json(folder / "metrics.json", {name: claim.value for name, claim in entry.metrics.items()})
    card = f"---\n{hub.card_metadata(entry, spec.task)}\n---\n\n{report.publication(entry, spec)}"
    files.write(folder / "README.md", card)
    names = (WEIGHTS, "config.json", "metrics.json", "README.md")
    hashes = {name: {"size": (folder / name).stat().st_size, "sha256": files.sha256(folder / name)} for name in names}
    files.write_json(folder / MANIFEST, manifest(replace(entry, file=WEIGHTS), hashes))
    return {name: folder / name for name in (*names, MANIFEST)}


def _send(staged: Mapping[str, Path], address: Address, message: str, private: bool) -> Address:
    if address.scheme == "hf":
        return hub.push(staged, address, message, private)
    there = storage.read(str(address.join(MANIFEST)), LARGEST)
    if there not in (None, staged[MANIFEST].read_bytes()):
        raise TransferError(f"{address} holds another publication, which stays as it is. Next: choose another folder.")
    for name, path in staged.items() if there is None else ():
        storage.write(str(address.join(name)), path)  # the manifest is the last: without it nothing is published
    _compare(staged, address)
    return address


def _compare(staged: Mapping[str, Path], address: Address) -> None:
    """Every file as it can be read there, beside what was sent."""
    with tempfile.TemporaryDirectory(prefix="zoo-push-") as folder:
        for name, path in staged.items():
            storage.fetch(str(address.join(name)), Path(folder) / "copy", path.stat().st_size)
            if files.sha256(Path(folder) / "copy") != files.sha256(path):
                raise TransferError(f"{address}: {name} did not arrive as it was sent. Next: push to another folder.")
