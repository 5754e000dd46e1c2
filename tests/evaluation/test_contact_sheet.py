import io

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.evaluation.contact_sheet import (
    NOT_RELEVANT,
    RELEVANT,
    Legend,
    SheetPicture,
    SheetQuery,
    SheetRow,
    draw_contact_sheet,
    sheet_png,
)

BLUE, YELLOW = (20, 40, 230), (240, 220, 10)
LEGEND = Legend(("sea", "sun"), ((0, 0, 0), (3, 99, 199), (201, 102, 4)))


def plain(color: tuple[int, int, int], height: int = 60, width: int = 80) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def shows(sheet: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((sheet == color).all(axis=2).sum())


def one_row(*hits: SheetPicture, name: str = "") -> list[SheetQuery]:
    return [SheetQuery(SheetPicture(plain(BLUE)), (SheetRow(hits, name),))]


def test_query_and_hits_are_drawn_whole_and_framed_by_relevance():
    sheet = draw_contact_sheet(one_row(SheetPicture(plain(YELLOW), is_relevant=True)))
    assert shows(sheet, BLUE) == pytest.approx(148 * 111, rel=0.02)
    assert shows(sheet, YELLOW) == pytest.approx(148 * 111, rel=0.03)
    rows, columns = np.nonzero((sheet == YELLOW).all(axis=2))
    left_frame = sheet[int(np.median(rows)), columns.min() - 2]
    assert tuple(left_frame) == RELEVANT


def test_what_is_not_relevant_looks_different():
    yes = draw_contact_sheet(one_row(SheetPicture(plain(YELLOW), is_relevant=True)))
    no = draw_contact_sheet(one_row(SheetPicture(plain(YELLOW), is_relevant=False)))
    assert shows(no, NOT_RELEVANT) > shows(yes, NOT_RELEVANT)
    assert shows(yes, RELEVANT) > shows(no, RELEVANT)


def test_pictures_of_other_proportions_are_neither_cut_nor_stretched():
    tall = plain(YELLOW, height=200, width=50)
    tall[:10] = BLUE
    tall[-10:] = BLUE
    hits = (SheetPicture(tall), SheetPicture(plain((9, 9, 9))), SheetPicture(plain((9, 9, 9))))
    sheet = draw_contact_sheet(one_row(*hits))
    rows, columns = np.nonzero((sheet == YELLOW).all(axis=2))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height / width == pytest.approx(180 / 50, rel=0.06)


def test_label_maps_are_drawn_in_the_colors_of_their_classes():
    label_map = np.array([[0, 1], [2, 2]], np.uint8)
    hit = SheetPicture(plain(YELLOW), is_relevant=True, label_map=label_map)
    sheet = draw_contact_sheet(one_row(hit), legend=LEGEND)
    for color in LEGEND.palette[1:]:
        assert shows(sheet, color) > 3000


def test_only_classes_that_are_shown_are_in_the_legend():
    hit = SheetPicture(plain(YELLOW), label_map=np.full((2, 2), 1, np.uint8))
    sheet = draw_contact_sheet(one_row(hit), legend=LEGEND)
    assert shows(sheet, LEGEND.palette[1]) > 0
    assert shows(sheet, LEGEND.palette[2]) == 0


def test_marks_are_explained_only_where_there_are_any():
    unmarked = draw_contact_sheet(one_row(SheetPicture(plain(YELLOW))))
    marked = draw_contact_sheet(one_row(SheetPicture(plain(YELLOW), is_relevant=True)))
    assert shows(unmarked, NOT_RELEVANT) == 0
    assert shows(marked, NOT_RELEVANT) > 0
    assert len(unmarked) < len(marked)


def test_two_systems_take_two_rows():
    hit = SheetPicture(plain(YELLOW), is_relevant=True, caption="0.93")
    query = SheetPicture(plain(BLUE))
    one = draw_contact_sheet([SheetQuery(query, (SheetRow((hit,), "with"),))])
    both = [SheetRow((hit,), "with"), SheetRow((hit,), "without")]
    two = draw_contact_sheet([SheetQuery(query, tuple(both))])
    assert len(two) > len(one) + 111
    assert shows(two, YELLOW) == 2 * shows(one, YELLOW)
    assert shows(two, BLUE) == shows(one, BLUE)


def test_a_query_without_hits_is_drawn_alone():
    sheet = draw_contact_sheet(one_row(), title="Nothing found")
    assert shows(sheet, BLUE) > 10_000


def test_titles_of_any_length_and_script_stay_on_the_sheet():
    hit = SheetPicture(plain(YELLOW))
    short = draw_contact_sheet(one_row(hit), title="x")
    long = draw_contact_sheet(one_row(hit), title="Größe — Ähnlichkeit, λ = 1; " * 20)
    assert long.shape == short.shape
    right_margin = long[:, -40:]
    assert (right_margin == right_margin[0, 0]).all()


def test_encodes_to_png():
    sheet = draw_contact_sheet(one_row(SheetPicture(plain(YELLOW))))
    with Image.open(io.BytesIO(sheet_png(sheet))) as image:
        np.testing.assert_array_equal(np.asarray(image), sheet)


def test_rejects_a_sheet_without_queries_and_maps_without_legend():
    with pytest.raises(UsageError, match="at least one query"):
        draw_contact_sheet([])
    hit = SheetPicture(plain(YELLOW), label_map=np.ones((2, 2), np.uint8))
    with pytest.raises(UsageError, match="give a legend"):
        draw_contact_sheet(one_row(hit))
