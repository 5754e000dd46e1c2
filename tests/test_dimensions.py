import json

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.dimensions import Selection, add_selection, read_selection
from lookalike.errors import ModelError, UsageError
from lookalike.features.model import Model
from lookalike.model_folder import CARD, SELECTION, read_card, write_card
from tests.tiny_model import DIM, write_tiny_model

COLUMNS = np.array([1, 5, 30, 47])
FACTS = {"method": "anova", "measured": None}


@pytest.fixture
def folder(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (5, 32, 32, 3), np.uint8)


def test_columns_are_taken_and_scaled_to_length_1():
    rows = np.array([[3.0, 9.0, 4.0], [0.0, 1.0, 0.0]], np.float32)
    found = Selection(3, np.array([0, 2])).apply(rows)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0]], atol=1e-7)


def test_a_map_is_applied_with_its_offset(rng):
    rows, matrix = rng.random((4, 3)).astype(np.float32), rng.random((4, 2)).astype(np.float32)
    expected = [
        [sum(x * m for x, m in zip(row, matrix[:3, c], strict=True)) + matrix[3, c] for c in (0, 1)]
        for row in rows
    ]
    found = Selection(3, matrix).apply(rows)
    np.testing.assert_allclose(found, normalize(np.array(expected)), atol=1e-6)


@pytest.mark.parametrize(
    "array",
    [
        np.array([0, 0]),
        np.array([2, 1]),
        np.array([-1, 2]),
        np.array([0, 3]),
        np.empty(0, np.int64),
        np.zeros((3, 2), np.float32),
        np.zeros((4, 0), np.float32),
        np.full((4, 2), np.nan, np.float32),
    ],
)
def test_what_selects_nothing_sound_is_refused(array):
    with pytest.raises(UsageError, match="selects nothing sound of 3 dimensions"):
        Selection(3, array)


def test_a_model_with_a_selection_gives_selected_dimensions_and_another_id(folder, pixels):
    before = Model.open(folder)
    whole = before.encode(pixels)
    card = add_selection(folder, Selection(DIM, COLUMNS), FACTS)
    after = Model.open(folder)
    found = after.encode(pixels)
    np.testing.assert_array_equal(found.content, normalize(whole.content[:, COLUMNS]))
    np.testing.assert_array_equal(found.layout, whole.layout)
    assert (card.content_dim, card.network_dim) == (4, DIM)
    assert card.selection == {**FACTS, "of": DIM, "dims": 4}
    assert card == read_card(folder) == after.card
    assert after.id.startswith(f"{before.id}+")
    other = add_selection(copied(folder, before.card), Selection(DIM, COLUMNS[:3]), FACTS)
    assert other.id not in (after.id, before.id)


def copied(folder, card):
    """The same model as it was before it got its selection."""
    target = folder.with_name("copy")
    target.mkdir()
    for name in card.files:
        (target / name).write_bytes((folder / name).read_bytes())
    write_card(target, card)
    return target


def test_a_projection_goes_through_a_model_too(folder, pixels, rng):
    whole = Model.open(folder).encode(pixels).content
    matrix = rng.standard_normal((DIM + 1, 6)).astype(np.float32)
    add_selection(folder, Selection(DIM, matrix), FACTS)
    found = Model.open(folder).encode(pixels).content
    np.testing.assert_allclose(found, normalize(whole @ matrix[:-1] + matrix[-1]), atol=1e-6)
    assert Model.open(folder).encode(pixels[:0]).content.shape == (0, 6)


def test_one_selection_is_enough_and_it_must_fit(folder):
    with pytest.raises(UsageError, match=f"gives {DIM} of {DIM} dimensions, .* takes 50"):
        add_selection(folder, Selection(50, COLUMNS), FACTS)
    add_selection(folder, Selection(DIM, COLUMNS), FACTS)
    with pytest.raises(UsageError, match=f"gives 4 of {DIM} dimensions"):
        add_selection(folder, Selection(DIM, COLUMNS), FACTS)


def test_a_changed_byte_of_a_selection_is_refused(folder):
    add_selection(folder, Selection(DIM, COLUMNS), FACTS)
    content = bytearray((folder / SELECTION).read_bytes())
    content[-8] ^= 2
    (folder / SELECTION).write_bytes(content)
    with pytest.raises(ModelError, match=r"selection\.npy has changed"):
        Model.open(folder)


@pytest.mark.parametrize(
    "array", [COLUMNS[:3], COLUMNS.astype(np.float64), np.array([{}], object), COLUMNS[::-1].copy()]
)
def test_a_selection_that_does_not_fit_its_card_is_refused(folder, array):
    add_selection(folder, Selection(DIM, COLUMNS), FACTS)
    card = read_card(folder)
    np.save(folder / SELECTION, array, allow_pickle=True)
    with pytest.raises(ModelError, match=r"selection\.npy (cannot be used|gives 3 dimensions)"):
        read_selection(folder, card)


def test_a_card_that_names_a_selection_it_lacks_is_refused(folder):
    content = json.loads((folder / CARD).read_text())
    content["selection"] = {"of": DIM, "dims": 4}
    (folder / CARD).write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"selection\.npy cannot be used"):
        Model.open(folder)
