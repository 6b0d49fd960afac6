"""Text data sets: how a line becomes words, what the splits hold, and what is refused, at once and by name."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli

from zoo import datasets
from zoo.datasets import multi30k, sentences, text
from zoo.errors import DatasetError

LINES = [f"Number {word} is a word." for word in ("one", "two", "three", "four", "five")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A man's T-shirt, isn't it?", ["a", "man", "'s", "t-shirt", ",", "isn", "'t", "it", "?"]),
        ("ZOE\u0301 said: 'no'", ["zo\u00e9", "said", ":", "'", "no", "'"]),
        ("  a\tb  ", ["a", "b"]),
        ("<unk> <end>", ["<", "unk", ">", "<", "end", ">"]),
        ("- -a a- 3.5", ["-", "-", "a", "a", "-", "3", ".", "5"]),
        ("", []),
    ],
)
def test_the_tokeniser(line: str, expected: list[str]) -> None:
    assert list(text.words(line)) == expected


@pytest.mark.parametrize("line", ["a man's hat, and (perhaps) a t-shirt.", "who is it?", "one"])
def test_prose_is_how_one_would_write_it(line: str) -> None:
    assert text.prose(text.words(line)) == line


def test_splits_hold_sentences_and_the_first_tensor_counts_them() -> None:
    given = [("a", "caf\u00e9", "."), ("b",)]
    ends, characters = text.pack(given)
    assert (ends.tolist(), characters.dtype) == ([9, 10], torch.uint8)
    assert text.unpack((ends, characters)) == given


def test_words_are_counted_in_the_train_split_alone_the_most_frequent_first() -> None:
    splits = {"train": text.pack([("b", "a"), ("c", "b"), ("a",)]), "test": text.pack([("z",)])}
    assert text.describe(splits) == {"words": [["a", 2], ["b", 2], ["c", 1]]}


def test_the_grammar_keeps_its_word() -> None:
    data = datasets.load("sentences")  # whose digest is pinned: another content is refused
    splits = {name: text.unpack(data.split(name)) for name in data.splits}
    assert {name: len(split) for name, split in splits.items()} == {"train": 20_000, "val": 1_000, "test": 1_000}
    everything = [sentence for split in splits.values() for sentence in split]
    assert len(set(everything)) == 22_000, "no sentence is in two splits, nor twice in one"
    assert {len(sentence) for sentence in everything} == set(range(3, 13))
    assert 600 <= len(data.info.extra["words"]) <= 700
    assert {word for sentence in everything for word in sentence} == {word for word, _ in data.info.extra["words"]}
    assert all(text.words(" ".join(sentence)) == sentence for sentence in everything)


def test_another_grammar_is_another_digest_and_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "SEED", 651)
    with pytest.raises(DatasetError, match=r"'sentences' is not what it should be: its digest"):
        datasets.load("sentences")


def test_articles_and_plurals() -> None:
    assert [sentences.plural(word) for word in ("wolf", "pony", "fox", "donkey", "sheep")] == [
        "wolves",
        "ponies",
        "foxes",
        "donkeys",
        "sheep",
    ]
    for sentence in sentences.generate(2000, 1):
        for article, word in pairwise(sentence):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), sentence


@pytest.fixture
def captions() -> None:
    """Skips where there is no Multi30k."""
    if not datasets.spec("multi30k").present:
        pytest.skip("needs Multi30k: set ZOO_DATA to a folder that holds multi30k/, or run: zoo data fetch multi30k")


@pytest.mark.usefixtures("captions")
def test_multi30k_is_multi30k() -> None:
    data = datasets.load("multi30k")
    assert {name: len(split[0]) for name, split in data.splits.items()} == {
        "train": 29_000,
        "val": 1_014,
        "test": 1_000,
    }


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put on the server."""

    def do_GET(self) -> None:
        body: bytes | None = self.server.bodies.get(self.path.rpartition("/")[2])  # type: ignore[attr-defined]
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that has the captions of a small Multi30k, whose checksums are taken for its makers'."""
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    packed = {split: gzip.compress(f"A {split}.\nTwo.\n".encode(), mtime=0) for split in multi30k.PACKED}
    found.bodies = {multi30k.PACKED[split][0]: data for split, data in packed.items()}  # type: ignore[attr-defined]
    facts = {
        split: (multi30k.PACKED[split][0], len(data), hashlib.sha256(data).hexdigest())
        for split, data in packed.items()
    }
    monkeypatch.setattr(multi30k, "PACKED", facts)
    monkeypatch.setattr(multi30k, "BASE", f"http://127.0.0.1:{found.server_port}/")
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_multi30k_is_fetched_checked_and_unpacked(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    datasets.fetch("multi30k")
    assert (tmp_path / "data/multi30k/val.en.txt").read_text() == "A val.\nTwo.\n"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["multi30k"]
    with pytest.raises(DatasetError, match=r"its digest.*\n.*zoo data fetch multi30k"):
        datasets.load("multi30k")  # this small one is not the real one


@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_failing_fetch_names_the_ways_out_and_leaves_nothing(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    name = multi30k.PACKED["test"][0]
    if fault == "changed":
        data = bytearray(server.bodies[name])
        data[-1] ^= 1
        server.bodies[name] = bytes(data)
    else:
        del server.bodies[name]
    reason = "is not what was published" if fault == "changed" else "there is no such file"
    with pytest.raises(DatasetError, match=rf"(?s){reason}.*--dataset sentences"):
        datasets.fetch("multi30k")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_file_of_ones_own_is_split_by_its_sentences_alone(tmp_path: Path) -> None:
    numbers = [f"sentence number {number}" for number in range(100)]
    found = []
    for order in (numbers, numbers[::-1], [*numbers, *numbers[:50], "", "   "]):
        path = tmp_path / "mine.txt"
        path.write_text("\r\n".join(order) + "\n", encoding="utf-8-sig")
        data = datasets.load(f"text:{path}")
        found.append({name: set(text.unpack(data.split(name))) for name in data.splits})
        assert {name: len(part) for name, part in found[-1].items()} == {"train": 90, "val": 5, "test": 5}
        assert set.union(*found[-1].values()) == {text.words(line) for line in numbers}
    assert found[0] == found[1] == found[2]


BAD = {
    "empty": (b"", "no sentence in it"),
    "blank": (b"\n \n\t\n", "no sentence in it"),
    "one": (b"Only one sentence.\n\n", "1 different sentences, expected 3 or more"),
    "same": (b"Twice.\n" * 50, "1 different sentences"),
    "long": (b"one\ntwo\nthree\n" + b"word " * 2_097_152 + b"\n", r"line 4 has 10,485,760 characters"),
    "nul": (b"one\ntwo\0three\n", "line 2 holds a NUL byte"),
    "binary": (bytes(range(1, 256)) * 10, "is not UTF-8"),
    "latin": ("one\ncaf\u00e9\n".encode("latin-1"), r"line 2 is not UTF-8 \(byte 0xe9\)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_at_once_by_name(tmp_path: Path, kind: str) -> None:
    data, reason = BAD[kind]
    path = tmp_path / f"{kind}.txt"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=rf"{kind}\.txt: .*{reason}"):
        datasets.load(f"text:{path}")


def test_no_file_or_no_regular_one(tmp_path: Path, cli: Cli) -> None:
    for path, reason in (
        (tmp_path / "none.txt", "no such file"),
        (tmp_path, "regular"),
        (Path("/dev/zero"), "regular"),
    ):
        with pytest.raises(DatasetError, match=reason):
            datasets.load(f"text:{path}")
    said = cli("train", "lstm-ae", "--dataset", "text:none.txt", expect=1).stderr
    assert "none.txt: there is no such file; expected UTF-8 text, one sentence a line." in said
    assert "needs a file" in cli("train", "lstm-ae", "--dataset", "text:", expect=1).stderr
    assert not Path("runs").exists()
