"""Searching a collection by its pictures, files and pixels."""

import numpy as np
import pytest

from lookalike import Collection, FileExample, IdExample, PixelsExample, Query
from lookalike.arrays import NO_ID
from lookalike.errors import (
    ImageError,
    UsageError,
)
from tests.small_sets import save, write_pictures
from tests.whole_collection.photos import N, exact_order, id_of, path_of, update


def test_an_image_of_the_collection_finds_the_others_in_the_exact_order(photos):
    for descriptor in ("content", "layout"):
        query = Query((IdExample(7),), weights={descriptor: 1})
        hits = photos.search(query, k=N)
        assert hits.ids.shape == (1, N)
        assert hits.ids[0, :-1].tolist() == exact_order(photos, 7, descriptor)
        assert hits.ids[0, -1] == NO_ID
        assert hits.is_exact


def test_a_file_finds_itself_first(photos, pictures):
    for path in sorted(pictures.iterdir())[::9]:
        hits = photos.search(path, k=3)
        assert path_of(photos, hits.ids[0, 0]) == str(path)
        assert hits.scores[0, 0] > hits.scores[0, 1]


def test_pixels_find_what_their_file_finds(photos, pictures):
    path = pictures / "011.png"
    pixels = photos.read(path)
    by_pixels = photos.search(Query((PixelsExample.of(pixels),)), k=8)
    by_file = photos.search(path, k=8)
    assert by_pixels.ids.tolist() == by_file.ids.tolist()
    np.testing.assert_allclose(by_pixels.scores, by_file.scores, rtol=1e-5)


def test_an_id_out_of_hits_is_an_id(photos):
    first = photos.search(3, k=1).ids[0, 0]
    assert isinstance(first, np.int64)
    assert photos.search(first, k=5).ids.tolist() == photos.search(int(first), k=5).ids.tolist()


def test_several_examples_are_all_left_out_and_all_count(photos):
    both = photos.search(Query((IdExample(1), IdExample(2))), k=N)
    assert not {1, 2} & set(both.ids[0].tolist())
    assert both.ids.tolist() != photos.search(1, k=N).ids.tolist()
    swapped = photos.search(Query((IdExample(2), IdExample(1))), k=N)
    assert both.ids.tolist() == swapped.ids.tolist()


def test_what_is_disliked_falls(photos):
    plain = photos.search(1, k=N)
    disliked = int(plain.ids[0, 0])
    like_it = next(i for i in photos.search(disliked, k=5).ids[0].tolist() if i != 1)
    steered = photos.search(Query((IdExample(1),), (IdExample(disliked),)), k=N)
    assert disliked not in steered.ids
    scores = [dict(zip(h.ids[0].tolist(), h.scores[0], strict=True)) for h in (plain, steered)]
    assert scores[1][like_it] < scores[0][like_it]


def test_weights_choose_and_mix_descriptors(photos):
    def scores(**weights):
        hits = photos.search(Query((IdExample(5),), weights=weights), k=N - 1)
        order = np.argsort(hits.ids[0])
        return set(hits.parts), hits.scores[0, order]

    names, content = scores(content=1)
    assert names == {"content"}
    _, layout = scores(layout=2)
    names, mixed = scores(content=1, layout=3)
    assert names == {"content", "layout"}
    np.testing.assert_allclose(mixed, (content + 3 * layout) / 4)
    assert scores(content=1, layout=0)[0] == {"content"}


@pytest.mark.parametrize(
    ("query", "k", "error", "message"),
    [
        (4711, 5, UsageError, "no image with id 4711"),
        (10**30, 5, UsageError, "no image with id 1000"),
        (1, 0, UsageError, "must be 1 or more, not 0"),
        (Query((IdExample(1),), weights={"smell": 1}), 5, UsageError, "'smell'.*content, layout"),
        (Query((IdExample(1),), order="list"), 5, UsageError, "give one of them a weight"),
        (Query((IdExample(1),), weights={"content": 1}, order="list"), 5, UsageError, "clusters"),
        ("nowhere.jpg", 5, ImageError, "nowhere.jpg: "),
        (Query((FileExample("nowhere.jpg"),)), 5, ImageError, "nowhere.jpg: "),
    ],
)
def test_questions_that_make_no_sense_are_refused(photos, query, k, error, message):
    with pytest.raises(error, match=message):
        photos.search(query, k)


def test_a_file_that_is_no_picture_is_named(photos, tmp_path):
    (tmp_path / "notes.jpg").write_text("milk, bread")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    with pytest.raises(ImageError, match=r"notes\.jpg: not an image"):
        photos.search(tmp_path / "notes.jpg")
    with pytest.raises(ImageError, match=r"loop\.jpg: "):
        photos.search(tmp_path / "loop.jpg")
    with pytest.raises(ImageError, match=r"~no-such-user/a\.jpg: no such file"):
        photos.search("~no-such-user/a.jpg")


def test_a_link_that_a_person_names_is_followed(photos, pictures, tmp_path):
    (tmp_path / "link.png").symlink_to(pictures / "004.png")
    hits = photos.search(tmp_path / "link.png", k=1)
    assert path_of(photos, hits.ids[0, 0]) == str(pictures / "004.png")


def test_an_empty_collection_cannot_be_searched(tmp_path, model, pictures):
    with Collection.create(tmp_path / "new.lookalike", model=model) as made:
        for _ in range(2):
            with pytest.raises(UsageError, match=r"has no images yet; .* lookalike index"):
                made.search(pictures / "000.png")
            (tmp_path / "empty").mkdir(exist_ok=True)
            made.add(tmp_path / "empty", workers=0)


def test_alone_in_a_collection_an_image_finds_nothing(tmp_path, model):
    path = write_pictures(tmp_path / "pictures", 1)[0]
    with Collection.create(tmp_path / "new.lookalike", model=model) as made:
        made.add(path, workers=0)
        [image_id] = made.catalog.ids()
        assert made.search(int(image_id)).ids.tolist() == [[NO_ID]]
        assert made.search(path).ids.tolist() == [[image_id]]


def test_equal_pictures_are_ordered_by_id_each_time(own):
    folder = own.path.parent / "pictures"
    pixels = own.read(folder / "000.png")
    twins = [save(folder / f"twin-{number}.png", pixels, str(number)) for number in (3, 1, 2)]
    update(own)
    expected = sorted([id_of(own, path) for path in (folder / "000.png", *twins)])
    answers = [own.search(folder / "000.png", k=9) for _ in range(3)]
    with Collection.open(own.path) as again:
        answers.append(again.search(folder / "000.png", k=9))
    assert answers[0].ids[0, :4].tolist() == expected
    assert len(set(answers[0].scores[0, :4].tolist())) == 1
    for answer in answers:
        assert answer.ids.tobytes() == answers[0].ids.tobytes()
        assert answer.scores.tobytes() == answers[0].scores.tobytes()
