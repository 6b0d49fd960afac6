"""Text, one sentence a line: how a line becomes words, how splits hold them, and a user's own files ("text:PATH").

The one tokeniser of the zoo: lower case, Unicode NFC; a word is a run of letters and digits, with hyphens inside it;
an apostrophe begins a word of its own ("woman's" is "woman" and "'s"); any other sign stands alone.

A split of a text data set is two tensors: ends (N,) int64, where each sentence ends in the second one; and characters,
(their sum,) uint8, the words of all sentences in UTF-8, with a space between two words of one sentence.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.datasets.specs import DatasetSpec
from zoo.errors import DatasetError, ZooError

if TYPE_CHECKING:
    from torch import Tensor

Sentence = tuple[str, ...]
LONGEST = 10_000
"""Characters of a line."""
LEAST = 3
"""Different sentences, so that train, val and test have one each."""
HELD_OUT = 20
"""One sentence of so many goes to val, and as many to test."""
_TOKEN = re.compile(r"\w+(?:-\w+)*|(?<=\w)['\u2019]\w+|[^\w\s]")
_GLUED = re.compile(r" (?=[.,!?;:)\]%](?: |$)|['\u2019]\w)|(?<=[(\[]) ")


def words(line: str) -> Sentence:
    """The words of a line, by the rules above."""
    return tuple(_TOKEN.findall(unicodedata.normalize("NFC", line).lower()))


def prose(sentence: Iterable[str]) -> str:
    """Words as one would write them: no space before a full stop, and the like."""
    return _GLUED.sub("", " ".join(sentence))


def sentences(path: str | Path, error: type[ZooError] = DatasetError) -> list[Sentence]:
    """The sentences of a text file, one a line; empty lines are passed over.

    Raises:
        DatasetError, or what `error` names: the file is missing, is no UTF-8 text, holds no sentence, or a line that
            cannot be one.
    """
    return [words(line) for line in lines(path, error)]


def lines(path: str | Path, error: type[ZooError] = DatasetError) -> list[str]:
    """As `sentences`, but the lines as they stand in the file.

    Raises:
        DatasetError, or what `error` names: as for `sentences`.
    """
    path, wanted = Path(path).expanduser(), "expected UTF-8 text, one sentence a line"
    if not path.is_file():
        problem = "no regular file" if path.exists() else "there is no such file"
        raise error(f"{path}: {problem}; {wanted}.")
    try:
        data = path.read_bytes()
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror}); {wanted}.") from None
    if b"\0" in data:
        raise error(f"{path}: line {data[: data.index(0)].count(10) + 1} holds a NUL byte, as no text does; {wanted}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        number = data[: reason.start].count(b"\n") + 1
        raise error(
            f"{path}: line {number} is not UTF-8 (byte {data[reason.start]:#04x}); {wanted}. "
            "Next: convert it, for example: iconv -f latin1 -t utf-8"
        ) from None
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST:
            raise error(
                f"{path}: line {number} has {len(line):,} characters, expected at most {LONGEST:,}; {wanted}. "
                "Next: put a line break after each sentence."
            )
        if line.strip():
            found.append(line.strip())
    if not found:
        raise error(f"{path}: no sentence in it; {wanted}.")
    return found


def pack(split: Sequence[Sentence]) -> tuple[Tensor, Tensor]:
    """Sentences as the two tensors of a split."""
    import numpy as np
    import torch

    parts = [" ".join(sentence).encode() for sentence in split]
    ends = torch.tensor([len(part) for part in parts], dtype=torch.int64).cumsum(0)
    return ends, torch.from_numpy(np.frombuffer(b"".join(parts), dtype=np.uint8).copy())


def unpack(split: tuple[Tensor, ...]) -> list[Sentence]:
    """The sentences of a split; the inverse of `pack`."""
    ends, characters = split
    data = characters.cpu().numpy().tobytes()
    return [tuple(data[start:end].decode().split(" ")) for start, end in pairwise([0, *ends.tolist()])]


def describe(splits: Mapping[str, tuple[Tensor, ...]]) -> dict[str, Any]:
    """What a model has to know: the words of the train split with their counts, the most frequent first."""
    counts = Counter(word for sentence in unpack(splits["train"]) for word in sentence)
    return {"words": [[word, count] for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]}


def spec(argument: str) -> DatasetSpec:
    """The data set "text:PATH".

    Raises:
        DatasetError: no path is given.
    """
    if not argument:
        raise DatasetError("text: needs a file, for example --dataset text:sentences.txt (UTF-8, one sentence a line).")
    return DatasetSpec(
        name=f"text:{argument}",
        summary="a text file of yours, one sentence a line",
        splits={},
        shape=(),
        classes=(),
        license="yours",
        module="zoo.datasets.text",
        digest="",
    )


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """The different sentences of the file, of which 1 in 20, at least one, is held out for val, and for test.

    Which ones depends on the sentences alone, by their hash: not on their order, nor much on what is added later.

    Raises:
        DatasetError: see `sentences`; or fewer than three sentences differ.
    """
    path = spec.name.partition(":")[2]
    different = list(dict.fromkeys(sentences(path)))
    if len(different) < LEAST:
        raise DatasetError(
            f"{path}: {len(different)} different sentences, expected {LEAST} or more: one each for train, val, test."
        )
    by_hash = sorted(different, key=lambda sentence: hashlib.sha256(" ".join(sentence).encode()).digest())
    count = max(1, len(different) // HELD_OUT)
    parts = {"test": set(by_hash[:count]), "val": set(by_hash[count : 2 * count]), "train": set(by_hash[2 * count :])}
    return {name: pack([sentence for sentence in different if sentence in part]) for name, part in parts.items()}
