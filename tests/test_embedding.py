"""zoo embed: one vector an input, in order, in files that any other program reads and that hold no pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli
from PIL import Image

import zoo
from zoo import datasets, embedding
from zoo.errors import InputError

LINES = [
    "The old cat slept.",
    "Xyzzy frobnicates!",
    "",
    "Anna found a caf\u00e9 in the garden today.",
    "The old cat slept.",
]
TEXT: dict[str, Any] = {"embedding_dim": 8, "encoder_dim": 8, "hidden_dim": 8, "latent_dim": 4, "epochs": 1}
IMAGE: dict[str, Any] = {"channels": (4, 8), "blocks": (0, 0), "latent_dim": 8, "epochs": 1, "precision": "float32"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of lstm-ae."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "lines.txt").write_text(
        "\n".join(f"The old cat slept {word}." for word in ("here", "there", "well", "on"))
    )
    config = {**TEXT, "precision": "float32"}
    trained = zoo.train("lstm-ae", f"text:{folder / 'lines.txt'}", config=config, out=folder)
    assert trained is not None
    return trained.run


@pytest.fixture(scope="module", params=["conv-ae", "vae"])
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an autoencoder of images."""
    trained = zoo.train(request.param, "digits", config=IMAGE, out=tmp_path_factory.mktemp("images"))
    assert trained is not None
    return trained.run


def test_each_line_gets_a_vector_in_its_place(texts: Path) -> None:
    Path("a.txt").write_text("\n".join(LINES), encoding="utf-8")
    Path("b.txt").write_text("one\n", encoding="utf-8")
    found = zoo.embed(texts, ["a.txt", "b.txt"])
    assert found.inputs == (*[line for line in LINES if line], "one")
    assert found.vectors.shape == (5, 4)
    assert torch.equal(found.vectors[0], found.vectors[3])
    assert (found.vectors[0] - found.vectors[2]).abs().max() > 1e-4
    assert torch.isfinite(found.vectors[1]).all(), "a sentence of unknown words alone has a vector too"
    assert found.path is None


def test_files_hold_what_was_embedded(texts: Path, json_of: Callable[..., Any]) -> None:
    Path("a.txt").write_text("\n".join(LINES), encoding="utf-8")
    expected = zoo.embed(texts, ["a.txt"])
    said = json_of("embed", str(texts), "a.txt", "--to", "v.npz")
    assert (said["n"], said["dim"], said["path"]) == (4, 4, "v.npz")
    with np.load("v.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"vectors", "inputs"}
        assert np.array_equal(arrays["vectors"], expected.vectors.numpy())
        assert arrays["vectors"].dtype == np.float32
        assert arrays["inputs"].tolist() == list(expected.inputs)
    parquet = pytest.importorskip("pyarrow.parquet", reason="parquet needs pyarrow")
    json_of("embed", str(texts), "a.txt", "--out", "v.parquet")
    table = parquet.read_table("v.parquet").to_pydict()
    assert table["inputs"] == list(expected.inputs)
    assert np.array_equal(np.array(table["vectors"], dtype=np.float32), expected.vectors.numpy())


def test_each_image_gets_its_latents(images: Path) -> None:
    pixels = datasets.load("digits").split("test")[0][:3]
    paths = [f"{number}.png" for number in range(3)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image[0].numpy()).save(path)
    with torch.inference_mode():
        expected = zoo.load(images)(pixels.float() / 255)[1]
    torch.testing.assert_close(zoo.embed(images, paths).vectors, expected)
    with pytest.raises(InputError, match=r"none\.png: there is no such file"):
        zoo.embed(images, [*paths, "none.png"])


BAD = {
    "empty.txt": (b"", "no sentence in it"),
    "nul.txt": (b"a\nb\0c\n", "line 2 holds a NUL byte"),
    "binary.txt": (bytes(range(1, 256)), "is not UTF-8"),
    "long.txt": (b"a" * 10_485_760, "line 1 has 10,485,760 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_and_nothing_is_written(texts: Path, name: str) -> None:
    data, reason = BAD[name]
    Path(name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: .*{reason}"):
        zoo.embed(texts, [name], to="v.npz")
    assert not Path("v.npz").exists()


def test_what_the_command_line_says_when_it_cannot(texts: Path, cli: Cli, tmp_path: Path) -> None:
    Path("a.txt").write_text("one\n")
    assert "none.txt: there is no such file" in cli("embed", str(texts), "none.txt", expect=1).stderr
    assert (
        "v.csv: expected a name that ends in .npz or .parquet"
        in cli("embed", str(texts), "a.txt", "--to", "v.csv", expect=1).stderr
    )
    assert "it makes no vectors" in cli("embed", "cnn-mnist:digits", "a.txt", expect=1).stderr


def test_parquet_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'plugin-zoo\[parquet\]'.*--to v\.npz"):
        embedding.embed("lstm-ae", [], to="v.parquet")
