"""Sparse products and blocks, against dense matrices."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from zoo import graphs
from zoo.sparse import Sparse, ranges


def graph(nodes: int, edges: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A directed graph with loops, double edges and isolated nodes."""
    draw = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(0, max(1, nodes - 3), (2, edges), generator=draw)
    return edge_index, torch.rand(edges, generator=draw) + 0.1


@pytest.mark.parametrize(("nodes", "edges"), [(12, 40), (1, 1), (1, 0), (5, 0)])
def test_sparse_product_message_passing_and_dense_matrix_agree_forwards_and_backwards(nodes: int, edges: int) -> None:
    edge_index, weight = graph(nodes, edges)
    dense = torch.zeros(nodes, nodes).index_put((edge_index[1], edge_index[0]), weight, accumulate=True)
    x, upstream = torch.randn(nodes, 4), torch.randn(nodes, 4)
    for matrix in (graphs.matrix(edge_index, weight, (nodes, nodes), scatter) for scatter in (False, True)):
        given = x.clone().requires_grad_()
        made = matrix @ given
        made.backward(upstream)  # type: ignore[no-untyped-call]
        torch.testing.assert_close(made, dense @ x)
        assert given.grad is not None
        torch.testing.assert_close(given.grad, dense.T @ upstream)


def test_a_symmetric_matrix_keeps_no_transpose_and_another_does() -> None:
    edge_index, weight = graph(12, 40)
    both = torch.cat([edge_index, edge_index.flip(0)], 1).unique(dim=1)  # type: ignore[no-untyped-call]
    ones = torch.ones(both.shape[1])
    made = graphs.matrix(both, graphs.normalised(both, ones, 12), (12, 12))
    assert isinstance(made, Sparse)
    assert made.transposed is None
    directed = graphs.matrix(edge_index, weight, (12, 12))
    assert isinstance(directed, Sparse)
    assert directed.transposed is not None


def test_blocks_are_the_blocks_of_the_dense_matrix_in_any_order_and_their_gradient_too() -> None:
    offsets = torch.tensor([0, 5, 6, 6, 12, 20])
    parts = [torch.randint(int(a), int(b), (2, 9)) for a, b in pairwise(offsets) if b > a]
    edge_index = torch.cat(parts, 1)
    whole = graphs.matrix(edge_index, torch.rand(edge_index.shape[1]), (20, 20))
    assert isinstance(whole, Sparse)
    for wanted in ([3, 0, 4], [1], [2], [4, 2, 3, 1, 0]):
        index = torch.tensor(wanted)
        nodes = ranges(offsets[index], offsets.diff()[index])
        made = whole.blocks(offsets, index)
        expected = whole.dense()[nodes][:, nodes]
        torch.testing.assert_close(made.dense(), expected)
        x = torch.randn(len(nodes), 3, requires_grad=True)
        upstream = torch.randn(len(nodes), 3)
        (made @ x).backward(upstream)  # type: ignore[no-untyped-call]
        assert x.grad is not None
        torch.testing.assert_close(x.grad, expected.T @ upstream)
