"""Columns in files: they come back as they were, and only whole."""

import numpy as np
import pytest

from lookalike.errors import IndexUnavailableError, UsageError
from lookalike.index.columns import open_columns, publish_columns


def batches(*lengths):
    """Batches of a column of numbers and one of pairs."""
    stops = np.cumsum(lengths)
    for start, stop in zip(stops - lengths, stops, strict=True):
        numbers = np.arange(start, stop)
        yield {"numbers": numbers, "pairs": np.stack([numbers, -numbers], 1).astype(np.int8)}


def publish(folder, *lengths, model="m", revision=3):
    return publish_columns(
        folder, "table", batches(*lengths), model=model, revision=revision, facts={"a": 1}
    )


def test_columns_come_back_as_they_were_written(tmp_path):
    publish(tmp_path, 5, 0, 200, 3)
    columns, card = open_columns(tmp_path, "table", model="m")
    assert columns["numbers"].tolist() == list(range(208))
    assert columns["pairs"].dtype == np.int8
    assert columns["pairs"][7].tolist() == [7, -7]
    assert (card.n, card.revision, card.facts) == (208, 3, {"a": 1})


def test_a_new_build_takes_the_place_of_the_one_before(tmp_path):
    publish(tmp_path, 5)
    publish(tmp_path, 6, revision=4)
    columns, card = open_columns(tmp_path, "table", model="m")
    assert (len(columns["numbers"]), card.revision) == (6, 4)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_fails_leaves_what_was_there(tmp_path):
    publish(tmp_path, 5)

    def failing():
        yield from batches(3)
        raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        publish_columns(tmp_path, "table", failing(), model="m", revision=9, facts={})
    assert len(open_columns(tmp_path, "table", model="m")[0]["numbers"]) == 5
    assert len(list(tmp_path.iterdir())) == 3


def test_no_batch_at_all_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no columns"):
        publish(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "shorter", "card", "none"])
def test_damaged_columns_are_not_used(tmp_path, damage):
    card = publish(tmp_path, 5)
    path = tmp_path / next(iter(card.files))
    match damage:
        case "missing":
            path.unlink()
        case "shorter":
            path.write_bytes(path.read_bytes()[:-1])
        case "card":
            (tmp_path / "table.json").write_text("{}")
        case "none":
            (tmp_path / "table.json").unlink()
    with pytest.raises(IndexUnavailableError):
        open_columns(tmp_path, "table", model="m")


def test_columns_of_another_model_are_not_used(tmp_path):
    publish(tmp_path, 5)
    with pytest.raises(IndexUnavailableError, match="made with the model m, not other"):
        open_columns(tmp_path, "table", model="other")
