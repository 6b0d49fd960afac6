"""A model's recipe: typed, frozen, every value with its reason, and a record of who set it."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, dataclass_transform, get_args, get_origin

from zoo.errors import ConfigError, nearest


def field(
    *,
    default: Any,
    doc: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A key of a config: its default, its unit or reason, and its bounds (`ge` is "greater than or equal to")."""
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    metadata = {"doc": doc, "bounds": {name: bound for name, bound in bounds.items() if bound is not None}}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class _Typed:
    """Makes each subclass a frozen dataclass, without a decorator to forget."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)


class Config(_Typed):
    """Base of every recipe: what the engine itself reads. A subclass adds its own keys and changes defaults.

    Construction checks types and bounds. A subclass that has rules across keys defines `check()`.

    Raises:
        ConfigError: a value has the wrong type or lies outside its bounds.
    """

    epochs: int = field(default=10, doc="passes over the training data", ge=1)
    batch_size: int = field(default=128, doc="examples in one step, over all processes together", ge=1)
    optimizer: Literal["adamw", "sgd", "muon"] = field(
        default="adamw", doc="AdamW (arXiv:1711.05101), SGD with Nesterov momentum, or Muon (arXiv:2502.16982)"
    )
    lr: float = field(default=1e-3, doc="peak learning rate", gt=0)
    weight_decay: float = field(default=0.01, doc="decoupled, but for SGD; not applied to biases and norms", ge=0)
    momentum: float = field(default=0.9, doc="momentum of SGD and Muon, first beta of AdamW", ge=0, lt=1)
    beta2: float = field(default=0.99, doc="second beta of AdamW", ge=0, lt=1)
    schedule: Literal["onecycle", "cosine", "constant"] = field(default="onecycle", doc="learning rate over the run")
    warmup: float = field(default=0.3, doc="share of the steps in which onecycle climbs to its peak", gt=0, lt=1)
    ema_decay: float = field(
        default=0.0, doc="decay of the averaged weights that are saved and scored; 0: no average", ge=0, lt=1
    )
    grad_clip: float = field(default=0.0, doc="largest norm of the gradient; 0: no clipping", ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = field(
        default="auto", doc="arithmetic of training; auto: what a probe on this machine shows to be fastest"
    )
    weights_dtype: Literal["float32", "float16", "bfloat16"] = field(
        default="float32", doc="what trained parameters are stored as; all figures are of what is stored"
    )
    checkpoint_seconds: float = field(
        default=30.0, doc="time between checkpoints within an epoch; 0: after each step", ge=0
    )

    def __post_init__(self) -> None:
        kinds = hints(type(self))
        for item in keys(type(self)):
            value = coerce(item.name, getattr(self, item.name), kinds[item.name])
            _within(item.name, value, item.metadata.get("bounds", {}))
            object.__setattr__(self, item.name, value)
        self.check()

    def check(self) -> None:
        """Rules across keys; a subclass raises ConfigError where they are broken."""

    def to_json(self) -> dict[str, Any]:
        """Keys and values as plain JSON."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self).items()}


def keys(config: type[Config]) -> tuple[dataclasses.Field[Any], ...]:
    """The keys of a recipe, the engine's first."""
    return dataclasses.fields(config)


def hints(config: type[Config]) -> dict[str, Any]:
    """The type of each key."""
    found: dict[str, Any] = _hints(config)
    return found


_hints: Any = cache(typing.get_type_hints)


def resolve(config: type[Config], layers: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Config, dict[str, str]]:
    """A config from layers of (who, {key: value}), later ones winning, and who set each key ("recipe": the default).

    Raises:
        ConfigError: an unknown key, with the nearest known one, or a value that its key does not take.
    """
    known = [item.name for item in keys(config)]
    values: dict[str, Any] = {}
    set_by = dict.fromkeys(known, "recipe")
    for who, layer in layers:
        for key, value in layer.items():
            if key not in set_by:
                near = nearest(key, known)
                hint = f"Did you mean {near!r}?" if near else f"Known: {', '.join(known)}."
                raise ConfigError(f"{who}: unknown config key {key!r}. {hint}")
            values[key], set_by[key] = value, who
    return config(**values), set_by


def coerce(key: str, value: Any, kind: Any) -> Any:
    """The value as the key's type: lists become tuples, whole numbers become floats where a float is expected.

    Raises:
        ConfigError: naming the key, the value and the type that was expected.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value in arguments:
            return value
        choices = [str(choice) for choice in arguments]
        near = nearest(str(value), choices)
        raise ConfigError(f"{key} = {value!r}: expected one of {', '.join(choices)}.{_hint(near)}")
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(coerce(f"{key}[{i}]", item, arguments[0]) for i, item in enumerate(value))
    if origin is types.UnionType:
        if value is None and type(None) in arguments:
            return None
        return coerce(key, value, next(argument for argument in arguments if argument is not type(None)))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} = {value!r}: expected a finite number.")
    if kind in (int, float, bool, str) and type(value) is kind:
        return value
    raise ConfigError(f"{key} = {value!r}: expected {describe(kind)}.")


def describe(kind: Any) -> str:
    """A type in words, for messages and `zoo info`."""
    if get_origin(kind) is Literal:
        return "|".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {describe(get_args(kind)[0])}"
    if get_origin(kind) is types.UnionType:
        return " or ".join(describe(argument) for argument in get_args(kind) if argument is not type(None))
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}.get(kind, str(kind))


def _within(key: str, value: Any, bounds: Mapping[str, float]) -> None:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    for item in value if isinstance(value, tuple) else (value,):
        broken = {
            "ge": lambda item, bound: item < bound,
            "gt": lambda item, bound: item <= bound,
            "le": lambda item, bound: item > bound,
            "lt": lambda item, bound: item >= bound,
        }
        if item is not None and any(broken[name](item, bound) for name, bound in bounds.items()):
            wanted = " and ".join(f"{signs[name]} {bound:g}" for name, bound in bounds.items())
            raise ConfigError(f"{key} = {value!r}: expected {wanted}.")


def _hint(near: str | None) -> str:
    return f" Did you mean {near!r}?" if near else ""
