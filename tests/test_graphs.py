"""Normalisation, dropout, codes and checks of graphs, against dense matrices and PyG."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from zoo import graphs
from zoo.sparse import Sparse


def graph(nodes: int, edges: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A directed graph with loops, double edges and isolated nodes."""
    draw = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(0, max(1, nodes - 3), (2, edges), generator=draw)
    return edge_index, torch.rand(edges, generator=draw) + 0.1


def test_normalisation_is_that_of_pyg_with_weights_loops_directions_and_isolated_nodes() -> None:
    edge_index, weight = graph(12, 30)
    edge_index = edge_index.unique(dim=1)  # type: ignore[no-untyped-call]
    weight = weight[: edge_index.shape[1]]
    assert (edge_index[0] == edge_index[1]).any()
    theirs, values = gcn_norm(edge_index, weight, 12, add_self_loops=True)
    ours, own = graphs.with_loops(edge_index, weight, 12)
    expected = graphs.matrix(theirs, values, (12, 12)) @ torch.eye(12)
    found = graphs.matrix(ours, graphs.normalised(ours, own, 12), (12, 12)) @ torch.eye(12)
    torch.testing.assert_close(found, expected)
    assert graphs.normalised(edge_index, weight * 0, 12).abs().max() == 0


def test_damping_multiplies_the_sum_by_log_over_degree() -> None:
    edge_index, weight = torch.tensor([[0, 1, 2, 0], [3, 3, 3, 1]]), torch.tensor([1.0, 1.0, 2.0, 5.0])
    found = graphs.matrix(edge_index, graphs.damped(edge_index, weight, 4), (4, 4)) @ torch.ones(4, 1)
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, 5.0, 0.0, 4.0]).log1p())


def test_dropout_of_a_sparse_matrix_leaves_zeros_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    edge_index, weight = graph(200, 6000)
    x = Sparse.of(edge_index[0], edge_index[1], weight, (200, 200))
    dropped = graphs.dropout(x, 0.75, True)
    assert isinstance(dropped, Sparse)
    assert set(torch.unique((dropped.values / x.values).round(decimals=3)).tolist()) == {0.0, 4.0}
    assert dropped.values.mean().item() == pytest.approx(x.values.mean().item(), rel=0.1)
    assert graphs.dropout(x, 0.75, False) is x
    dense = graphs.dropout(torch.ones(100, 100), 0.25, True)
    assert isinstance(dense, Tensor)
    assert dense.mean().item() == pytest.approx(1, abs=0.05)


def test_rows_are_divided_by_their_sum_sparse_or_dense() -> None:
    x = torch.tensor([[1.0, 3.0], [0.0, 0.0], [0.25, 0.25]])
    expected = torch.tensor([[0.25, 0.75], [0.0, 0.0], [0.25, 0.25]])
    rows, columns = x.nonzero().T
    sparse = graphs.row_normalised(Sparse.of(rows, columns, x[rows, columns], (3, 2)))
    assert isinstance(sparse, Sparse)
    torch.testing.assert_close(sparse.dense(), expected)
    torch.testing.assert_close(graphs.row_normalised(x), expected)


def test_a_degree_is_coded_by_its_logarithm_and_its_power_of_two() -> None:
    code = graphs.degree_code(torch.tensor([[0.0], [1.0], [2.0], [7.0], [1e6]]))
    assert code.shape == (5, graphs.DEGREE_CODE)
    assert code[:, 1:].argmax(1).tolist() == [0, 1, 1, 3, 11]
    torch.testing.assert_close(code[:, 0], torch.tensor([1.0, 2.0, 3.0, 8.0, 1e6 + 1]).log())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edge_index": torch.tensor([[0, 3], [1, 1]])}, "has 3, expected nodes 0 to 2"),
        ({"edge_index": torch.tensor([[0, -1], [1, 1]])}, "has -1, expected nodes 0 to 2"),
        ({"edge_index": torch.tensor([0, 1])}, "expected whole numbers"),
        ({"edge_index": torch.rand(2, 2)}, "expected whole numbers"),
        ({"x": torch.tensor([[1.0], [float("nan")], [1.0]])}, "x has 1 values that are NaN"),
        ({"x": torch.ones(2, 1)}, "x has 2 rows, expected one for each of 3 nodes"),
        ({"edge_weight": torch.tensor([1.0, float("inf")])}, "edge_weight has 1 values"),
        ({"edge_weight": torch.tensor([1.0, -2.0])}, "expected no negative weight"),
        ({"edge_weight": torch.ones(3)}, "expected one for each of 2 edges"),
    ],
)
def test_what_is_wrong_with_a_graph_is_said(change: dict[str, Tensor], said: str) -> None:
    good = {"edge_index": torch.tensor([[0, 1], [1, 2]]), "edge_weight": torch.ones(2), "x": torch.ones(3, 1)}
    assert graphs.problem(nodes=3, **good) is None
    assert said in (graphs.problem(nodes=3, **{**good, **change}) or "")
