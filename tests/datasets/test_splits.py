"""Parts of a data set."""

import hashlib
from pathlib import Path

import pytest

from lookalike.datasets.classes import ClassDataset, LabeledFile
from lookalike.datasets.splits import PARTS, is_test_name, take_part
from lookalike.errors import DatasetError, UsageError


def named(*names: str) -> ClassDataset:
    files = [LabeledFile(name, Path("/photos") / name, (name[0],)) for name in names]
    return ClassDataset("photos", files, is_single_label=True)


MANY = [f"{i:012}.jpg" for i in range(3000)]


def test_every_picture_is_in_exactly_one_part() -> None:
    whole = named(*MANY)
    train, test = take_part(whole, "train"), take_part(whole, "test")
    assert sorted([*train.names, *test.names]) == MANY
    assert len(train) + len(test) == len(whole)


def test_a_third_is_for_testing() -> None:
    # Three standard deviations of a binomial distribution of 3000 draws.
    assert abs(len(take_part(named(*MANY), "test")) - 1000) < 3 * (3000 * 2 / 9) ** 0.5


def test_a_picture_keeps_its_part_when_others_come_and_go() -> None:
    before = set(take_part(named(*MANY), "test").names)
    after = set(take_part(named(*MANY[1000:], "new.jpg"), "test").names)
    assert before & set(MANY[1000:]) == after - {"new.jpg"}


def test_the_rule_is_the_same_everywhere() -> None:
    for name in ("a.jpg", "Übung/ß.png", "odd\udcff.jpg"):
        hashed = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        assert is_test_name(name) == (int(hashed.hex(), 16) % 3 == 0)
        assert PARTS["test"](name) != PARTS["train"](name)


def test_a_part_is_like_the_whole_but_for_its_pictures() -> None:
    whole = named(*"abcdefgh")
    part = take_part(whole, "train")
    assert part.name == "photos#train"
    assert part.classes == whole.classes
    assert part.palette == whole.palette
    assert part.relevant_classes == whole.relevant_classes
    assert part.is_single_label
    assert not part.has_label_maps
    images = list(part)
    assert [image.name for image in images] == list(part.names)
    assert [image.path for image in images] == list(part.paths)
    assert all(whole.classes[image.labels[0]] == image.name for image in images)


def test_an_unknown_part_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no part 'val' of 'photos'; the parts are train, test"):
        take_part(named("a"), "val")


def test_a_part_without_pictures_is_an_error() -> None:
    with pytest.raises(DatasetError, match=r"photos#train has no pictures, as .* only 1;"):
        take_part(named("a.jpg"), "train")
