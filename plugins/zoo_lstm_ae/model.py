"""The network, its loss and its batches.

Shapes: B sentences of T words with their end token, padded at the right; E embedding, H units, D latent numbers, V
words. Tokens are numbers of words, lengths count words without the end token.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo_lstm_ae.vocabulary import END, PAD, SPECIALS, UNKNOWN

if TYPE_CHECKING:
    from zoo_lstm_ae.plugin import Config

State = tuple[Tensor, Tensor, Tensor]
"""Of the decoder: the latent turned to the place that comes next, (B, D), then hidden and cell, (layers, B, H)."""
CERTAINTY = 8.0
"""The square of a word's embedding at the start, which is the logit of a word that is read without noise."""


class SequenceAutoencoder(nn.Module):
    """An LSTM in each direction down to D numbers, and an LSTM that says the sentence again from them alone.

    Encoder and decoder of sequence-to-sequence learning (Sutskever, Vinyals & Le 2014, arXiv:1409.3215), with the
    source as the target, around a memory that needs no learning, a superposition of all words, each bound to its place
    (holographic reduced representations: Plate 1995; in their form with phases, Plate 2003):

        z = W [LSTM(x), LSTM(reversed x)] + sum_t R^t B e(x_t)      u_t = C R^-t z
        logits_t = E (P LSTM([e(x_t-1), u_t]) + u_t) + b

    R turns the numbers of z in pairs by angles that are spread evenly, so that the trace of R^t is 0 for 0 < t < D:
    what stands at another place is noise of mean 0. C begins as the transpose of B, whose columns are orthonormal: u_t
    is then e(x_t) and that noise, before one step of training. The LSTMs learn to take the noise away, and what words
    follow each other. The output layer E is the embedding (tied, arXiv:1608.05859). Padding changes nothing: it lies
    behind the sentence, and each LSTM is read where the sentence ends.

    Shapes:
        tokens: (B, T) int64, words and the end token, then padding
        lengths: (B,) int64, words without the end token
        output: logits (B, T, V) of each word given those before it, and latent z (B, D)
    """

    def __init__(self, config: Config, words: int) -> None:
        super().__init__()
        size, width, latent = config.embedding_dim, config.hidden_dim, config.latent_dim
        self.layers, self.word_dropout = config.layers, config.word_dropout
        self.embedding = nn.Embedding(words, size, padding_idx=PAD)
        self.dropout = nn.Dropout(config.dropout)
        self.onward = nn.LSTM(size, config.encoder_dim, batch_first=True)
        self.back = nn.LSTM(size, config.encoder_dim, batch_first=True)
        self.squeeze = nn.Linear(2 * config.encoder_dim, latent)
        self.bind = nn.Linear(size, latent, bias=False)
        self.unbind = nn.Linear(latent, size, bias=False)
        self.start = nn.Linear(latent, 2 * config.layers * width)
        self.decoder = nn.LSTM(2 * size, width, config.layers, batch_first=True)
        self.project = nn.Linear(width, size)
        self.bias = nn.Parameter(torch.zeros(words))
        nn.init.normal_(self.embedding.weight, std=(CERTAINTY / size) ** 0.5)
        nn.init.orthogonal_(self.bind.weight)
        self.unbind.weight.data.copy_(self.bind.weight.data.T)
        for lstm in (self.onward, self.back, self.decoder):
            remember(lstm)

    def encode(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) to (B, D); what stands behind a sentence's end token is not looked at."""
        place = torch.arange(tokens.shape[1], device=tokens.device)
        mirrored = (lengths[:, None] - 1 - place).clamp(min=0)
        last = (lengths - 1).clamp(min=0)[:, None, None]
        ends = []
        for lstm, order in ((self.onward, tokens), (self.back, tokens.gather(1, mirrored))):
            states, _ = lstm(self.dropout(self.embedding(order)))
            ends.append(states.gather(1, last.expand(-1, -1, states.shape[2]))[:, 0])
        placed = turn(self.bind(self.embedding(tokens)), place) * (place <= lengths[:, None])[..., None]
        latent: Tensor = self.squeeze(torch.cat(ends, 1)) + placed.sum(1)
        return latent

    def begin(self, latent: Tensor) -> State:
        """The decoder's first state from (B, D): the latent itself, and (layers, B, H) twice."""
        state = self.start(latent).tanh().unflatten(1, (2 * self.layers, -1)).transpose(0, 1)
        return latent, state[: self.layers].contiguous(), state[self.layers :].contiguous()

    def step(self, before: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, T, V) for what follows each of the words `before` (B, T), and the state after the last."""
        latent, hidden, cell = state
        steps = before.shape[1]
        turned = turn(latent[:, None], -torch.arange(steps + 1, device=latent.device))
        said = self.unbind(turned[:, :-1])
        words = self.dropout(self.embedding(before))
        states, (hidden, cell) = self.decoder(torch.cat([words, said], 2), (hidden, cell))
        logits = F.linear(self.project(self.dropout(states)) + said, self.embedding.weight, self.bias)
        return logits, (turned[:, -1], hidden, cell)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher-forced: each word is predicted from the latent and the true words before it."""
        latent = self.encode(tokens, lengths)
        before = F.pad(tokens[:, :-1], (1, 0), value=END)
        if self.training and self.word_dropout:
            unseen = torch.rand(before.shape, device=before.device) < self.word_dropout
            before = before.masked_fill(unseen, UNKNOWN)
        return self.step(before, self.begin(latent))[0], latent


