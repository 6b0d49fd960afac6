"""Weights as safetensors: written whole, read only when sound, and copied into a model only when every tensor fits.

The only file that knows safetensors. There is no pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from zoo import files
from zoo.errors import HashMismatchError, WeightsCorruptError, WeightsError, WeightsMismatchError

LARGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
}
METADATA_KEY = "zoo"
"""One key with sorted JSON: safetensors writes several keys in random order, and equal tensors would differ in hash."""


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Writes tensors and JSON metadata whole, and returns the file's sha256. Equal content gives equal bytes.

    Tied tensors are written once each and stay tied in the model that they are loaded into.

    Raises:
        RunError: the file cannot be written; what was there before is untouched.
    """
    plain = {name: _own(tensor) for name, tensor in tensors.items()}
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = safetensors.torch.save(plain, {METADATA_KEY: text})
    files.write(path, data)
    return hashlib.sha256(data).hexdigest()


def read(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON metadata of a file, checked before one tensor is made; they are views of one buffer.

    The bytes that are hashed are the bytes that are parsed. `sha256=None` is for files that carry their own digest
    (checkpoints); published weights always have one.

    Raises:
        WeightsError: the file cannot be read, or is no safetensors file at all.
        WeightsCorruptError: it is truncated, has a false header, or bytes that no tensor owns.
        HashMismatchError: its sha256 is not the one expected.
    """
    try:
        with path.open("rb") as file:
            header = _header(path, path.stat().st_size, file.read(8), file.read)
            file.seek(0)
            data = np.fromfile(file, np.uint8)
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror or error}.") from error
    if sha256 is not None and (got := hashlib.sha256(data.data).hexdigest()) != sha256:
        raise HashMismatchError(
            f"{path} is not the file that was published: expected sha256 {sha256}, got {got}. Nothing was loaded."
        )
    try:
        metadata = json.loads(header.pop("__metadata__", {}).get(METADATA_KEY, "{}"))
        return _tensors(torch.from_numpy(data)[8 + int.from_bytes(data[:8].tobytes(), "little") :], header), metadata
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        raise _corrupt(path, str(error)) from error


def _tensors(data: Tensor, header: Mapping[str, Any]) -> dict[str, Tensor]:
    """Views into the bytes, as the header says: https://huggingface.co/docs/safetensors, "Format".

    The library's own reader copies the bytes once more, or maps the file, whose bytes may change after the hash.

    Raises:
        ValueError: an unknown dtype, or offsets that overlap, leave a hole, or do not fit dtype and shape.
    """
    found: dict[str, Tensor] = {}
    end = 0
    for name, item in sorted(header.items(), key=lambda pair: pair[1]["data_offsets"]):
        dtype, shape, (start, stop) = _DTYPES[item["dtype"]], item["shape"], item["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
            raise ValueError(f"{name}: shape {shape}, offsets {start} to {stop}")
        if start != end or stop - start != math.prod(shape) * dtype.itemsize or stop > len(data):
            raise ValueError(f"{name}: offsets {start} to {stop} are not those of {item['dtype']} {shape} after {end}")
        piece = data[start:stop]
        aligned = piece if piece.storage_offset() % dtype.itemsize == 0 else piece.clone()
        found[name] = aligned.view(dtype).view(shape) if stop > start else torch.empty(shape, dtype=dtype)
        end = stop
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes that no tensor owns")
    return found


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, dtypes, shapes and values: equal for equal tensors, however they lie in a file."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = _own(tensors[name])
        total.update(f"{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def check(tensors: Mapping[str, Tensor], model: nn.Module, what: str, finite: bool = True) -> None:
    """Compares all names, shapes and dtypes with a model, which is not touched; values have to be finite.

    Raises:
        WeightsMismatchError: listing every difference at once.
    """
    wanted = model.state_dict()
    faults = [f"missing {name} {_describe(wanted[name])}" for name in sorted(wanted.keys() - tensors.keys())]
    faults += [f"unexpected {name} {_describe(tensors[name])}" for name in sorted(tensors.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & tensors.keys()):
        tensor = tensors[name]
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            faults.append(f"{name}: expected {_describe(wanted[name])}, got {_describe(tensor)}")
        elif finite and (bad := not_finite(tensor)):
            faults.append(f"{name}: {bad} of {tensor.numel()} values are NaN or infinite")
    if faults:
        raise WeightsMismatchError(f"{what} does not fit the model; nothing was loaded:\n  " + "\n  ".join(faults))


def apply(tensors: Mapping[str, Tensor], model: nn.Module, what: str, finite: bool = True) -> None:
    """Copies tensors into a model, all of them or none.

    Raises:
        WeightsMismatchError: see `check`.
    """
    check(tensors, model, what, finite)
    model.load_state_dict(dict(tensors), strict=True)


def narrow(model: nn.Module, dtype: str) -> dict[str, Tensor]:
    """A model's tensors with its float32 parameters rounded to a smaller dtype, by name; buffers stay as they are."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    wide = {name for name, parameter in parameters.items() if parameter.dtype == torch.float32}
    to = getattr(torch, dtype)
    return {name: tensor.to(to) if name in wide else tensor for name, tensor in model.state_dict().items()}


def widen(tensors: Mapping[str, Tensor], dtype: str) -> dict[str, Tensor]:
    """The inverse of `narrow`, without loss: what is stored as that dtype becomes float32, nothing else."""
    stored = getattr(torch, dtype)
    return {name: tensor.float() if tensor.dtype == stored else tensor for name, tensor in tensors.items()}


def not_finite(tensor: Tensor) -> int:
    """How many values of a tensor are NaN or infinite."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return 0
    if tensor.is_floating_point() and tensor.element_size() > 1:
        low, high = torch.aminmax(tensor)  # one pass, no copy; NaN wins over every number
        if math.isfinite(low.item()) and math.isfinite(high.item()):
            return 0
    wide = tensor.float() if tensor.element_size() == 1 else tensor  # 8-bit floats have no isfinite
    return int((~torch.isfinite(wide)).sum())


def _own(tensor: Tensor) -> Tensor:
    """The values in memory of their own, row-major: safetensors refuses shared storage."""
    plain = tensor.detach().cpu().contiguous()
    shared = plain.untyped_storage().nbytes() != plain.numel() * plain.element_size()
    return plain.clone() if shared or plain.data_ptr() == tensor.data_ptr() else plain


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _header(path: Path, size: int, first: bytes, read_more: Callable[[int], bytes]) -> dict[str, Any]:
    if first[:2] in (b"PK", b"\x80\x02", b"\x80\x04") and path.suffix != ".safetensors":
        raise WeightsError(f"{path} looks like a pickle, which can run code when loaded. Only safetensors are read.")
    length = int.from_bytes(first, "little")
    if len(first) < 8 or length > min(size - 8, LARGEST_HEADER):
        raise _corrupt(path, f"its header claims {length} bytes, the file has {size}")
    try:
        header = json.loads(read_more(length), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise _corrupt(path, "its header is no JSON object")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _corrupt(path: Path, reason: str) -> WeightsCorruptError:
    return WeightsCorruptError(
        f"{path} is not a sound safetensors file: {reason}. Nothing was loaded.\n"
        "Next: fetch or write it again; a file that another program made must be converted with safetensors."
    )
