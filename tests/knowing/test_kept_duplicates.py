"""Groups that are kept, against groups that are looked for anew each time."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection
from lookalike.knowing.deduplicating import decide, find_duplicates
from lookalike.knowing.kept_duplicates import KeptDuplicates
from lookalike.search.duplicates import DuplicateOptions
from tests.small_sets import write_pictures
from tests.tiny_model import write_tiny_model

N = 24
LOOSE = DuplicateOptions(threshold=15, min_score=0)
"""So loose that generated pictures, which are all alike, hang together in many ways."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with a collection of pictures, and of every third a smaller copy."""
    place = tmp_path_factory.mktemp("kept")
    write_tiny_model(place / "model")
    write_pictures(place / "pictures", N)
    for path in sorted((place / "pictures").iterdir())[::3]:
        write_copy(path, place / "pictures", 2)
    with Collection.create(place / "c.lookalike", model=place / "model") as opened:
        opened.add(place / "pictures", workers=0)
    return place


@pytest.fixture
def collection(base, tmp_path):
    """A copy of the collection, to which three more copies of pictures have been added."""
    shutil.copytree(base / "c.lookalike", tmp_path / "c.lookalike")
    with Collection.open(tmp_path / "c.lookalike", writable=True) as opened:
        add_copies(opened, base, tmp_path, 1)
        yield opened


@pytest.fixture
def kept(tmp_path):
    return KeptDuplicates(tmp_path / "kept" / "1.sqlite", LOOSE)


def write_copy(path, folder, factor):
    with Image.open(path) as picture:
        copy = picture.convert("RGB").resize((picture.width // factor, picture.height // factor))
        copy.putpixel((0, 0), (1, 2, 3))  # so that it is another content
        copy.save(folder / f"{path.stem}-{factor}.png")


def add_copies(collection, base, place, start, n=3):
    more = place / "more"
    more.mkdir(exist_ok=True)
    for path in sorted((base / "pictures").glob("*"))[start : start + n]:
        write_copy(path, more, 1)
    collection.add(more, workers=0)


def formed(groups):
    """The groups without scores, which are measured again with every image that comes or goes."""
    return [
        replace(group, copies=tuple(replace(copy, score=0.0) for copy in group.copies))
        for group in groups
    ]


def test_what_is_kept_is_what_is_found_and_comes_in_pages(collection, kept):
    assert kept.standing(collection) is None
    assert kept.groups() == []
    kept.search(collection)
    expected = find_duplicates(collection, LOOSE)
    assert len(expected) > 4
    assert kept.groups() == expected
    assert kept.groups(2, 3) == expected[2:5]
    assert kept.count() == (len(expected), sum(len(group.removable) for group in expected))
    assert kept.standing(collection).n_new == 0


def test_decisions_are_followed_as_if_everything_were_searched_again(collection, kept):
    kept.search(collection)
    rng, ids = np.random.default_rng(3), collection.catalog.ids()
    grouped = [image for group in kept.groups() for image in group.ids]
    for verdict in ("different", "keep", "same", "same", "forget") * 2:
        chosen = rng.choice(grouped if verdict != "same" else ids, 2, replace=False)
        decide(collection, verdict, chosen.tolist())
        kept.standing(collection)
        assert kept.groups() == find_duplicates(collection, LOOSE), (verdict, chosen)


def test_images_that_go_are_left_out_at_once_and_new_ones_when_they_are_taken_in(
    collection, kept, base, tmp_path
):
    kept.search(collection)
    decide(collection, "same", [1, 2])
    for gone in sorted((tmp_path / "more").iterdir())[:2]:
        gone.unlink()
    collection.add(tmp_path / "more", workers=0)
    assert kept.standing(collection).n_new == 0
    assert formed(kept.groups()) == formed(find_duplicates(collection, LOOSE))
    before, n = kept.groups(), len(collection)
    add_copies(collection, base, tmp_path, 6)
    assert kept.standing(collection).n_new == len(collection) - n > 0
    ids = collection.catalog.ids().tolist()
    alone = min(set(ids[:N]) - {image for group in before for image in group.ids})
    decide(collection, "same", [alone, ids[-1]])
    kept.standing(collection)
    assert formed(kept.groups()) == formed(before)
    kept.take_in(collection)
    assert kept.standing(collection).n_new == 0
    assert formed(kept.groups()) == formed(find_duplicates(collection, LOOSE)) != formed(before)


def test_where_most_is_new_everything_is_searched(collection, kept, base, tmp_path):
    kept.take_in(collection)
    add_copies(collection, base, tmp_path, 4, 20)
    kept.take_in(collection)
    assert kept.groups() == find_duplicates(collection, LOOSE)


def test_what_was_kept_of_another_collection_or_is_damaged_does_not_count(
    collection, kept, tmp_path
):
    kept.search(collection)
    place = tmp_path / "kept" / "1.sqlite"
    assert KeptDuplicates(place).standing(collection) is None  # other options
    again = KeptDuplicates(place, LOOSE)
    assert again.standing(collection) is not None
    for each in place.parent.iterdir():
        each.unlink()
    assert again.standing(collection) is None
    place.write_bytes(b"no database" * 500)
    torn = KeptDuplicates(place, LOOSE)
    assert torn.standing(collection) is None
    torn.search(collection)
    assert torn.groups() == find_duplicates(collection, LOOSE)


def test_any_number_may_look_while_decisions_are_made(collection, kept, tmp_path):
    kept.search(collection)
    grouped = [group.ids[:2] for group in kept.groups()]
    others = [kept, KeptDuplicates(tmp_path / "kept" / "1.sqlite", LOOSE)]

    def look(number):
        with Collection.open(collection.path) as opened:
            for _ in range(12):
                assert others[number % 2].standing(opened) is not None
                others[number % 2].groups(0, 5)

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look, number) for number in range(4)]
        for verdict, pair in zip(["different", "keep"] * 3, grouped, strict=False):
            decide(collection, verdict, list(pair))
        for each in looking:
            each.result()
    kept.standing(collection)
    assert kept.groups() == find_duplicates(collection, LOOSE)
