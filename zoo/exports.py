"""Exports that carry their proof: each file is compared with the original model before it gets its name.

Formats: safetensors (weights), pt2 (torch.export; runs without the zoo) and onnx (extra `[onnx]`). Beside each lies a
certificate, `<file>.json`: its sha256, what was compared, the largest difference, and the versions.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import io
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import environment, files, weights
from zoo.errors import ExportError, UnknownNameError
from zoo.loading import OUT, open_model
from zoo.runs import Run
from zoo.spec import ExportSpec

FORMATS = {"safetensors": ".safetensors", "pt2": ".pt2", "onnx": ".onnx"}
TOLERANCE = {"safetensors": 0.0, "pt2": 0.0, "onnx": 1e-4}
"""Largest absolute difference, relative to the largest output where that is above 1. Bitwise where torch computes."""
BATCHES = (1, 2, 7)
"""Sizes given to every dynamic axis: one, few, and one that nothing divides."""

Function = Callable[[dict[str, Tensor]], list[Tensor]]


def export(
    reference: str | Path,
    formats: Sequence[str] = (),
    *,
    to: str | Path | None = None,
    out: str | Path = OUT,
) -> list[dict[str, Any]]:
    """Writes a model in the formats asked for, each compared with the original before it gets its name.

    Args:
        reference: "model", "model:tag" or a run, as for `load`.
        formats: of "safetensors", "pt2" and "onnx"; all that the model has, unless named.
        to: the folder for the files, under `exports/` unless named.
        out: where runs are looked for by id.

    Returns:
        The certificate of each file, with its path.

    Raises:
        UnknownNameError: the model does not come in a format.
        ExportError: a format's packages are missing, or a file does not compute what the model does.
    """
    opened = open_model(reference, Path(out))
    spec = opened.model.expect("zoo_export", ExportSpec, run=opened.run)
    folder = Path(to) if to else Path("exports") / opened.label
    made = []
    for format in formats or opened.model.spec.exports:
        made.append(write(opened.run, spec, format, folder, opened.metadata))
        if format != "safetensors":  # which holds all weights already
            made += [write(opened.run, p, format, folder, opened.metadata, part) for part, p in spec.parts.items()]
    return made


def write(
    run: Run, spec: ExportSpec, format: str, folder: Path, metadata: Mapping[str, Any], part: str = ""
) -> dict[str, Any]:
    """Writes one format of a model, or of a part of it, in eval mode and returns its certificate.

    Raises:
        UnknownNameError: the model does not come in that format.
        ExportError: the format's packages are missing, or the file does not compute what the model does.
    """
    if format not in run.spec.exports or format not in FORMATS:
        raise UnknownNameError(f"export format of {run.spec.name}", format, run.spec.exports)
    if format == "onnx" and not all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        raise ExportError("export to onnx needs packages that are not installed. Next: pip install 'plugin-zoo[onnx]'")
    model = (spec.module or run.model).cpu().float().eval()
    model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    path = folder / f"{run.spec.name}{part and '-'}{part}{FORMATS[format]}"
    writer = {"safetensors": _safetensors, "pt2": _pt2, "onnx": _onnx}[format]
    samples = [_sized(spec, size) for size in BATCHES]
    original = _function(model)
    with files.staged(path) as temporary:
        exported = writer(model, spec, temporary, metadata)
        differences = [_difference(original(sample), exported(sample)) for sample in samples]
        worst = max(differences)
        control = _difference(_function(_perturbed(model, samples[1]))(samples[1]), exported(samples[1]))
        if not worst <= TOLERANCE[format]:
            raise ExportError(
                f"{format} of {run.spec.name} computes something else: largest difference {worst:.3g}, allowed "
                f"{TOLERANCE[format]:.3g}. No file was written. Next: please report it, with zoo --version."
            )
        if control <= TOLERANCE[format]:
            raise ExportError(f"{format} of {run.spec.name}: the comparison does not notice a changed weight.")
        certificate = {
            "model": run.spec.name,
            "format": format,
            "file": path.name,
            "size": temporary.stat().st_size,
            "sha256": hashlib.sha256(temporary.read_bytes()).hexdigest(),
            "inputs": {name: list(tensor.shape) for name, tensor in spec.inputs.items()},
            "dynamic": {name: {str(axis): word for axis, word in axes.items()} for name, axes in spec.dynamic.items()},
            "outputs": list(spec.outputs),
            "compared": {"sizes": list(BATCHES), "largest_difference": worst, "allowed": TOLERANCE[format]},
            "control": {"changed": "one weight by its own size and 1", "largest_difference": control},
            "versions": environment.versions("onnx", "onnxruntime"),
            "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
    files.write_json(path.with_name(f"{path.name}.json"), certificate)
    return {"path": str(path), **certificate}


def _safetensors(model: nn.Module, spec: ExportSpec, path: Path, metadata: Mapping[str, Any]) -> Function:
    weights.write(path, model.state_dict(), metadata)
    blank = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in blank.state_dict().values():
            tensor.zero_()
    weights.apply(weights.read(path)[0], blank, str(path))
    return _function(blank)


def _pt2(model: nn.Module, spec: ExportSpec, path: Path, metadata: Mapping[str, Any]) -> Function:
    buffer = io.BytesIO()
    with _quietly():
        torch.export.save(_traced(model, spec), buffer)
        path.write_bytes(buffer.getvalue())
        loaded = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return _function(loaded)


def _onnx(model: nn.Module, spec: ExportSpec, path: Path, metadata: Mapping[str, Any]) -> Function:
    import onnxruntime

    with _quietly():
        program = torch.onnx.export(
            _traced(model, spec),
            dynamo=True,
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            verbose=False,
        )
        assert program is not None
        program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(sample: dict[str, Tensor]) -> list[Tensor]:
        found = session.run(None, {name: tensor.numpy() for name, tensor in sample.items()})
        return [torch.from_numpy(array) for array in found]

    return run


def _traced(model: nn.Module, spec: ExportSpec) -> torch.export.ExportedProgram:
    dynamic = {
        name: {axis: torch.export.Dim(word) for axis, word in spec.dynamic.get(name, {}).items()}
        for name in spec.inputs
    }
    with torch.no_grad():
        return torch.export.export(model, (), dict(spec.inputs), dynamic_shapes=dynamic, strict=False)


def _function(model: nn.Module) -> Function:
    def run(sample: dict[str, Tensor]) -> list[Tensor]:
        with torch.no_grad():
            found = model(**sample)
        return [found] if isinstance(found, Tensor) else list(found)

    return run


def _sized(spec: ExportSpec, size: int) -> dict[str, Tensor]:
    """The example inputs with every dynamic axis brought to a size, by repeating them."""
    sized = {}
    for name, tensor in spec.inputs.items():
        for axis in spec.dynamic.get(name, {}):
            tensor = tensor.index_select(axis, torch.arange(size) % tensor.shape[axis])
        sized[name] = tensor.contiguous()
    return sized


def _difference(expected: list[Tensor], got: list[Tensor]) -> float:
    if [tensor.shape for tensor in expected] != [tensor.shape for tensor in got]:
        return float("inf")
    pairs = list(zip(expected, got, strict=True))
    scale = max(1.0, *(float(tensor.abs().max()) for tensor in expected))
    worst = max(float((a.double() - b.double()).abs().nan_to_num(float("inf")).max()) for a, b in pairs)
    return worst / scale


def _perturbed(model: nn.Module, sample: dict[str, Tensor]) -> nn.Module:
    """The control: a copy with one weight changed, the last that the outputs depend on; the comparison must notice."""
    expected = _function(model)(sample)
    for number in reversed(range(len(list(model.parameters())))):
        changed = copy.deepcopy(model)
        with torch.no_grad():
            values = list(changed.parameters())[number].view(-1)
            values[0] = 2 * values[0] + 1
        if _difference(expected, _function(changed)(sample)) > 0:
            break
    return changed


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporters print to stdout and warn of their own future; neither concerns who exports."""
    nowhere = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        yield
