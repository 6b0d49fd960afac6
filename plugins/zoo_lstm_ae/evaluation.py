"""What the network says by itself: greedy decoding, its figures, and its answers to a user's own sentences.

Shapes: N sentences, T words with the end token, padded at the right; D latent numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo.components import Components
from zoo.datasets import text
from zoo.datasets.text import Sentence
from zoo_lstm_ae.model import Buckets, cross_entropy, network
from zoo_lstm_ae.vocabulary import END, PAD, UNKNOWN, Vocabulary

EVALUATION_BATCH = 250
SLACK = 10
"""Words that a reconstruction may go on for after the longest source of its batch has ended."""
WORST = 10
LONGEST = 1000
"""Words of a user's own sentence."""


def vocabulary(run: zoo.Run) -> Vocabulary:
    """The words that the run's model knows."""
    return Vocabulary.of(run.info, run.config.min_count)


def sentences(run: zoo.Run, split: str) -> list[Sentence]:
    """The sentences of a split of the run's data."""
    return text.unpack(run.data.split(split))


@torch.inference_mode()
def say(model: Any, latent: Tensor, limit: int) -> Tensor:
    """The words that the decoder says by itself, (N, D) to (N, at most `limit`): the likeliest one at each step.

    It stops when every sentence has ended; what it says after a sentence's end means nothing.
    """
    state = model.begin(latent)
    word = torch.full((len(latent), 1), END, device=latent.device)
    ended = torch.zeros_like(word, dtype=torch.bool)
    said = []
    for _ in range(limit):
        logits, state = model.step(word, state)
        word = logits.argmax(2)
        said.append(word)
        ended |= word == END
        if bool(ended.all()):
            break
    return torch.cat(said, 1)


