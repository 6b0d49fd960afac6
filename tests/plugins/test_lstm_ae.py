"""lstm-ae: what counts as said right, that nobody prompts it, what its loss refuses, and what it says of text."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli
from torch import Tensor, nn
from zoo_lstm_ae import evaluation, export, model
from zoo_lstm_ae.plugin import Config, zoo_model
from zoo_lstm_ae.vocabulary import END, PAD, UNKNOWN, Vocabulary

import zoo
from zoo import datasets, loading, shapes, weights
from zoo.datasets import sentences, text
from zoo.runs import Run

SMALL: dict[str, Any] = {"embedding_dim": 16, "encoder_dim": 24, "hidden_dim": 32, "latent_dim": 24, "batch_size": 32}
SMALL |= {"precision": "float32", "noise": 0.0, "word_dropout": 0.1, "max_length": 12}
INFO = zoo.DatasetInfo("toy", (), extra={"words": [["the", 9], ["cat", 5], ["sat", 5], ["on", 1]]})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty sentences of the grammar, in a file."""
    path = tmp_path_factory.mktemp("corpus") / "lines.txt"
    path.write_text("\n".join(text.prose(sentence) for sentence in sentences.generate(60, 1)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained until it can say what it was trained on."""
    config = {**SMALL, "epochs": 120, "lr": 0.02, "batch_size": 16, "val_size": 3}
    trained = zoo.train("lstm-ae", f"text:{corpus}", config=config, out=tmp_path_factory.mktemp("runs"))
    assert trained is not None
    return trained.run


def made(words: int = 40, **config: Any) -> Run:
    """A run with a network of random weights."""
    torch.manual_seed(0)
    found = Run(zoo_model(), Config(**{**SMALL, **config}), INFO)
    found.model = model.SequenceAutoencoder(found.config, words)
    return found


def some(count: int, longest: int, words: int = 40) -> tuple[Tensor, Tensor]:
    """Random sentences of 1 to `longest` words."""
    generator = torch.Generator().manual_seed(count)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator)
    place = torch.arange(longest + 1)
    tokens = torch.randint(END + 1, words, (count, longest + 1), generator=generator)
    tokens = tokens.masked_fill(place == lengths[:, None], END).masked_fill(place > lengths[:, None], PAD)
    return tokens, lengths


# The network and its loss.


def test_shapes_and_that_padding_changes_nothing() -> None:
    network = made(layers=2).model.eval()
    tokens, lengths = some(7, 9)
    logits, latent = network(tokens, lengths)
    assert (logits.shape, latent.shape) == ((7, 10, 40), (7, 24))
    for row, length in enumerate(lengths.tolist()):
        alone, own = network(tokens[row : row + 1, : length + 1], lengths[row : row + 1])
        torch.testing.assert_close(own[0], latent[row])
        torch.testing.assert_close(alone[0], logits[row, : length + 1])
    garbage = torch.where(torch.arange(10) > lengths[:, None], 5, tokens)
    assert torch.equal(network.encode(garbage, lengths), latent)  # type: ignore[operator]
    other = tokens.clone()
    other[:, 0] = (tokens[:, 0] - 2) % 37 + 3
    assert (network.encode(other, lengths) - latent).abs().amax(1).min() > 1e-4  # type: ignore[operator]


def test_places_turn_latents_so_that_other_places_are_orthogonal() -> None:
    size = 6
    turned = model.turn(torch.eye(size)[:, None], torch.arange(-size, size + 1))  # (6, 13, 6): R^t, row by row
    torch.testing.assert_close(turned[:, size], torch.eye(size))
    torch.testing.assert_close(turned[:, size + 2], turned[:, size + 1] @ turned[:, size + 1])
    traces = turned.diagonal(dim1=0, dim2=2).sum(1)
    torch.testing.assert_close(
        traces, size * torch.tensor([-1.0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, -1]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(turned[:, 1] @ turned[:, -2], torch.eye(size))


def test_the_memory_reads_words_in_their_places_before_it_has_learned_anything() -> None:
    network: Any = made(words=200, embedding_dim=64, latent_dim=512).model.eval()
    for part in (network.squeeze, network.project):  # both LSTMs are silent
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    tokens, lengths = some(100, 9, words=200)
    logits, latent = network(tokens, lengths)
    guess = logits.argmax(2)
    assert torch.equal(evaluation.say(network, latent, 4), guess[:, :4]), "word by word, it goes on to the next place"
    real = tokens != PAD
    assert (guess == tokens)[real].float().mean() > 0.99
    first = tokens[:, :1].expand_as(tokens)
    assert (guess == first)[:, 1:][real[:, 1:]].float().mean() < 0.05, "a word is read in its own place alone"


def test_latents_come_in_pairs() -> None:
    with pytest.raises(zoo.ConfigError, match=r"latent_dim = 33: expected an even number.*latent_dim=34"):
        Config(latent_dim=33)


def test_the_output_layer_is_the_embedding() -> None:
    network: Any = made().model
    assert not [name for name, _ in network.named_parameters() if name.startswith("out")]
    before = network(*some(2, 3))[0]
    with torch.no_grad():
        network.embedding.weight[7] += 1
    assert (network(*some(2, 3))[0] - before)[..., 7].abs().min() > 1e-3


def test_each_token_weighs_the_same_and_shares_of_a_batch_add_up_to_it() -> None:
    found = made(word_dropout=0.0)
    tokens, lengths = some(64, 9)
    batches = model.Buckets(tokens, lengths, 16)
    loss = model.loss(found, batches.mean_tokens)
    plan = batches.plan(torch.Generator().manual_seed(0))
    whole = [loss(found.model, batches.take(index)) for index in plan]  # type: ignore[arg-type]
    logits = found.model(tokens, lengths)[0]
    plain = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD)
    assert torch.stack(whole).mean().item() == pytest.approx(plain.item(), rel=1e-4)
    for index, value in zip(plan, whole, strict=True):
        shares = [loss(found.model, batches.take(index[rank::2])) for rank in range(2)]  # type: ignore[arg-type]
        assert torch.stack(shares).mean().item() == pytest.approx(value.item(), rel=1e-4)


@pytest.mark.parametrize("words", [658])
def test_softmax_before_cross_entropy_could_never_get_below_a_perplexity_of_242(words: int) -> None:
    tokens = torch.arange(3, words)[None]
    certain = torch.full((1, len(tokens[0]), words), -1e4).scatter(2, tokens[..., None], 1e4)
    right = model.cross_entropy(certain, tokens, "mean").exp().item()
    wrong = model.cross_entropy(certain.softmax(2), tokens, "mean").exp().item()
    assert right == pytest.approx(1)
    assert wrong == pytest.approx((math.e + words - 1) / math.e)
    assert wrong == pytest.approx(242.7, abs=0.05)


class Mistaken(model.SequenceAutoencoder):
    """The homework's: probabilities instead of logits."""

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        logits, latent = super().forward(tokens, lengths)
        return logits.softmax(2), latent


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_probabilities_handed_to_the_loss_stop_training_at_the_first_step(tmp_path: Path, precision: str) -> None:
    if precision == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("needs a CPU whose LSTM has bfloat16 (AVX-512)")
    batches = model.Buckets(*some(64, 9), 16)
    for kind, refused in ((Mistaken, True), (model.SequenceAutoencoder, False)):
        found = made(epochs=1, precision=precision)
        found.folder = tmp_path / kind.__name__
        found.model = kind(found.config, 40)
        if refused:
            with pytest.raises(zoo.ConfigError, match=r"given probabilities.*expected logits.*without softmax"):
                zoo.fit(found, model.loss(found, batches.mean_tokens), batches)
        else:
            zoo.fit(found, model.loss(found, batches.mean_tokens), batches)


def test_noise_changes_words_in_half_of_the_sentences_and_nothing_else() -> None:
    tokens, lengths = some(4000, 9)
    torch.manual_seed(0)
    noisy = model.disturb(tokens, lengths, 0.5, 40)
    words = torch.arange(10) < lengths[:, None]
    assert torch.equal(noisy[~words], tokens[~words])
    drawn = noisy[noisy != tokens].bincount(minlength=40)
    assert drawn[[PAD, END]].tolist() == [0, 0]
    assert (drawn[[UNKNOWN, *range(END + 1, 40)]] > 0).all()
    changed = (noisy != tokens).sum() / words.sum()
    assert changed.item() == pytest.approx(0.25 * 37 / 38, abs=0.01)


# Batches.


def test_batches_are_of_like_length_and_drawn_by_the_generator_alone() -> None:
    tokens, lengths = some(103, 20)
    batches = model.Buckets(tokens, lengths, 10)
    plan = batches.plan(torch.Generator().manual_seed(0))
    assert len(batches) == len(plan) == 10
    drawn = torch.cat(plan)
    assert len(set(drawn.tolist())) == 100
    assert torch.equal(drawn, torch.cat(batches.plan(torch.Generator().manual_seed(0))))
    assert not torch.equal(drawn, torch.cat(batches.plan(torch.Generator().manual_seed(1))))
    spread = sum(int(lengths[index].max() - lengths[index].min()) for index in plan)
    assert spread <= 20, "ordered by length, the spreads of the batches are parts of the whole spread"
    for index in plan:
        batch, own = batches.take(index)
        assert batch.shape[1] == own.max() + 1
        assert torch.equal(batch, tokens[index, : batch.shape[1]])
    order = [int(lengths[index].max()) for index in plan]
    assert order != sorted(order)


def test_two_processes_train_as_one(corpus: Path) -> None:
    values = {**SMALL, "epochs": 2, "word_dropout": 0.0}
    flags = [flag for key, value in values.items() for flag in ("--set", f"{key}={value}")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "zoo"]
    for out, command in (("two", launch), ("one", [sys.executable, "-m", "zoo"])):
        arguments = ["train", "lstm-ae", "--dataset", f"text:{corpus}", *flags, "--out", out]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    ours, theirs = (weights.read(next(Path(out).glob("*/*/weights.safetensors")))[0] for out in ("two", "one"))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-5)


def test_a_stopped_run_resumes_bit_by_bit(corpus: Path, tmp_path: Path) -> None:
    config = {**SMALL, "epochs": 6, "batch_size": 16, "noise": 0.3, "dropout": 0.1}
    found = []
    for stop in (0, 8):

        def listen(event: zoo.Event, stop: int = stop) -> None:
            if event.kind == "step" and event.step == stop:
                signal.raise_signal(signal.SIGINT)

        out = tmp_path / str(stop)
        if stop:
            with pytest.raises(zoo.ZooError, match="--resume"):
                zoo.train("lstm-ae", f"text:{corpus}", config=config, out=out, listeners=[listen])
            trained = zoo.train(resume=next(out.glob("*/*")))
        else:
            trained = zoo.train("lstm-ae", f"text:{corpus}", config=config, out=out)
        assert trained is not None
        found.append(trained.sha256)
    assert found[0] == found[1]


# Words.


def test_the_vocabulary_is_a_function_of_the_data_and_the_recipe() -> None:
    words = Vocabulary.of(INFO, 2)
    assert words.words == ("<pad>", "<unk>", "<end>", "the", "cat", "sat")
    tokens, lengths = words.encode([("the", "cat", "on"), ("sat",)])
    assert tokens.tolist() == [[3, 4, UNKNOWN, END], [5, END, PAD, PAD]]
    assert lengths.tolist() == [3, 1]
    assert words.decode(tokens) == [("the", "cat", "<unk>"), ("sat",)]
    with pytest.raises(zoo.ConfigError, match=r"min_count = 10.*occurs 9 times"):
        Vocabulary.of(INFO, 10)
    with pytest.raises(zoo.ConfigError, match="no words"):
        Vocabulary.of(datasets.spec("digits").info, 1)


def test_a_max_length_below_all_sentences_is_refused(corpus: Path, cli: Cli) -> None:
    said = cli("train", "lstm-ae", "--dataset", f"text:{corpus}", "--set", "max_length=1", expect=1).stderr
    assert "max_length = 1: the shortest training sentence has" in said


# What it says by itself.


class Parrot(nn.Module):
    """Says a fixed sentence by itself, whatever the latent; prompted with true words, it is always right.

    Of a batch, it says that of the first sentence, and never comes to an end with the others.
    """

    def __init__(self, said: list[int], words: int) -> None:
        super().__init__()
        self.said, self.words = said, words

    def begin(self, latent: Tensor) -> int:
        return 0

    def step(self, before: Tensor, place: int) -> tuple[Tensor, int]:
        logits = torch.zeros(len(before), 1, self.words)
        logits[0, 0, self.said[min(place, len(self.said) - 1)]] = 100.0
        logits[1:, 0, 3] = 100.0
        return logits, place + 1

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return 100.0 * nn.functional.one_hot(tokens, self.words).float(), torch.zeros(len(tokens), 2)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ([3, 4, 5, 3, END], 5),
        ([3, 4, 5, 4, END], 4),
        ([3, 4, END, 3, END], 2),  # what comes after its own end does not count
        ([3, 4, 5, 3, 3, END], 4),  # the end is a token like the others
        ([4, 3, 4, 5, 3, END], 0),  # in its place, or wrong
        ([END], 0),
    ],
)
def test_token_accuracy_counts_what_is_said_unprompted_in_its_place(said: list[int], right: int) -> None:
    tokens = torch.tensor([[3, 4, 5, 3, END], [3, END, PAD, PAD, PAD]])
    found = evaluation.measure(Parrot(said, 6), (tokens, torch.tensor([4, 1])))
    assert found["right"][0].item() == right
    assert found["tokens"].tolist() == [5, 2]
    assert found["nats"].max() < 1e-3, "perplexity is teacher-forced: there it is always right"


