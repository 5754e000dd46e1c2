from dataclasses import astuple

import pytest

from lookalike.reproduction.plan import PLAIN, PROPOSED
from lookalike.reproduction.tables import (
    Difference,
    Spread,
    Table,
    ablation_table,
    difference_table,
    lettered,
    plain_cells,
    runs_table,
    sweep_table,
)


def ranking(value, n=20):
    return {m: [value + 0.01 * (q % 3) for q in range(n)] for m in ("map", "precision", "miou")}


def ablation(content, mixture=None, layout=None):
    rankings = {"0": ranking(content)}
    if mixture is not None:
        rankings |= {"0.2": ranking(mixture), "1": ranking(layout)}
    chance = {"map": 0.1, "precision": 0.1, "miou": 0.1}
    return {"rankings": rankings, "learned": {"label_map": content}, "random": chance}


CELLS = {
    PROPOSED: {1: ablation(0.5, 0.6, 0.4), 2: ablation(0.52, 0.64, 0.4)},
    PLAIN: {1: ablation(0.5), 2: ablation(0.5)},
}


def test_ablations_are_means_over_queries_then_seeds():
    table = ablation_table(CELLS)
    rows = {str(row[0]): dict(zip(table.heads, row, strict=True)) for row in table.rows}
    assert list(rows) == [PROPOSED, "(a) no self-encoding", "random order"]
    cell = rows[PROPOSED]["mAP by content"]
    assert cell.mean == pytest.approx(0.51 + 0.0095)
    assert cell.deviation == pytest.approx(0.02 / 2**0.5)
    assert rows["(a) no self-encoding"]["mIoU@10 by layout"] is None
    assert rows["random order"]["mIoU@10 by layout"] == 0.1


def test_differences_are_paired_and_fall_back_to_content():
    table = difference_table(CELLS)
    [row] = table.rows
    found = dict(zip(table.heads, row, strict=True))
    assert found["minus"] == "(a) no self-encoding"
    assert found["mAP by content"].by_seed == pytest.approx((0, 0.02))
    mixture = found["mIoU@10 by the mixture"]
    assert isinstance(mixture, Difference)
    assert mixture.by_seed == pytest.approx((0.1, 0.14))
    assert mixture.mean == pytest.approx(0.12)
    assert (mixture.low, mixture.high) == pytest.approx((0.12, 0.12))
    assert mixture.p_value < 0.01
    assert found["mIoU@10 by layout"].mean == pytest.approx(-0.1)


def test_p_values_are_adjusted_for_the_whole_table():
    alone = difference_table({name: CELLS[name] for name in (PROPOSED, PLAIN)})
    more = difference_table({**CELLS, "codes shuffled": CELLS[PLAIN]})
    assert more.rows[0][5].p_value > alone.rows[0][5].p_value


def test_without_the_proposed_features_there_are_no_differences():
    assert difference_table({PLAIN: CELLS[PLAIN]}).rows == ()


def test_sweeps_show_both_degenerate_clusterings_beneath():
    def row(k, f):
        return {"k": k, "scores": {"f": f}, "one_cluster": {"f": 0.6}, "random": {"f": 1 / k}}

    cells = {
        "A": {1: {"rows": [row(5, 0.4), row(10, 0.2)]}, 2: {"rows": [row(5, 0.6), row(10, 0.2)]}}
    }
    table = sweep_table(cells)
    assert table.heads == ("", "k = 5", "k = 10")
    assert astuple(table.rows[0][1]) == pytest.approx((0.5, 0.2 / 2**0.5))
    assert table.rows[1:] == (
        ("everything in one cluster", 0.6, 0.6),
        ("random clusters", 0.2, 0.1),
    )


def test_runs_are_shown_with_their_spread():
    def cell(p):
        run = {"precision": [p] * 4, "precision_sd": [0.1] * 4}
        run |= {"recall": [0.2] * 4, "recall_sd": [0.0] * 4}
        return {"n_clusters": 7, "list": run, "map": 0.3, "r_precision": 0.4}

    table = runs_table({"A": {1: cell(0.5), 2: cell(0.7)}}, "list")
    assert "7 clusters" in table.caption
    assert table.heads[1:5] == ("P@2", "P@5", "P@8", "P@10")
    assert astuple(table.rows[0][1]) == pytest.approx((0.6, 0.1))
    assert astuple(table.rows[0][-1]) == pytest.approx((0.4, 0))


def test_tables_become_plain_text():
    cells = ("(a)  x", 1, 0.25, Spread(0.5), Spread(0.5, 0.25), None)
    difference = Difference(0.1, -0.1, 0.3, 0.04, (0.0, 0.2))
    table = Table("t", "c", ("", *"abcdef"), ((*cells, difference),))
    assert list(plain_cells(table)) == [
        ["", *"abcdef"],
        [
            *("(a)  x", "1", "0.25", "0.5", "0.5 ± 0.25", ""),
            "+0.1000 [-0.1000, +0.3000] p 0.0400 seeds +0.0000 +0.2000",
        ],
    ]


def test_only_ablations_have_letters():
    assert lettered("frozen trunk") == "(f) frozen trunk"
    assert lettered(PROPOSED) == PROPOSED
