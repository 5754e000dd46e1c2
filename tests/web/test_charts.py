"""Charts: where figures are drawn, and what the table beside them says."""

import math

import pytest

from lookalike.web.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Line, Point, draw


def line(*values, **words):
    return Line("P", [Point(float(n), y) for n, y in enumerate(values, start=1)], **words)


def test_shares_go_from_the_bottom_to_the_top_and_from_left_to_right():
    drawn = draw(Chart("Precision", "k", [line(0.0, 0.5, 1.0)], is_share=True))
    [only] = drawn.lines
    places = [(dot.cx, dot.cy) for dot in only.dots]
    middle = (LEFT + WIDTH - RIGHT) / 2
    bottom = HEIGHT - BOTTOM
    assert places == [(LEFT, bottom), (middle, (bottom + TOP) / 2), (WIDTH - RIGHT, TOP)]
    assert [tick.text for tick in drawn.y_ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_places_may_be_equally_far_whatever_lies_between_them():
    points = [Point(k, 0.5) for k in (1.0, 2.0, 20.0)]
    places = {
        is_even: [
            dot.cx
            for dot in draw(Chart("P", "k", [Line("P", points)], is_even=is_even)).lines[0].dots
        ]
        for is_even in (False, True)
    }
    assert places[True][1] == (LEFT + WIDTH - RIGHT) / 2
    assert places[False][1] == pytest.approx(LEFT + (WIDTH - RIGHT - LEFT) / 19, abs=0.1)


def test_on_a_logarithmic_axis_equal_factors_are_equally_far():
    drawn = draw(Chart("Loss", "pass", [line(100.0, 10.0, 1.0)], is_log=True))
    heights = [dot.cy for dot in drawn.lines[0].dots]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)
    assert {tick.text for tick in drawn.y_ticks} >= {"1", "10", "100"}


def test_the_table_has_a_row_for_each_place_and_a_gap_where_a_line_has_no_figure():
    other = Line("R", [Point(2.0, 0.25, 0.2, 0.3)])
    drawn = draw(Chart("Both", "k", [line(0.5, 0.75), other]))
    assert drawn.heads == ["k", "P", "R"]
    assert drawn.rows == [["1", "0.5", ""], ["2", "0.75", "0.25 (0.2 to 0.3)"]]


def test_a_line_over_passes_is_broken_where_passes_are_missing():
    points = [Point(x, 1.0) for x in (1.0, 2.0, 5.0)]
    [drawn] = draw(Chart("Loss", "pass", [Line("a", points, is_by_ones=True)])).lines
    assert [path.count(",") for path in drawn.paths] == [2, 1]
    [whole] = draw(Chart("Loss", "k", [Line("a", points)])).lines
    assert len(whole.paths) == 1


def test_long_lines_are_thinned_out_but_end_where_they_end():
    drawn = draw(Chart("Loss", "pass", [line(*(float(n) for n in range(1, 5001)))]))
    [only] = drawn.lines
    assert len(only.dots) < 300
    assert (only.dots[0].x, only.dots[-1].x) == ("1", "5000")


def test_figures_that_are_none_are_left_out_and_nothing_at_all_is_no_chart():
    assert draw(Chart("Loss", "pass", [line(math.nan)])) is None
    assert draw(Chart("Loss", "pass", [])) is None
    drawn = draw(Chart("Loss", "pass", [line(1.0, math.inf, 3.0)]))
    assert len(drawn.lines[0].dots) == 2
