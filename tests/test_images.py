"""A user's image files: any size and ground; what is no image is refused by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.errors import InputError
from zoo.images import centred, read_grey


def bar(size: tuple[int, int], light: int, dark: int) -> Image.Image:
    """An upright bar of `light` on `dark`, off the middle."""
    image = Image.new("L", size, dark)
    image.paste(light, (size[0] // 8, size[1] // 4, size[0] // 4, size[1] // 4 * 3))
    return image


@pytest.mark.parametrize(("light", "dark"), [(255, 0), (0, 255), (90, 200), (130, 40)])
@pytest.mark.parametrize("size", [(28, 28), (640, 480), (33, 90)])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_any_size_ground_and_contrast_give_the_same_digit(
    tmp_path: Path, light: int, dark: int, size: tuple[int, int], kind: str
) -> None:
    path = tmp_path / f"image.{kind}"
    bar(size, light, dark).save(path, quality=95) if kind == "jpeg" else bar(size, light, dark).save(path)
    digit = centred(read_grey(str(path)), 28, 20, "mass")
    assert digit.shape == (28, 28)
    rows, columns = np.flatnonzero((digit > 0.5).any(1)), np.flatnonzero((digit > 0.5).any(0))
    assert 19 <= rows[-1] - rows[0] + 1 <= 20
    assert abs((rows[0] + rows[-1]) / 2 - 13.5) <= 1
    assert abs((columns[0] + columns[-1]) / 2 - 13.5) <= 1
    assert digit[0].max() == digit[-1].max() == 0


def test_transparency_and_colour_are_put_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (25, 10, 35, 50))
    image.save(tmp_path / "clear.png")
    grey = read_grey(str(tmp_path / "clear.png"))
    assert grey[30, 30] == 1
    assert grey[0, 0] == 0


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    image = bar((40, 80), 255, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_grey(str(tmp_path / "turned.jpg")).shape == (40, 80)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "cannot be read as an image"), (b"%PDF-1.4 no image", "cannot be read"), (None, "no such file")],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "notes.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"notes\.png: .*{words}"):
        read_grey(str(path))


def test_cut_short_huge_and_blank_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), dtype=np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"cut\.png"):
        read_grey(str(tmp_path / "cut.png"))
    Image.new("L", (50, 50), 128).save(tmp_path / "blank.png")
    with pytest.raises(InputError, match=r"blank\.png: blank"):
        read_grey(str(tmp_path / "blank.png"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="too large"):
        read_grey(str(whole))