def turn(x: Tensor, place: Tensor) -> Tensor:
    """R^place x: each pair of numbers (x_k, x_k+D/2) turned by place * pi (2k + 1) / D.

    Shapes:
        x: (B, T or 1, D); place: (T,)
        output: (B, T, D)
    """
    pairs = x.shape[-1] // 2
    angle = place[..., None] * (torch.arange(1, 2 * pairs, 2, device=x.device) * (math.pi / (2 * pairs)))
    cos, sin = angle.cos(), angle.sin()
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def remember(lstm: nn.LSTM) -> None:
    """Starts with forget gates that are rather open (a bias of 1: Jozefowicz, Zaremba & Sutskever 2015).

    What a sentence began with has a long way to go.
    """
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias_hh"):
                parameter.chunk(4)[1].fill_(1.0)


def cross_entropy(logits: Tensor, tokens: Tensor, reduction: str = "sum") -> Tensor:
    """-log softmax(logits)[token] in nats over what is not padding; logits (B, T, V), tokens (B, T).

    In float32 whatever the autocast. Softmax is taken here and nowhere else: see `refuse_probabilities`.
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten(), ignore_index=PAD, reduction=reduction)


def refuse_probabilities(logits: Tensor) -> None:
    """Refuses logits (..., V) whose every row is a probability distribution already.

    Softmax before cross-entropy bounds all logits by 0 and 1: a certain and right answer then costs
    ln(e + V - 1) - 1 nats instead of 0, a perplexity that never falls below 242.7 with 658 words.

    Raises:
        ConfigError: no value is negative and every row sums to 1.
    """
    rows = logits.detach().float()
    if bool((rows >= 0).all()) and bool(((rows.sum(-1) - 1).abs() < 1e-2).all()):
        raise zoo.ConfigError(
            "the loss was given probabilities (no value is negative, each row sums to 1), expected logits: "
            "cross-entropy takes the softmax itself. Next: hand over the last layer's output without softmax."
        )


def loss(run: zoo.Run, mean_tokens: float) -> Callable[[nn.Module, tuple[Tensor, Tensor]], Tensor]:
    """Cross-entropy of a token in nats, where each token of the data weighs the same, whatever batch it is in.

    The sum over a batch is divided by the tokens that as many sentences have on average: so batches of short sentences
    do not weigh more than their share, and shares of a batch, in several processes, add up to the whole.
    """
    checked = False
    config: Config = run.config

    def of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        nonlocal checked
        tokens, lengths = batch
        if config.noise and model.training:
            tokens = disturb(tokens, lengths, config.noise, model.get_parameter("bias").shape[0])
        logits = model(tokens, lengths)[0]
        if not checked:
            refuse_probabilities(logits)
            checked = True
        return cross_entropy(logits, tokens) / (len(tokens) * mean_tokens)

    return of


def disturb(tokens: Tensor, lengths: Tensor, share: float, words: int) -> Tensor:
    """Half of the sentences with a share of their words replaced by any others, all words alike, (B, T).

    Source and target alike, so what is to be learnt stays the copy: of rare words too, and where no grammar helps.
    Among the others is <unk>, which no sentence holds where the vocabulary has every word of the train split.
    """
    chosen = torch.rand(tokens.shape, device=tokens.device) < share
    chosen &= torch.rand(len(tokens), 1, device=tokens.device) < 0.5
    chosen &= torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    others = torch.randint(END, max(words, len(SPECIALS)), tokens.shape, device=tokens.device)
    return torch.where(chosen, others.masked_fill(others == END, UNKNOWN), tokens)


class Buckets(zoo.Batches):
    """Sentences in batches of like length, padded to the longest of the batch and no further.

    Drawn anew for each epoch: all sentences in random order, a rest that fills no batch left out, then ordered by
    length, so that chance decides between sentences of one length; cut; and the batches shuffled.

    Args:
        tokens: (N, T) int64, padded.
        lengths: (N,) int64, words without the end token.
        batch_size: sentences in a batch.
        shuffle: draw; else the order is that of the length, and nothing is left out.
    """

    def __init__(self, tokens: Tensor, lengths: Tensor, batch_size: int, shuffle: bool = True) -> None:
        super().__init__(tokens, lengths, batch_size=batch_size, shuffle=shuffle)
        self.lengths = lengths.cpu()
        self.mean_tokens = (self.lengths + 1).double().mean().item()

    def plan(self, generator: torch.Generator | None) -> list[Tensor]:
        """The epoch's batches as index tensors, a pure function of the generator's state."""
        if not self.shuffle:
            return list(torch.split(torch.argsort(self.lengths, stable=True), self.batch_size))
        drawn = torch.cat(super().plan(generator))
        batches = torch.split(drawn[torch.argsort(self.lengths[drawn], stable=True)], self.batch_size)
        return [batches[number] for number in torch.randperm(len(batches), generator=generator).tolist()]

    def take(self, index: Tensor) -> tuple[Tensor, ...]:
        """Tokens (B, T) of those sentences, T the longest of them with its end token, and lengths (B,)."""
        tokens, lengths = (tensor[index] for tensor in self.tensors)
        return tokens[:, : int(lengths.max()) + 1], lengths


def batches(run: zoo.Run, tokens: Tensor, lengths: Tensor) -> Buckets:
    """The training sentences, less those of more than `max_length` words.

    Raises:
        ConfigError: none is left.
    """
    config: Config = run.config
    kept = lengths <= config.max_length
    if not bool(kept.any()):
        raise zoo.ConfigError(
            f"max_length = {config.max_length}: the shortest training sentence has {int(lengths.min())} words. "
            f"Next: --set max_length={int(lengths.max())}"
        )
    tokens = tokens[kept, : int(lengths[kept].max()) + 1]
    return Buckets(tokens, lengths[kept], config.batch_size)


def network(run: zoo.Run) -> Any:
    """The run's model, as what it is."""
    return run.model
