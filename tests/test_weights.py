"""Weights: what is written comes back bit by bit; what is not sound is refused before a model is touched."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import struct
import time
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from zoo import weights
from zoo.errors import HashMismatchError, WeightsCorruptError, WeightsError, WeightsMismatchError


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.out = nn.Linear(3, 5, bias=False)
        self.out.weight = self.embed.weight


def sound(path: Path) -> bytes:
    weights.write(path, {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7)}, {"x": 1})
    return path.read_bytes()


def with_header(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def tensor_header(offsets: list[list[int]]) -> bytes:
    return json.dumps(
        {f"t{i}": {"dtype": "F32", "shape": [1], "data_offsets": o} for i, o in enumerate(offsets)}
    ).encode()


ONE = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
ODD = {
    "zero-size": torch.zeros(0, 3),
    "scalar": torch.tensor(2.5),
    "bfloat16": torch.randn(3).bfloat16(),
    "float8": torch.randn(4).to(torch.float8_e4m3fn),
    "bool": torch.tensor([True, False]),
    "int64": torch.tensor([2**62]),
    "transposed": torch.arange(6.0).view(2, 3).T,
    "channels-last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "slice": torch.arange(10.0)[3:6],
}


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_odd_tensors_survive_bit_by_bit(tmp_path: Path) -> None:
    weights.write(tmp_path / "odd.safetensors", ODD, {"note": "ü"})
    tensors, metadata = weights.read(tmp_path / "odd.safetensors")
    assert metadata == {"note": "ü"}
    assert tensors.keys() == ODD.keys()
    for name, tensor in ODD.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert bits(tensors[name]) == bits(tensor), name


def test_equal_content_gives_equal_files_and_digests(tmp_path: Path) -> None:
    orders = [dict.fromkeys(order, 1) for order in ("abcdef", "fedcba", "badcfe")]
    hashes = {weights.write(tmp_path / f"{i}.safetensors", ODD, metadata) for i, metadata in enumerate(orders)}
    assert len(hashes) == 1
    assert hashes == {hashlib.sha256((tmp_path / "0.safetensors").read_bytes()).hexdigest()}
    assert weights.digest(ODD) == weights.digest(dict(reversed(ODD.items())))
    assert weights.digest(ODD) != weights.digest({**ODD, "scalar": torch.tensor(2.25)})
    assert weights.digest({"a": torch.zeros(2, 3)}) != weights.digest({"a": torch.zeros(3, 2)})


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    model, other = Tied(), Tied()
    weights.write(tmp_path / "tied.safetensors", model.state_dict(), {})
    weights.apply(weights.read(tmp_path / "tied.safetensors")[0], other, "tied")
    assert other.out.weight is other.embed.weight
    assert torch.equal(other.out.weight, model.out.weight)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: struct.pack("<Q", 2**63) + data[8:],
        lambda data: struct.pack("<Q", 100_000_001) + data[8:],
        lambda data: with_header(b"this is no JSON at all", data[8:]),
        lambda data: with_header(b"[1, 2]"),
        lambda data: with_header(b'{"a": 1' + b"[" * 100_000),
        lambda data: with_header(tensor_header([[0, 4], [2, 6]]), bytes(6)),
        lambda data: with_header(tensor_header([[0, 4], [8, 12]]), bytes(12)),
        lambda data: with_header(tensor_header([[0, 4], [4, 80]]), bytes(8)),
        lambda data: with_header(b'{"a":%b,"a":%b}' % (ONE, ONE), bytes(4)),
        lambda data: pickle.dumps({"a": 1}, 4),
    ],
    ids=[
        "empty",
        "short",
        "truncated",
        "trailing",
        "huge",
        "over-limit",
        "no-json",
        "no-object",
        "deep",
        "overlap",
        "hole",
        "beyond",
        "twice",
        "pickle",
    ],
)
def test_damaged_files_are_refused_quickly(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(damage(sound(path)))  # type: ignore[operator]
    begun = time.monotonic()
    with pytest.raises(WeightsCorruptError, match=r"weights\.safetensors is not a sound safetensors file"):
        weights.read(path)
    assert time.monotonic() - begun < 1


def test_a_pickle_is_refused_by_its_name_too(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="pickle, which can run code"):
        weights.read(tmp_path / "model.pt")


def test_a_wrong_hash_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    data = bytearray(sound(path))
    sha256 = hashlib.sha256(data).hexdigest()
    weights.read(path, sha256)
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(HashMismatchError, match=f"expected sha256 {sha256}, got [0-9a-f]{{64}}"):
        weights.read(path, sha256)


def test_every_misfit_is_listed_and_the_model_stays_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = {name: tensor + 1 for name, tensor in before.items()}
    tensors["0.weight"] = torch.zeros(4, 5)
    tensors["1.weight"] = torch.ones(4, dtype=torch.int64)
    tensors["1.bias"] = torch.tensor([0.0, float("nan"), float("inf"), 1.0])
    tensors["2.extra"] = torch.zeros(1)
    del tensors["0.bias"]
    with pytest.raises(WeightsMismatchError) as caught:
        weights.apply(tensors, model, "some.safetensors")
    message = str(caught.value)
    for words in (
        "some.safetensors does not fit",
        "0.weight: expected (4, 3) float32, got (4, 5) float32",
        "1.weight: expected (4,) float32, got (4,) int64",
        "1.bias: 2 of 4 values are NaN or infinite",
        "unexpected 2.extra",
        "missing 0.bias",
    ):
        assert words in message
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_values_that_are_not_finite_can_be_asked_for() -> None:
    model = nn.Linear(2, 1)
    tensors = {"weight": torch.tensor([[1.0, float("nan")]]), "bias": torch.tensor([float("-inf")])}
    with pytest.raises(WeightsMismatchError, match="1 of 2 values are NaN"):
        weights.apply(tensors, model, "w")
    weights.apply(tensors, model, "w", finite=False)
    assert weights.not_finite(model.weight) == 1


def test_half_precision_is_no_silent_cast() -> None:
    model = nn.Linear(2, 2)
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsMismatchError, match="float16"):
        weights.apply(tensors, model, "w")
    with pytest.raises(WeightsMismatchError, match="float16"):
        weights.apply(weights.widen(tensors, "bfloat16"), model, "w")


def test_parameters_are_stored_narrow_and_buffers_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    tensors = weights.narrow(model, "float16")
    assert {name for name, tensor in tensors.items() if tensor.dtype == torch.float16} == dict(
        model.named_parameters()
    ).keys()
    weights.apply(weights.widen(tensors, "float16"), model, "w")
    assert torch.equal(weights.narrow(model, "float16")["0.weight"], tensors["0.weight"])
    with torch.no_grad():
        model.get_parameter("0.weight").fill_(1e6)
    with pytest.raises(WeightsMismatchError, match="NaN or infinite"):
        weights.check(weights.widen(weights.narrow(model, "float16"), "float16"), model, "w")


def test_what_the_library_refuses_is_refused_and_the_rest_is_read_as_it_reads_it(tmp_path: Path) -> None:
    """Our reader beside the library's on a thousand files with a few bytes changed."""
    draw, path, outcomes = random.Random(0), tmp_path / "w.safetensors", set()
    weights.write(path, {**ODD, "a": torch.arange(4.0)}, {"x": 1})
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(draw.choice((1, 1, 2, 5))):
            place = draw.randrange(8, 8 + length) if draw.random() < 0.95 else draw.randrange(len(data))
            data[place] = draw.choice(b'0123456789[]{},:"FIU_' if draw.random() < 0.8 else range(256))
        path.write_bytes(data)
        try:
            theirs = safetensors.torch.load(bytes(data))
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError):
            theirs = None
        try:
            ours = weights.read(path)[0]
        except WeightsCorruptError:
            ours = None
        outcomes.add((ours is None, theirs is None))
        assert ours is None or theirs is not None, bytes(data[: 8 + length])
        if ours is not None and theirs is not None:
            assert {name: bits(tensor) for name, tensor in ours.items()} == {n: bits(t) for n, t in theirs.items()}
    assert {(True, True), (False, False)} <= outcomes
