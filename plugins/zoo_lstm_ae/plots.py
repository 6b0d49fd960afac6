"""The latents in two dimensions, and the figures by length."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

import zoo
from zoo import pictures
from zoo.components import Components
from zoo_lstm_ae.evaluation import latents, sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 3000
GROUPS = 8
"""First words, or ranges of lengths, with a colour of their own."""


def draw(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """Pictures by name."""
    found = sentences(run, run.split)[:POINTS]
    vectors = latents(run, found)
    axes = Components.of(vectors, 2)
    points = axes.project(vectors)
    about = f"{run.spec.name} on {run.data.info.name} ({run.split}): latents by"
    lengths, spans = by_length([len(sentence) for sentence in found])
    firsts, words = by_first_word([sentence[0] for sentence in found])
    return {
        f"latents-by-length-{run.split}": pictures.scatter(points, lengths, spans, axes.shares, f"{about} length"),
        f"latents-by-first-word-{run.split}": pictures.scatter(
            points, firsts, words, axes.shares, f"{about} first word"
        ),
        f"by-length-{run.split}": figures_by_length(results, f"{run.spec.name} on {run.data.info.name} ({run.split})"),
    }


def by_length(lengths: list[int]) -> tuple[torch.Tensor, list[str]]:
    """(group of each sentence, names of the groups): ranges of lengths, each with about as many sentences."""
    values = torch.tensor(lengths)
    cuts = sorted({sorted(lengths)[len(lengths) * k // GROUPS] for k in range(1, GROUPS)} - {min(lengths)})
    edges = [min(lengths), *cuts, max(lengths) + 1]
    names = [f"{low} words" if low == high - 1 else f"{low} to {high - 1} words" for low, high in pairwise(edges)]
    return torch.bucketize(values, torch.tensor(cuts, dtype=torch.int64), right=True), names


def by_first_word(firsts: list[str]) -> tuple[torch.Tensor, list[str]]:
    """(group of each sentence, names of the groups): the most frequent first words, and all others."""
    common = [word for word, _ in Counter(firsts).most_common(GROUPS)]
    groups = torch.tensor([common.index(word) if word in common else len(common) for word in firsts])
    return groups, [*common, *(["others"] if len(common) < len(set(firsts)) else [])]


def figures_by_length(results: dict[str, Any], title: str) -> Figure:
    """Exact match and token accuracy over the number of words, above how many sentences there are of each."""
    from matplotlib.figure import Figure

    rows = results["by_length"]
    lengths = [row["length"] for row in rows]
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for name in ("token_accuracy", "exact_match"):
        above.plot(lengths, [row[name] for row in rows], marker=".", label=f"{name} {results[name]:.2%}")
    above.set_ylim(-0.02, 1.02)
    above.set_ylabel("share")
    above.legend(frameon=False, loc="lower left")
    below.bar(lengths, [row["n"] for row in rows], color="tab:gray")
    below.set_ylabel("sentences")
    below.set_xlabel("words in a sentence")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}: free-running reconstruction", fontsize=11)
    return figure
