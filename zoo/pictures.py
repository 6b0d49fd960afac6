"""Pictures that several models draw: rows and grids of images, points in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor


def rows(images: Sequence[Tensor], names: Sequence[str], columns: Sequence[str], title: str) -> Figure:
    """Rows of images, each (N, 1, H, W) in [0, 1], with the row's name at the left and a word above each column."""
    from matplotlib.figure import Figure

    count = len(images[0])
    figure = Figure(figsize=(0.75 * count + 1.2, 0.8 * len(images) + 0.6), layout="constrained")
    axes = figure.subplots(len(images), count, squeeze=False)
    for line, (row, name) in enumerate(zip(images, names, strict=True)):
        for column, image in enumerate(row.clamp(0, 1)):
            cell = axes[line][column]
            cell.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1)
            cell.set_xticks([])
            cell.set_yticks([])
            cell.spines[:].set_visible(False)
            if column == 0:
                cell.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
            if line == 0 and column < len(columns):
                cell.set_title(columns[column], fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def grid(images: Tensor, columns: int, title: str) -> Figure:
    """(N, 1, H, W) in [0, 1], edge to edge, `columns` in a line."""
    from matplotlib.figure import Figure

    count, _, height, width = images.shape
    lines = -(-count // columns)
    canvas = images.new_zeros(lines * height, columns * width)
    for position, image in enumerate(images.clamp(0, 1)):
        line, column = divmod(position, columns)
        canvas[line * height : (line + 1) * height, column * width : (column + 1) * width] = image[0]
    figure = Figure(figsize=(0.5 * columns, 0.5 * lines + 0.4), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(canvas.numpy(), cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    return figure


def scatter(points: Tensor, labels: Tensor, classes: Sequence[str], shares: Sequence[float], title: str) -> Figure:
    """(N, 2) points coloured by class, (N,); `shares` are those of the variance that the two axes explain."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.add_subplot()
    size = min(16.0, max(3.0, 6000 / max(1, len(points))))
    colours = colormaps["tab10" if len(classes) <= 10 else "tab20"]
    for number, name in enumerate(classes):
        own = points[labels == number]
        axes.scatter(own[:, 0], own[:, 1], s=size, alpha=0.6, color=colours(number % 20), label=name, linewidths=0)
    axes.set_xlabel(f"first component ({shares[0]:.1%} of the variance)")
    axes.set_ylabel(f"second component ({shares[1]:.1%})")
    axes.legend(frameon=False, markerscale=1.5, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11)
    return figure


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """True class down, predicted class across; colour on a log scale, so that single mistakes are seen beside hits."""
    import numpy as np
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    matrix = np.asarray(counts)
    figure = Figure(figsize=(2.4 + 0.6 * len(classes), 2.0 + 0.6 * len(classes)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.where(matrix, matrix, np.nan), cmap="Blues", norm=LogNorm(1, max(2, matrix.max())))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if row == column else "tab:red"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right"} if max(map(len, classes)) > 2 else {}
    axes.set_xticks(range(len(classes)), classes, **slanted)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
