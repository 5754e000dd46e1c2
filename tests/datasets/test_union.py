from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lookalike.arrays import VOID
from lookalike.datasets.base import LabeledImage, palette
from lookalike.datasets.union import join, n_targets_of, same_name, sources_of
from lookalike.datasets.views import FrequentClasses, OneClass, choose
from lookalike.errors import DatasetError, UsageError


@dataclass
class Listed:
    """A data set in memory; pictures are bytes that say where they are from."""

    name: str
    classes: tuple[str, ...]
    labels: list[tuple[int, ...]]
    maps: list[list[list[int]]] | None = None
    is_single_label: bool = False
    paths: tuple[Path, ...] = ()
    names: list[str] = field(init=False)

    def __post_init__(self):
        self.names = [f"{i}.png" for i in range(len(self.labels))]
        self.relevant_classes = frozenset(range(len(self.classes)))
        self.palette = palette(len(self.classes))
        self.has_label_maps = self.maps is not None

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, position):
        read = None
        if self.maps is not None:
            read = partial(np.array, self.maps[position], np.uint8)
        data = f"{self.name} {position}".encode()
        name = self.names[position]
        return LabeledImage(name, None, self.labels[position], (), lambda: data, read)


STREET = Listed("street", ("car", "dining table"), [(0,), (0, 1)], [[[0, 1]], [[2, 1]]])
ROOMS = Listed("rooms", ("lamp", "diningtable", "Car"), [(0, 1), (2,)], [[[1, 2]], [[3, VOID]]])
BIRDS = Listed("birds", ("wren", "heron"), [(1,), (0,), (1,)], is_single_label=True)


def test_a_union_has_the_first_sets_classes_first_and_each_name_once():
    whole = join([STREET, ROOMS, BIRDS])
    assert whole.classes == ("car", "dining table", "lamp", "wren", "heron")
    assert n_targets_of(whole) == 2
    assert whole.relevant_classes == {0, 1}
    assert len(whole.palette) == 6
    assert whole.name == "street + rooms + birds"


def test_pictures_keep_their_labels_under_the_new_numbers_and_say_their_set():
    whole = join([STREET, ROOMS, BIRDS])
    assert [whole[i].labels for i in range(len(whole))] == [
        *((0,), (0, 1)),
        *((1, 2), (0,)),
        *((4,), (3,), (4,)),
    ]
    assert list(whole.names) == [whole[i].name for i in range(7)]
    assert whole[3].name == "rooms/1.png"
    assert whole[3].read_bytes() == b"rooms 1"
    assert whole[-1].read_bytes() == b"birds 2"
    with pytest.raises(IndexError):
        whole[7]


def test_label_maps_hold_the_first_sets_values_and_all_else_is_background():
    whole = join([STREET, ROOMS, BIRDS])
    assert whole.has_label_maps
    assert whole[1].read_label_map().tolist() == [[2, 1]]
    assert whole[2].read_label_map().tolist() == [[0, 2]]
    assert whole[3].read_label_map().tolist() == [[1, VOID]]
    assert whole[4].read_label_map is None


def test_each_source_knows_its_own_classes():
    of_street, of_rooms, of_birds = sources_of(join([STREET, ROOMS, BIRDS]))
    assert (of_street.classes, of_street.n) == ((0, 1), 2)
    assert (of_rooms.classes, of_rooms.is_single_label) == ((2, 1, 0), False)
    assert (of_birds.classes, of_birds.is_single_label) == ((3, 4), True)
    assert [s.has_label_maps for s in (of_street, of_rooms, of_birds)] == [True, True, False]


def test_one_set_alone_stays_as_it_is():
    assert join([BIRDS]) is BIRDS
    [source] = sources_of(BIRDS)
    assert (source.name, source.n, source.classes) == ("birds", 3, (0, 1))
    assert source.is_single_label
    assert not source.has_label_maps


def test_unions_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="no data set was given"):
        join([])
    with pytest.raises(DatasetError, match="two of the data sets are called 'birds'; give each"):
        join([BIRDS, STREET, BIRDS])


@pytest.mark.parametrize(
    ("name", "same"),
    [("TVmonitor", "tv"), ("potted_plant", "potted plant"), (" Sofa", "couch"), ("cat", "cat")],
)
def test_names_of_other_sets_are_recognized(name, same):
    assert same_name(name) == same


def test_chosen_pictures_are_those_whose_name_is_chosen():
    some = choose(BIRDS, {"0.png", "2.png"}.__contains__, "odd")
    assert some.name == "birds#odd"
    assert [some[i].read_bytes() for i in range(len(some))] == [b"birds 0", b"birds 2"]
    with pytest.raises(DatasetError, match="none of the 3 pictures of birds is in none"):
        choose(BIRDS, {"x"}.__contains__, "none")


def test_all_classes_as_one_keep_background_and_void():
    one = OneClass(ROOMS, "thing")
    assert one.classes == ("thing",)
    assert one[0].labels == (0,)
    assert [one[i].read_label_map().tolist() for i in range(2)] == [[[1, 1]], [[1, VOID]]]
    assert OneClass(Listed("empty", ("a",), [()], [[[0]]]), "thing")[0].labels == ()
    assert OneClass(BIRDS, "bird")[0].read_label_map is None


def test_rare_classes_are_left_out_and_the_others_move_up():
    pets = Listed("pets", ("cat", "eel", "dog"), [(0, 2), (0, 1), (2,), ()])
    frequent = FrequentClasses(pets, 2)
    assert frequent.classes == ("cat", "dog")
    assert [frequent[i].labels for i in range(4)] == [(0, 1), (0,), (1,), ()]
    with pytest.raises(DatasetError, match="no class of pets has 3 pictures"):
        FrequentClasses(pets, 3)
