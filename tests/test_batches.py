"""Batches: every example once, in an order that only the generator decides."""

from __future__ import annotations

import pytest
import torch

from zoo import Batches
from zoo.errors import DatasetError


def test_an_epoch_draws_each_example_once_and_drops_an_uneven_rest() -> None:
    batches = Batches(torch.arange(10), torch.arange(10) * 2, batch_size=3)
    plan = batches.plan(torch.Generator().manual_seed(0))
    assert len(batches) == len(plan) == 3
    drawn = torch.cat(plan)
    assert len(set(drawn.tolist())) == 9
    numbers, doubles = batches.take(plan[0])
    assert torch.equal(doubles, numbers * 2)
    assert torch.equal(drawn, torch.cat(batches.plan(torch.Generator().manual_seed(0))))
    assert not torch.equal(drawn, torch.cat(batches.plan(torch.Generator().manual_seed(1))))


def test_in_order_nothing_is_dropped() -> None:
    batches = Batches(torch.arange(10), batch_size=3, shuffle=False)
    assert torch.equal(torch.cat(batches.plan(None)), torch.arange(10))
    assert len(batches) == 4


def test_fewer_examples_than_a_batch_make_one_batch() -> None:
    batches = Batches(torch.arange(2), batch_size=3)
    assert [len(index) for index in batches.plan(None)] == [2]


def test_transforms_see_the_batch() -> None:
    batches = Batches(torch.arange(4.0), batch_size=2, shuffle=False, transform=lambda x: (x + 1,))
    assert batches.take(torch.tensor([0, 3]))[0].tolist() == [1, 4]


def test_empty_or_uneven_data_are_refused() -> None:
    with pytest.raises(DatasetError, match="at least one"):
        Batches(torch.zeros(0, 3), batch_size=2)
    with pytest.raises(DatasetError, match=r"\[2, 3\]"):
        Batches(torch.zeros(2), torch.zeros(3), batch_size=2)
