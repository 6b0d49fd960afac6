"""lstm-ae: a sequence autoencoder (Sutskever, Vinyals & Le 2014), which squeezes a sentence through a few numbers.

All figures but perplexity are **free-running**: the decoder is given the latent alone, and each word that it says, not
the true one, is what it goes on from; greedily, in float32. Perplexity is teacher-forced, as its definition asks: the
probability of each true word given the latent and the true words before it.

Unknown words, those outside of the vocabulary, count as the word "<unk>" in every figure; `oov_rate` says how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

api_version = 1


class Config(zoo.Config):
    """The recipe for `sentences`."""

    latent_dim: int = zoo.field(default=256, doc="numbers that a sentence is squeezed through; even", ge=2, le=4096)
    embedding_dim: int = zoo.field(default=128, doc="numbers for a word", ge=1)
    encoder_dim: int = zoo.field(default=128, doc="hidden units of the encoder in each direction", ge=1)
    hidden_dim: int = zoo.field(default=128, doc="hidden units of each layer of the decoder", ge=1)
    layers: int = zoo.field(default=1, doc="layers of the decoder", ge=1)
    dropout: float = zoo.field(default=0.0, doc="share of embeddings and outputs set to 0 in training", ge=0, lt=1)
    word_dropout: float = zoo.field(
        default=0.2, doc="share of the decoder's words hidden in training, so that it asks the latent", ge=0, le=1
    )
    noise: float = zoo.field(
        default=0.3,
        doc="share of words replaced by any others, in source and target, in half the sentences",
        ge=0,
        le=1,
    )
    min_count: int = zoo.field(default=1, doc="occurrences in the train split that make a word known", ge=1)
    max_length: int = zoo.field(default=40, doc="words; longer sentences are left out of training", ge=1)
    epochs: int = zoo.field(default=10, doc="passes over the training sentences", ge=1)
    batch_size: int = zoo.field(default=128, doc="sentences in one step", ge=1)
    lr: float = zoo.field(default=3e-3, doc="peak learning rate of AdamW", gt=0)
    warmup: float = zoo.field(default=0.2, doc="share of the steps in which the rate climbs", gt=0, lt=1)
    grad_clip: float = zoo.field(default=1.0, doc="largest norm of the gradient", ge=0)
    val_size: int = zoo.field(default=0, doc="validation sentences scored after each epoch; 0: none", ge=0)

    def check(self) -> None:
        """Refuses latents that cannot be turned in pairs."""
        if self.latent_dim % 2:
            raise zoo.ConfigError(
                f"latent_dim = {self.latent_dim}: expected an even number: places turn the latents in pairs. "
                f"Next: --set latent_dim={self.latent_dim + 1}"
            )


@zoo.hookimpl
def zoo_model() -> zoo.ModelSpec:
    """What the model is."""
    return zoo.ModelSpec(
        name="lstm-ae",
        task="text-reconstruction",
        summary="LSTM autoencoder that keeps a sentence in a few numbers and says it again",
        paper="Sutskever, Vinyals & Le: Sequence to sequence learning with neural networks, 2014",
        config=Config,
        inputs="lines",
        datasets=("sentences", "multi30k", "text:PATH"),
        recipes={
            "multi30k": {
                "embedding_dim": 256,
                "encoder_dim": 256,
                "hidden_dim": 256,
                "latent_dim": 512,
                "min_count": 2,
                "epochs": 4,
                "lr": 2e-3,
            }
        },
        metrics=(
            zoo.Metric("exact_match", "max", "share of sentences said again word for word, and ended there"),
            zoo.Metric("token_accuracy", "max", "share of words and end tokens said right, in their place"),
            zoo.Metric("perplexity", "min", "e to the cross-entropy of a token, teacher-forced"),
            zoo.Metric("bleu", "max", "corpus BLEU of sacrebleu, 0 to 100"),
            zoo.Metric("oov_rate", "min", "share of words that the vocabulary lacks; these count as <unk>"),
        ),
    )


@zoo.hookimpl
def zoo_build(config: Config, dataset: zoo.DatasetInfo) -> nn.Module:
    """The network with random weights, for the words that the data set's description lists."""
    from zoo_lstm_ae.model import SequenceAutoencoder
    from zoo_lstm_ae.vocabulary import Vocabulary

    return SequenceAutoencoder(config, len(Vocabulary.of(dataset, config.min_count)))


@zoo.hookimpl
def zoo_train(run: zoo.Run) -> None:
    """Cross-entropy of the next word, on the train split; `val_size` sentences of the val split are watched."""
    from zoo_lstm_ae import evaluation, model

    held = evaluation.sentences(run, "val")[: run.config.val_size]
    batches = model.batches(run, *evaluation.vocabulary(run).encode(evaluation.sentences(run, "train")))
    loss = model.loss(run, batches.mean_tokens)
    zoo.fit(run, loss, batches, (lambda: evaluation.summary(run, held)) if held else None)


@zoo.hookimpl
def zoo_evaluate(run: zoo.Run) -> dict[str, Any]:
    """The metrics, also by length; the worst reconstructions; how the latents spread."""
    from zoo_lstm_ae import evaluation

    return evaluation.figures(run)


@zoo.hookimpl
def zoo_plots(run: zoo.Run, results: dict[str, Any]) -> dict[str, Figure]:
    """The latents in two dimensions, by length and by first word; the figures by length."""
    from zoo_lstm_ae import plots

    return plots.draw(run, results)


@zoo.hookimpl
def zoo_export(run: zoo.Run) -> zoo.ExportSpec:
    """One teacher-forced pass; the encoder and one step of the decoder also apart."""
    from zoo_lstm_ae import export

    return export.spec(run)


@zoo.hookimpl
def zoo_predict(run: zoo.Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The reconstruction of each sentence, with what is unknown to the model marked."""
    from zoo_lstm_ae import evaluation

    return evaluation.reconstruct(run, inputs)


@zoo.hookimpl
def zoo_embed(run: zoo.Run, inputs: Sequence[str]) -> Tensor:
    """The latent of each sentence."""
    from zoo_lstm_ae import evaluation

    return evaluation.embed(run, inputs)


@zoo.hookimpl
def zoo_sample(run: zoo.Run, count: int, between: Sequence[str]) -> list[str]:
    """Sentences on the way from one to another."""
    from zoo_lstm_ae import evaluation

    return evaluation.walk(run, between, count)
