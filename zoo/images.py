"""A user's image file as what a model was trained on: grey, light on dark, cropped to its ink, scaled and centred."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from zoo import files
from zoo.errors import InputError
from zoo.spec import DatasetInfo

Pixels = npt.NDArray[np.float32]
INK = 0.25
"""Share of the full contrast from which a pixel counts as ink."""
LEAST_CONTRAST = 0.08
"""Of the whole range; an image with less is blank."""


def prepare(path: str, info: DatasetInfo) -> tuple[Pixels, str]:
    """An image file as a model of a data set takes it, (H, W) in [0, 1], and what had to be done to it, in words.

    A grey image of the right size is taken as it is. Any other is read by `read_grey` and `centred` like the data.

    Raises:
        InputError: see `read_grey`.
    """
    _, height, width = info.shape
    with _reading(path), Image.open(path) as image:
        size, mode = image.size, image.mode
        if mode == "L" and size == (width, height):
            return np.asarray(image, dtype=np.float32) / np.float32(255), ""
    fitted = centred(read_grey(path), height, info.extra["ink_box"], info.extra["centre"])
    return fitted, f"  (converted: {size[0]}x{size[1]} {mode} to {width}x{height} grey, light on dark)"


def save(pixels: Pixels, path: Path) -> Path:
    """Writes (H, W) in [0, 1] as a grey PNG, whole.

    Raises:
        RunError: see `files.staged`.
    """
    with files.staged(path) as temporary:
        Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8)).save(temporary, format="PNG")
    return path


def read_grey(path: str) -> Pixels:
    """An image file as (H, W) in [0, 1], light ink on a dark ground, stretched to the full range.

    Any format that Pillow reads, any size, colour or transparency (put on white), turned as its EXIF data say.

    Raises:
        InputError: the file is missing, no image, damaged, too large, or blank.
    """
    with _reading(path), Image.open(path) as image:
        turned = ImageOps.exif_transpose(image).convert("RGBA")
        ground = Image.new("RGBA", turned.size, "white")
        grey = np.asarray(Image.alpha_composite(ground, turned).convert("L"), dtype=np.float32) / 255
    border = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    ink = (border - grey) if border > 0.5 else (grey - border)
    top = float(np.quantile(ink, 1 - min(0.005, 8 / ink.size)))
    if top < LEAST_CONTRAST:
        raise InputError(f"{path}: blank; expected one digit that stands out from its ground.")
    return np.clip(ink / top, 0, 1)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Says in the zoo's words why a file is no image."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Expected a PNG or JPEG image.") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large to be read safely ({error}).") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}). Expected PNG or JPEG.") from None


def centred(grey: Pixels, size: int, box: int, centre: str) -> Pixels:
    """The ink of an image, scaled into a box and put in the middle of (size, size), as MNIST's makers did it.

    Args:
        grey: (H, W) in [0, 1], light on dark.
        size: side of the result in pixels.
        box: longer side of the ink in the result.
        centre: "mass" puts the ink's centre of mass in the middle, "box" the box itself.
    """
    rows, columns = (np.flatnonzero((grey > INK).any(axis=axis)) for axis in (1, 0))
    ink = Image.fromarray(grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = box / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    small = np.asarray(ink.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32).clip(0, 1)
    if centre == "mass":
        down, across = ((small.sum(axis=axis) @ np.arange(n) / small.sum()) for axis, n in ((1, height), (0, width)))
        top, left = round(size / 2 - 0.5 - down), round(size / 2 - 0.5 - across)
    else:
        top, left = (size - height) // 2, (size - width) // 2
    top, left = min(max(top, 0), size - height), min(max(left, 0), size - width)
    result = np.zeros((size, size), dtype=np.float32)
    result[top : top + height, left : left + width] = small
    return result