def test_decoding_stops_when_all_have_ended_and_never_goes_on_for_ever() -> None:
    assert evaluation.say(Parrot([3, 4, END], 6), torch.zeros(1, 2), 50).tolist() == [[3, 4, END]]
    assert evaluation.say(Parrot([3], 6), torch.zeros(2, 2), 50).shape == (2, 50)


def test_it_learns_to_say_what_it_was_trained_on_and_figures_are_those_of_the_network(run: Path) -> None:
    found = zoo.evaluate(run, split="train")
    assert set(found.metrics) >= {"exact_match", "token_accuracy", "perplexity", "bleu", "oov_rate"}
    assert found.metrics["exact_match"] > 0.8
    assert found.metrics["bleu"] > 80
    assert found.metrics["oov_rate"] == 0
    opened = loading.open_model(str(run), Path())
    data = datasets.load(found.dataset)
    lines = text.unpack(data.split("train"))
    words = evaluation.vocabulary(opened.run)
    exact = []
    for sentence in lines:  # one at a time: no batch, no padding
        tokens, lengths = words.encode([sentence])
        with torch.inference_mode():
            said = evaluation.say(opened.run.model, opened.run.model.encode(tokens, lengths), 30)  # type: ignore[operator]
        exact.append(words.decode(said)[0] == sentence)
    assert found.metrics["exact_match"] == pytest.approx(sum(exact) / len(exact))
    rows = found.details["by_length"]
    assert sum(row["n"] for row in rows) == len(lines)
    weighted = sum(row["n"] * row["exact_match"] for row in rows) / len(lines)
    assert weighted == pytest.approx(found.metrics["exact_match"])


