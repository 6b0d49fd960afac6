"""Words and their numbers: a pure function of the description of the data and of the recipe, both kept with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

import zoo
from zoo.datasets.text import Sentence

SPECIALS = ("<pad>", "<unk>", "<end>")
PAD, UNKNOWN, END = range(3)
"""Padding, any unknown word, and what ends a sentence, and is fed to begin one."""


@dataclass(frozen=True)
class Vocabulary:
    """The words that a model knows, by number; the special tokens come first, then the most frequent words."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, info: zoo.DatasetInfo, min_count: int) -> Vocabulary:
        """The words of the train split that occur at least `min_count` times in it.

        Raises:
            ConfigError: the data set is no text, or no word is that frequent.
        """
        counts: Sequence[tuple[str, int]] = info.extra.get("words", ())
        if not counts:
            raise zoo.ConfigError(f"{info.name} has no words: expected a text data set, such as sentences.")
        found = tuple(word for word, count in counts if count >= min_count)
        if not found:
            raise zoo.ConfigError(
                f"min_count = {min_count}: the most frequent word of {info.name} occurs {counts[0][1]} times. "
                "Next: --set min_count=1"
            )
        return cls((*SPECIALS, *found))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word; a special token cannot be typed, as the tokeniser cuts it at its brackets."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, sentences: Sequence[Sentence]) -> tuple[Tensor, Tensor]:
        """(tokens (N, T) with the end token, padded to the longest sentence; lengths (N,) without it)."""
        lengths = torch.tensor([len(sentence) for sentence in sentences], dtype=torch.int64)
        tokens = torch.full((len(sentences), int(lengths.max()) + 1), PAD)
        for row, sentence in enumerate(sentences):
            numbers = [self.numbers.get(word, UNKNOWN) for word in sentence]
            tokens[row, : len(numbers) + 1] = torch.tensor([*numbers, END])
        return tokens, lengths

    def decode(self, tokens: Tensor) -> list[Sentence]:
        """The words of (N, T) up to each sentence's end token."""
        found = []
        for row in tokens.tolist():
            end = row.index(END) if END in row else len(row)
            found.append(tuple(self.words[number] for number in row[:end]))
        return found
