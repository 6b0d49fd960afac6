"""Every global generator is seeded, read, put back and kept."""

from __future__ import annotations

import random

import numpy as np
import torch

from zoo import generators

CPU = torch.device("cpu")


def draw() -> tuple[float, ...]:
    return (random.gauss(0, 1), random.random(), float(np.random.randn()), float(torch.randn(1)))


def test_every_generator_goes_on_where_it_was() -> None:
    random.gauss(0, 1)
    np.random.randn()  # both keep a second number back, which is state too
    kept = generators.get_random_state(CPU)

    first = [draw() for _ in range(3)]
    generators.set_random_state(kept, CPU)
    assert [draw() for _ in range(3)] == first


def test_a_seed_fixes_every_generator() -> None:
    generators.seed_everything(3)
    first = draw()
    assert draw() != first
    generators.seed_everything(3)
    assert draw() == first


def test_a_block_that_is_kept_apart_moves_no_generator() -> None:
    generators.seed_everything(0)
    expected = [draw(), draw()]
    generators.seed_everything(0)
    found = [draw()]
    with generators.kept_random_state(CPU):
        draw()
    assert [*found, draw()] == expected


def test_each_epoch_of_each_seed_has_a_number_of_its_own() -> None:
    assert len({generators.mix(seed, epoch) for seed in range(50) for epoch in range(50)}) == 2500
