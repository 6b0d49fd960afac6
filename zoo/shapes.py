"""Sizes of layers: the arithmetic of convolution and pooling, and what each layer of a model puts out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn


def conv_size(width: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Output width of a convolution or pooling, (W - K + 2P)/S + 1, where all fits evenly.

    Raises:
        ConfigError: the window does not fit into the padded input, or leaves a rest; with the arithmetic.
    """
    shown = f"W={width}, K={kernel}, S={stride}, P={padding}: {arithmetic(width, kernel, stride, padding)}"
    if min(width, kernel, stride) < 1 or padding < 0:
        raise ConfigError(f"{shown}: expected W, K, S of at least 1 and P of at least 0.")
    span = width - kernel + 2 * padding
    if span < 0:
        raise ConfigError(f"{shown} does not fit: the kernel is wider than the padded input.")
    if span % stride:
        left, right = span // stride + 1, span // stride + 2
        raise ConfigError(
            f"{shown} = {span / stride + 1:g} does not fit evenly, between {left} and {right}. "
            "Change kernel, stride or padding so that S divides W - K + 2P."
        )
    return span // stride + 1


def arithmetic(width: int, kernel: int, stride: int, padding: int) -> str:
    """The formula with its numbers, e.g. "(28 - 5 + 2*0)/1 + 1"."""
    return f"({width} - {kernel} + 2*{padding})/{stride} + 1"


def trace(model: nn.Module, inputs: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Each layer of a forward pass, where it is first used: name, kind, output shape without the batch, arithmetic,
    parameters. Of several outputs, as an LSTM has, the first one's shape.
    """
    import torch

    rows: list[dict[str, Any]] = []

    def note(name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            output = output[0] if isinstance(output, tuple) else output
            if isinstance(output, torch.Tensor) and all(row["layer"] != name for row in rows):
                parameters = sum(parameter.numel() for parameter in layer.parameters())
                row = {"layer": name, "kind": type(layer).__name__, "shape": list(output.shape[1:])}
                rows.append({**row, "arithmetic": _window(layer, given[0], output), "parameters": parameters})

        return hook

    leaves = [(name, layer) for name, layer in model.named_modules() if not list(layer.children())]
    handles = [layer.register_forward_hook(note(name)) for name, layer in leaves]
    try:
        with torch.inference_mode():
            model.eval()(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return rows


def _window(layer: nn.Module, given: Tensor, output: Tensor) -> str:
    if given.ndim != 4 or "Transpose" in type(layer).__name__:
        return ""
    numbers = [getattr(layer, name, None) for name in ("kernel_size", "stride", "padding")]
    last = [number[-1] if isinstance(number, tuple) else number for number in numbers]
    kernel, stride, padding = (number if isinstance(number, int) else -1 for number in last)
    if -1 in (kernel, stride, padding):
        return ""
    return f"{arithmetic(given.shape[-1], kernel, stride, padding)} = {output.shape[-1]}"