def test_evaluation_of_the_test_split(run: Path, cli: Cli) -> None:
    found = zoo.evaluate(run)
    assert 0 < found.metrics["oov_rate"] < 1
    worst = found.details["worst"]
    assert len(worst) <= 10
    assert [row["right"] for row in worst] == sorted(row["right"] for row in worst)
    assert 0 < sum(found.details["variance_shares"]) <= 1 + 1e-9
    names = {Path(path).name for path in found.files}
    assert names >= {"latents-by-length-test.png", "latents-by-first-word-test.png", "by-length-test.png"}
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"val_exact_match", "val_perplexity"} <= set(log[-1])
    said = cli("evaluate", str(run)).stdout
    assert "source  " in said
    assert "said    " in said
    assert "words, n=" in said


def test_a_loaded_model_reads_raw_text_without_its_data_set(
    run: Path, corpus: Path, tmp_path: Path, json_of: Callable[..., Any]
) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("weights.safetensors", "config.json", "run.json"):
        (copy / name).write_bytes((run / name).read_bytes().replace(str(corpus).encode(), b"gone"[:4]))
    record = json.loads((copy / "run.json").read_text())
    (copy / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    assert record["dataset"]["name"] == "text:gone"
    line = corpus.read_text().splitlines()[0]
    known, strange, mixed = json_of("predict", str(copy), line, "XYZZY", f"{line.upper()} frobnicates")
    assert known["unknown"] == []
    assert known["reconstruction"].split()
    assert strange["unknown"] == ["xyzzy"]
    assert "(unknown to the model: xyzzy)" in strange["text"]
    assert mixed["unknown"] == ["frobnicates"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "no word"),
        (" \n", "no word"),
        ("a\0b", "a NUL character"),
        ("word " * 2_097_152, "10,485,760 characters"),
        ("a " * 1001, "1,001 words"),
    ],
)
def test_input_that_is_no_sentence_is_refused(run: Path, line: str, reason: str) -> None:
    with pytest.raises(zoo.InputError, match=f"sentence 2, .*: {reason}"):
        zoo.predict(run, ["fine", line])


