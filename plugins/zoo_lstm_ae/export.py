"""What is exported: one teacher-forced pass, and apart what is of use alone, the encoder and one step of the decoder.

The exporters unroll an LSTM, so a sentence has a fixed width there: `max_length` words and the end token, padded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo_lstm_ae.vocabulary import END, PAD, UNKNOWN


class Encode(nn.Module):
    """Tokens (B, T) and lengths (B,) to latent (B, D)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """(B, D)."""
        latent: Tensor = self.model.encode(tokens, lengths)
        return latent


class Begin(nn.Module):
    """Latent (B, D) to the decoder's first state but the latent itself."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(B, layers, H) twice."""
        _, hidden, cell = self.model.begin(latent)
        return hidden.transpose(0, 1), cell.transpose(0, 1)


class Step(nn.Module):
    """The word before (B, 1), latent (B, D) and state (B, layers, H) twice to logits (B, 1, V) and the next of these.

    To decode, begin with the end token, and go on with the likeliest word until that is the end token.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, before: Tensor, latent: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """Logits, latent, hidden, cell."""
        state = (latent, hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        logits, (latent, hidden, cell) = self.model.step(before, state)
        return logits, latent, hidden.transpose(0, 1), cell.transpose(0, 1)


def spec(run: zoo.Run) -> zoo.ExportSpec:
    """Example inputs; any number of sentences, padded to `max_length` words and the end token."""
    generator, config = torch.Generator().manual_seed(0), run.config
    width = config.max_length + 1
    words = int(run.model.get_parameter("bias").shape[0])
    tokens = torch.randint(UNKNOWN, words, (8, width), generator=generator)
    lengths = torch.arange(8) * config.max_length // 8 + 1
    place = torch.arange(width)
    tokens = tokens.masked_fill(place == lengths[:, None], END).masked_fill(place > lengths[:, None], PAD)
    sentences = {"tokens": tokens, "lengths": lengths}
    axes = {"tokens": {0: "batch"}, "lengths": {0: "batch"}}
    latent = torch.randn(8, config.latent_dim, generator=generator)
    state = {
        name: torch.randn(8, config.layers, config.hidden_dim, generator=generator).tanh()
        for name in ("hidden", "cell")
    }
    step = {"before": torch.full((8, 1), END), "latent": latent, **state}
    return zoo.ExportSpec(
        sentences,
        ("logits", "latent"),
        axes,
        parts={
            "encode": zoo.ExportSpec(sentences, ("latent",), axes, module=Encode(run.model)),
            "begin": zoo.ExportSpec(
                {"latent": latent}, ("hidden", "cell"), {"latent": {0: "batch"}}, module=Begin(run.model)
            ),
            "step": zoo.ExportSpec(
                step,
                ("logits", "next_latent", "next_hidden", "next_cell"),
                {name: {0: "batch"} for name in step},
                module=Step(run.model),
            ),
        },
    )
