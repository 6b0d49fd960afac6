"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """True class down, predicted class across; colour on a log scale, so that single mistakes are seen beside hits."""
    matrix = np.asarray(counts)
    figure = Figure(figsize=(5.6, 5.4), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.where(matrix, matrix, np.nan), cmap="Blues", norm=LogNorm(1, max(2, matrix.max())))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if row == column else "tab:red"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=11)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