def test_a_walk_ends_at_its_sentences(run: Path, corpus: Path, cli: Cli, json_of: Callable[..., Any]) -> None:
    first, last = corpus.read_text().splitlines()[:2]
    steps = json_of("sample", str(run), "--interpolate", first, last, "-n", "5")["text"]
    ends = [result["text"].partition("  (")[0] for result in zoo.predict(run, [first, last])]
    assert [steps[0], steps[4]] == ends
    assert cli("sample", str(run), "--interpolate", first, last, "-n", "5").stdout.splitlines() == steps_and_path(steps)
    assert '--interpolate "one sentence" "another"' in cli("sample", str(run), expect=1).stderr


def steps_and_path(steps: list[str]) -> list[str]:
    """What `zoo sample` prints of them."""
    (path,) = Path("samples").glob("*.txt")
    assert path.read_text().splitlines() == steps
    return [*steps, str(path)]


def test_the_encoder_is_exported_apart(run: Path, tmp_path: Path) -> None:
    certificates = zoo.export(str(run), ["pt2"], to=tmp_path)
    names = [Path(certificate["path"]).name for certificate in certificates]
    assert names == ["lstm-ae.pt2", "lstm-ae-encode.pt2", "lstm-ae-begin.pt2", "lstm-ae-step.pt2"]
    opened = loading.open_model(str(run), Path())
    tokens, lengths = some(3, 12, words=20)
    encode, begin, step = (torch.export.load(tmp_path / name).module() for name in names[1:])
    latent = encode(tokens=tokens, lengths=lengths)
    expected = evaluation.say(opened.run.model, latent, 4)
    hidden, cell = begin(latent=latent)
    word, said = torch.full((3, 1), END), []
    for _ in range(4):  # decoding as anyone would, with the exported parts alone
        logits, latent, hidden, cell = step(before=word, latent=latent, hidden=hidden, cell=cell)
        word = logits.argmax(2)
        said.append(word)
    assert torch.equal(torch.cat(said, 1)[:, : expected.shape[1]], expected)


def test_its_layers_are_shown_each_once_with_all_their_parameters() -> None:
    found = made()
    rows = shapes.trace(found.model, export.spec(found).inputs)
    names = [row["layer"] for row in rows]
    assert {"onward", "back", "decoder", "embedding"} <= set(names)
    assert len(names) == len(set(names))
    own = sum(parameter.numel() for parameter in found.model.parameters())
    assert sum(row["parameters"] for row in rows) == own - found.model.get_parameter("bias").numel()
