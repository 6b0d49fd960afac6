"""The vectors that a model's encoder makes of a user's own inputs, as a file of arrays or a table; never pickle.

The only file that knows pyarrow.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from zoo import files
from zoo.datasets import text
from zoo.errors import InputError, PluginError
from zoo.loading import OUT, open_model

FORMATS = (".npz", ".parquet")


@dataclass(frozen=True)
class Embedded:
    """Vectors, one for each input, or part of one. Shapes: N of them, D numbers."""

    inputs: tuple[str, ...]
    """Paths of files, or sentences, or FILE:NODE for each node of a graph."""
    vectors: Tensor = field(repr=False)
    """(N, D) float32."""
    path: Path | None = None
    """Where they were written."""


def embed(
    reference: str | Path, paths: Sequence[str | Path], *, to: str | Path | None = None, out: str | Path = OUT
) -> Embedded:
    """What a model's encoder makes of files: one vector a line of text, or an image, or a node, or a graph.

    Args:
        reference: "model", "model:tag", a run or an address, as for `load`.
        paths: text files with one input a line for models that take lines, else one file an input.
        to: X.npz, with the arrays `vectors` (N, D) float32 and `inputs` (N,) text, or X.parquet, with such columns.
        out: where runs are looked for by id.

    Raises:
        PluginError: the model has no vectors to give.
        InputError: a file cannot be read, by its name; or `to` has another ending, or its package is missing.
    """
    path = _checked(Path(to)) if to else None
    opened = open_model(reference, Path(out))
    if not opened.model.has("zoo_embed"):
        raise PluginError(f"{opened.model.plugin} has no zoo_embed: it makes no vectors of your own inputs.")
    inputs = [str(item) for item in paths]
    if opened.model.spec.inputs == "lines":
        inputs = [line for item in inputs for line in text.lines(item, InputError)]
    found = opened.model.call("zoo_embed", run=opened.run, inputs=inputs)
    names, vectors = found if isinstance(found, tuple) and len(found) == 2 else (inputs, found)
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != len(names):
        what = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise PluginError(f"{opened.model.plugin}: zoo_embed returned {what}, expected ({len(names)}, D).")
    vectors = vectors.detach().float().cpu()
    if path:
        _write(path, names, vectors)
    return Embedded(tuple(names), vectors, path)


def _checked(path: Path) -> Path:
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(FORMATS)}, for example --to vectors.npz")
    if path.suffix == ".parquet" and not importlib.util.find_spec("pyarrow"):
        raise InputError(
            f"{path}: parquet needs a package that is not installed. Next: pip install 'plugin-zoo[parquet]', "
            f"or --to {path.with_suffix('.npz')}"
        )
    return path


def _write(path: Path, inputs: Sequence[str], vectors: Tensor) -> None:
    """Writes the file whole.

    Raises:
        RunError: see `files.staged`.
    """
    values = vectors.contiguous().numpy()
    with files.staged(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, vectors=values, inputs=np.array(inputs, dtype=np.str_))
            return
        import pyarrow
        import pyarrow.parquet

        rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.ravel()), values.shape[1])
        table = pyarrow.table({"inputs": pyarrow.array(inputs, pyarrow.string()), "vectors": rows})
        pyarrow.parquet.write_table(table, temporary)
