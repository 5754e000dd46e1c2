from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from lookalike.arrays import NO_ID
from lookalike.datasets.base import LabeledImage
from lookalike.errors import DatasetError, UsageError
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.images.scanning import content_hash


@dataclass(frozen=True)
class FourPictures:
    """Pictures whose bytes are their contents' names; the last two are the same picture."""

    name: str = "four pictures"
    classes: tuple[str, ...] = ("sky", "cat", "dog")
    relevant_classes: frozenset[int] = frozenset({1, 2})
    palette: tuple[tuple[int, int, int], ...] = ((0, 0, 0), (0, 0, 255), (255, 0, 0), (0, 255, 0))
    has_label_maps: bool = True
    is_single_label: bool = False
    contents: tuple[bytes, ...] = field(default=(b"a", b"b", b"c", b"c"))

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, position: int) -> LabeledImage:
        labels = ((0, 1), (1, 2), (2,), (0,))[position]
        label_map = np.full((4, 6), labels[0] + 1, np.uint8)
        return LabeledImage(
            name=f"picture {position}",
            path=None,
            labels=labels,
            captions=(),
            read_bytes=self._reader(position),
            read_label_map=(lambda: label_map) if self.has_label_maps else None,
        )

    def _reader(self, position: int) -> Callable[[], bytes]:
        return lambda: self.contents[position]


ALL = {content_hash(b"a"): 30, content_hash(b"b"): 10, content_hash(b"c"): 20}


def test_pictures_are_matched_by_content_and_ordered_by_id():
    truth = ground_truth(FourPictures(), ALL, grid=2)
    assert truth.ids.tolist() == [10, 20, 30]
    assert truth.names == ("picture 1", "picture 2", "picture 0")
    assert truth.labels.tolist() == [[False, True, True], [True, False, True], [True, True, False]]
    assert truth.label_maps is not None
    assert truth.label_maps[:, 0, 0].tolist() == [2, 3, 1]
    assert (truth.n_missing, truth.n_unknown) == (0, 0)


def test_equal_pictures_are_one_with_the_labels_of_all():
    truth = ground_truth(FourPictures(), ALL)
    assert truth.labels[1].tolist() == [True, False, True]


def test_pictures_on_one_side_only_are_counted():
    ids_by_hash = {content_hash(b"a"): 1, content_hash(b"elsewhere"): 2}
    truth = ground_truth(FourPictures(), ids_by_hash)
    assert truth.ids.tolist() == [1]
    assert (truth.n_missing, truth.n_unknown) == (3, 1)


def test_a_set_without_label_maps_has_none():
    assert ground_truth(FourPictures(has_label_maps=False), ALL).label_maps is None


def test_only_relevant_classes_make_pictures_relevant():
    truth = ground_truth(FourPictures(), ALL)
    # Labels by id: 10 cat dog, 20 sky dog, 30 sky cat; sky does not count.
    assert truth.shared_labels(np.array([0, 1])).tolist() == [[0, 1, 1], [1, 0, 0]]
    assert truth.has_relevant.tolist() == [True, True, True]


def test_left_out_classes_make_nothing_relevant():
    truth = ground_truth(FourPictures(), ALL, without=["cat"])
    assert truth.shared_labels(np.array([0])).tolist() == [[0, 1, 0]]
    assert truth.has_relevant.tolist() == [True, True, False]


def test_a_class_seen_once_makes_nothing_relevant():
    labels = np.array([[True, False, False], [True, True, False], [False, False, True]])
    palette = ((0, 0, 0),) * 4
    truth = GroundTruth(
        np.arange(3), labels, None, ("a", "b", "c"), frozenset({0, 1, 2}), palette, ("x", "y", "z")
    )
    assert truth.has_relevant.tolist() == [True, True, False]


def test_unknown_ids_have_no_position():
    truth = ground_truth(FourPictures(), ALL)
    assert truth.positions(np.array([[20, 5], [NO_ID, 99]])).tolist() == [[1, NO_ID], [NO_ID] * 2]


@pytest.mark.parametrize("spread", [1, 7, 10**9])
def test_positions_are_found_however_far_ids_lie_apart(spread: int):
    ids = np.array([2, 3, 5, 11]) * spread
    blank = np.zeros((4, 1), bool)
    truth = GroundTruth(ids, blank, None, ("a",), frozenset({0}), ((0, 0, 0),) * 2, tuple("abcd"))
    asked = np.array([3 * spread, 4 * spread, 0, NO_ID, 11 * spread, 12 * spread, 2 * spread])
    assert truth.positions(asked).tolist() == [1, NO_ID, NO_ID, NO_ID, 3, NO_ID, 0]


def test_a_set_that_shares_no_picture_with_the_collection_is_an_error():
    with pytest.raises(
        DatasetError, match="none of the 4 pictures of four pictures is among the 1"
    ):
        ground_truth(FourPictures(), {b"other": 1})


def test_a_misspelled_class_is_answered_with_close_ones():
    with pytest.raises(UsageError, match="no class 'doog'; did you mean: dog"):
        ground_truth(FourPictures(), ALL, without=["doog"])


def test_leaving_out_every_class_is_an_error():
    with pytest.raises(UsageError, match="without cat, dog no class"):
        ground_truth(FourPictures(), ALL, without=["dog", "cat"])


def test_rejects_parts_that_do_not_fit():
    labels = np.ones((2, 1), bool)
    with pytest.raises(UsageError, match="differ in length"):
        GroundTruth(np.arange(2), labels, None, ("a",), frozenset({0}), ((0, 0, 0),), ("one",))
    with pytest.raises(UsageError, match="must ascend"):
        GroundTruth(
            np.array([2, 1]), labels, None, ("a",), frozenset({0}), ((0, 0, 0),), ("one", "two")
        )
