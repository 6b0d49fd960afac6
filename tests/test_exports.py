"""Exports: what another program computes from them is what the model computes, and the proof notices when it is not."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import exports, weights
from zoo.errors import ExportError, UnknownNameError
from zoo.runs import Run

SPEC = zoo.ModelSpec("toy", "test", "a toy", zoo.Config, ("toy",), ())
IMAGES = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))
EXPORT = zoo.ExportSpec({"image": IMAGES}, ("logits",), {"image": {0: "batch"}})


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(48, 4)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.out(self.norm(self.conv(image)).relu().flatten(1))
        return logits


@pytest.fixture
def run() -> Run:
    torch.manual_seed(0)
    made = Run(SPEC, zoo.Config(), zoo.DatasetInfo("toy", (1, 6, 6)))
    made.model = Toy()
    made.model(IMAGES)  # moves the norm's running mean off zero
    return made


WITHOUT_THE_ZOO = """
import sys, torch
sys.modules["zoo"] = None  # an import of the zoo would fail
path, sample, out = sys.argv[1:]
x = torch.load(sample, weights_only=True)
if path.endswith(".pt2"):
    y = torch.export.load(path).module()(image=x)
else:
    import onnxruntime
    y = torch.from_numpy(onnxruntime.InferenceSession(path).run(None, {"image": x.numpy()})[0])
torch.save(y, out)
"""


@pytest.mark.parametrize("format", ["pt2", "onnx"])
def test_an_export_runs_in_a_fresh_process_without_the_zoo(run: Run, tmp_path: Path, format: str) -> None:
    certificate = exports.write(run, EXPORT, format, tmp_path, {})
    x = torch.rand(5, 1, 6, 6)
    torch.save(x, tmp_path / "x.pt")
    command = [
        sys.executable,
        "-c",
        WITHOUT_THE_ZOO,
        certificate["path"],
        str(tmp_path / "x.pt"),
        str(tmp_path / "y.pt"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    y = torch.load(tmp_path / "y.pt", weights_only=True)
    with torch.no_grad():
        expected = run.model.eval()(x)
    if format == "pt2":
        assert torch.equal(y, expected)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


def test_safetensors_hold_the_very_weights_and_the_metadata(run: Run, tmp_path: Path) -> None:
    certificate = exports.write(run, EXPORT, "safetensors", tmp_path, {"model": "toy"})
    tensors, metadata = weights.read(Path(certificate["path"]), certificate["sha256"])
    assert metadata == {"model": "toy"}
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in run.model.state_dict().items())


def test_the_certificate_says_what_was_compared(run: Run, tmp_path: Path) -> None:
    certificate = exports.write(run, EXPORT, "pt2", tmp_path, {})
    kept = json.loads((tmp_path / "toy.pt2.json").read_text())
    assert kept == {key: value for key, value in certificate.items() if key != "path"}
    assert kept["compared"] == {"sizes": [1, 2, 7], "largest_difference": 0.0, "allowed": 0.0}
    assert kept["control"]["largest_difference"] > 0
    assert kept["size"] == (tmp_path / "toy.pt2").stat().st_size
    assert kept["versions"]["torch"]


@pytest.mark.parametrize("format", ["safetensors", "pt2", "onnx"])
def test_a_file_that_computes_something_else_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    writer = getattr(exports, f"_{format}")

    def from_another_model(model: nn.Module, *rest: object) -> exports.Function:
        other = copy.deepcopy(model)
        next(iter(other.parameters())).data.view(-1)[0] += 0.5
        return writer(other, *rest)  # type: ignore[no-any-return]

    monkeypatch.setattr(exports, f"_{format}", from_another_model)
    with pytest.raises(ExportError, match="computes something else"):
        exports.write(run, EXPORT, format, tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failing_export(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.write(run, EXPORT, "pt2", tmp_path, {})
    before = (tmp_path / "toy.pt2").read_bytes()
    monkeypatch.setattr(exports, "_difference", lambda expected, got: float("nan"))
    with pytest.raises(ExportError):
        exports.write(run, EXPORT, "pt2", tmp_path, {})
    assert (tmp_path / "toy.pt2").read_bytes() == before


def test_the_comparison_sees_shapes_and_nan() -> None:
    one = [torch.ones(2, 2)]
    assert exports._difference(one, one) == 0
    assert exports._difference(one, [torch.ones(2, 3)]) == float("inf")
    assert exports._difference(one, [torch.full((2, 2), float("nan"))]) > 1e300
    assert exports._difference([torch.full((1,), 100.0)], [torch.full((1,), 101.0)]) == pytest.approx(0.01)


def test_unknown_formats_and_missing_packages(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'onnx'"):
        exports.write(run, EXPORT, "onx", tmp_path, {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"pip install 'plugin-zoo\[onnx\]'"):
        exports.write(run, EXPORT, "onnx", tmp_path, {})
