"""Recipes: types, bounds, layers, and who set what."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from zoo import config
from zoo.errors import ConfigError


class Recipe(config.Config):
    depth: int = config.field(default=2, doc="layers", ge=1, le=8)
    share: float = config.field(default=0.5, doc="share", gt=0, lt=1)
    kind: Literal["plain", "deep"] = config.field(default="plain", doc="kind")
    sizes: tuple[int, ...] = config.field(default=(3, 3), doc="sizes", ge=1)
    clip: float | None = config.field(default=None, doc="clip", ge=0)
    tied: bool = config.field(default=False, doc="tied")


def test_later_layers_win_and_are_named() -> None:
    layers: list[tuple[str, dict[str, Any]]]
    layers = [("recipe for x", {"depth": 3, "share": 0.1}), ("file a.toml", {"share": 0.2}), ("argument", {"lr": 1})]
    resolved, set_by = config.resolve(Recipe, layers)
    assert (resolved.depth, resolved.share, resolved.lr) == (3, 0.2, 1.0)  # type: ignore[attr-defined]
    assert isinstance(resolved.lr, float)
    assert set_by["depth"] == "recipe for x"
    assert set_by["share"] == "file a.toml"
    assert set_by["lr"] == "argument"
    assert set_by["tied"] == "recipe"
    assert set(set_by) == {item.name for item in config.keys(Recipe)}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("depht", 3, "Did you mean 'depth'"),
        ("depth", 0, ">= 1 and <= 8"),
        ("depth", 9, ">= 1 and <= 8"),
        ("depth", 2.0, "expected whole number"),
        ("depth", True, "expected whole number"),
        ("depth", "2", "expected whole number"),
        ("share", 1.0, "> 0 and < 1"),
        ("share", float("nan"), "finite"),
        ("share", float("inf"), "finite"),
        ("kind", "deap", "Did you mean 'deep'"),
        ("sizes", [3, "x"], "sizes[1]"),
        ("sizes", [0], ">= 1"),
        ("sizes", 3, "expected list of whole number"),
        ("clip", -1.0, ">= 0"),
        ("tied", 1, "true or false"),
    ],
)
def test_what_a_key_does_not_take_is_refused(key: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=r".") as caught:
        config.resolve(Recipe, [("argument", {key: value})])
    assert words in str(caught.value)


def test_a_recipe_is_frozen_and_survives_json() -> None:
    recipe = Recipe(sizes=[5, 7], clip=1)  # type: ignore[arg-type]
    assert Recipe(**recipe.to_json()) == recipe
    assert recipe.sizes == (5, 7)
    with pytest.raises(AttributeError):
        recipe.depth = 3  # type: ignore[misc]