def measure(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """What is counted of each sentence, (N,) each but the latents (N, D) and the words said (N, T).

    `right` of its `tokens`, which are its words and its end token, are said in their place by the decoder alone; after
    it has said the end token nothing is right any more. `nats` is the teacher-forced cross-entropy, summed.
    """
    tokens, lengths = batch
    logits, latent = model(tokens, lengths)
    said = say(model, latent, tokens.shape[1] + SLACK)
    place = nn.functional.pad(said, (0, max(0, tokens.shape[1] - said.shape[1])))[:, : tokens.shape[1]]
    alive = (place == END).cumsum(1) - (place == END).int() == 0  # up to its own end token: nothing counts behind it
    real = tokens != PAD
    right = ((place == tokens) & real & alive).sum(1)
    cost = cross_entropy(logits, tokens, "none").view_as(tokens).sum(1)
    return {"right": right, "tokens": real.sum(1), "nats": cost, "latent": latent, "said": said}


def score(run: zoo.Run, found: Sequence[Sentence]) -> tuple[dict[str, Tensor], list[Sentence]]:
    """(`measure` of each sentence, and what was said), both in the order of the sentences."""
    words = vocabulary(run)
    batches = Buckets(*words.encode(found), EVALUATION_BATCH, shuffle=False)
    said: list[Sentence] = []

    def kept(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        counted = measure(model, batch)
        said.extend(words.decode(counted.pop("said")))
        return counted

    counted = zoo.score(run, kept, batches)
    back = torch.argsort(torch.cat(batches.plan(None)))
    return {name: values[back] for name, values in counted.items()}, [said[number] for number in back.tolist()]


def metrics(counted: dict[str, Tensor], known: Sequence[Sentence], said: Sequence[Sentence]) -> dict[str, float]:
    """The figures of some sentences; `known` are the sources with unknown words as <unk>."""
    from sacrebleu.metrics.bleu import BLEU

    tokens = counted["tokens"].sum().item()
    bleu = BLEU(tokenize="none", force=True).corpus_score(
        [" ".join(words) for words in said], [[" ".join(words) for words in known]]
    )
    return {
        "exact_match": (counted["right"] == counted["tokens"]).double().mean().item(),
        "token_accuracy": counted["right"].sum().item() / tokens,
        "perplexity": math.exp(min(700.0, counted["nats"].double().sum().item() / tokens)),
        "bleu": bleu.score,
    }


def summary(run: zoo.Run, found: Sequence[Sentence]) -> dict[str, float]:
    """The metrics of some sentences, less the rate of unknown words."""
    words = vocabulary(run)
    counted, said = score(run, found)
    return metrics(counted, [known(words, sentence) for sentence in found], said)


def figures(run: zoo.Run) -> dict[str, Any]:
    """The metrics of the run's split, the same by length, the worst reconstructions, and the latents' spread."""
    words, found = vocabulary(run), sentences(run, run.split)
    counted, said = score(run, found)
    sources = [known(words, sentence) for sentence in found]
    unknown = sum(word not in words.numbers for sentence in found for word in sentence)
    lengths = counted["tokens"] - 1
    by_length = []
    for length in sorted(set(lengths.tolist())):
        own = (lengths == length).nonzero()[:, 0]
        rows = own.tolist()
        part = metrics({k: v[own] for k, v in counted.items()}, [sources[i] for i in rows], [said[i] for i in rows])
        missing = sum(word not in words.numbers for i in rows for word in found[i])
        by_length.append({"length": length, "n": len(rows), **part, "oov_rate": missing / (length * len(rows))})
    share = counted["right"] / counted["tokens"]
    worst = sorted(range(len(found)), key=lambda i: (share[i].item(), -counted["nats"][i].item()))[:WORST]
    return {
        **metrics(counted, sources, said),
        "oov_rate": unknown / int(lengths.sum()),
        "vocabulary": {"words": len(words), "min_count": run.config.min_count},
        "by_length": by_length,
        "worst": [
            {"source": " ".join(found[i]), "said": " ".join(said[i]), "right": share[i].item()}
            for i in worst
            if share[i] < 1
        ],
        "variance_shares": list(Components.of(counted["latent"], 2).shares),
    }


def known(words: Vocabulary, sentence: Sentence) -> Sentence:
    """The sentence with its unknown words as <unk>."""
    return tuple(word if word in words.numbers else words.words[UNKNOWN] for word in sentence)


def typed(inputs: Sequence[str]) -> list[Sentence]:
    """A user's own sentences as words.

    Raises:
        InputError: one has no words, too many, or a NUL character.
    """
    found = []
    for number, line in enumerate(inputs, 1):
        sentence = text.words(line) if len(line) <= text.LONGEST else ()
        wrong = "a NUL character" if "\0" in line else "" if sentence else "no word"
        wrong = f"{len(line):,} characters" if len(line) > text.LONGEST else wrong
        wrong = f"{len(sentence):,} words" if len(sentence) > LONGEST else wrong
        if wrong:
            raise zoo.InputError(
                f"sentence {number}, {line[:40]!r}: {wrong}; expected 1 to {LONGEST:,} words in at most "
                f"{text.LONGEST:,} characters."
            )
        found.append(sentence)
    return found


def latents(run: zoo.Run, found: Sequence[Sentence]) -> Tensor:
    """(N, D), in the order of the sentences."""

    def encode(model: Any, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {"latent": model.encode(*batch)}

    batches = Buckets(*vocabulary(run).encode(found), EVALUATION_BATCH, shuffle=False)
    return zoo.score(run, encode, batches)["latent"][torch.argsort(torch.cat(batches.plan(None)))]


def embed(run: zoo.Run, inputs: Sequence[str]) -> Tensor:
    """The latent of each sentence, (N, D).

    Raises:
        InputError: see `typed`.
    """
    return latents(run, typed(inputs))


def reconstruct(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """What the model makes of each sentence, with its unknown words.

    Raises:
        InputError: see `typed`.
    """
    words, found = vocabulary(run), typed(inputs)
    counted, said = score(run, found)
    results = []
    for line, sentence, own, right, tokens in zip(
        inputs, found, said, counted["right"].tolist(), counted["tokens"].tolist(), strict=True
    ):
        unknown = list(dict.fromkeys(word for word in sentence if word not in words.numbers))
        note = f"  (unknown to the model: {', '.join(unknown)})" if unknown else ""
        results.append(
            {
                "input": line,
                "text": text.prose(own) + note,
                "reconstruction": " ".join(own),
                "unknown": unknown,
                "exact": right == tokens,
                "token_accuracy": right / tokens,
            }
        )
    return results


@torch.inference_mode()
def walk(run: zoo.Run, between: Sequence[str], count: int) -> list[str]:
    """What the model says at `count` steps on the straight line between the latents of two sentences.

    Raises:
        InputError: no two sentences are given: nothing says which latents belong to a sentence; or see `typed`.
    """
    if not between:
        raise zoo.InputError(
            "lstm-ae draws nothing: its latents follow no known distribution. "
            'Next: --interpolate "one sentence" "another"'
        )
    ends, model = typed(between), network(run)
    first, last = latents(run, ends)
    steps = torch.lerp(first, last, torch.linspace(0, 1, count)[:, None])
    said = say(model, steps, max(map(len, ends)) + 1 + SLACK)
    return [text.prose(words) for words in vocabulary(run).decode(said)]
