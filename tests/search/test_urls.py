"""Examples on the web, with a function of our own in place of the web."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, Query
from lookalike.errors import ImageError, UsageError
from lookalike.search.queries import FileExample, IdExample, PixelsExample, UrlExample
from lookalike.search.urls import fetched
from tests.small_sets import write_masks
from tests.tiny_model import write_tiny_model

A, B = UrlExample("http://example.org/a.png"), UrlExample("http://example.org/b.png")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("urls")
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(write_masks(folder / "outfits", 9) / "images", workers=0)
        yield made


def test_a_fetched_picture_asks_as_its_file_does(photos):
    files = {A.url: photos.path.parent / "outfits/images/004.png"}
    files[B.url] = files[A.url].with_name("002.png")
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return Path(files[url]).read_bytes()

    query = Query((A, IdExample(1), A), (B,), positive_weights=(2, 1, 1))
    found = fetched(query, fetch)
    assert asked == [A.url, B.url]  # each once
    assert found.positives[1] == IdExample(1)
    assert isinstance(found.positives[0], PixelsExample)
    by_file = Query(
        (FileExample.of(files[A.url]), IdExample(1), FileExample.of(files[A.url])),
        (FileExample.of(files[B.url]),),
        positive_weights=(2, 1, 1),
    )
    hits, expected = photos.search(found, k=5), photos.search(by_file, k=5)
    np.testing.assert_array_equal(hits.ids, expected.ids)
    np.testing.assert_allclose(hits.scores, expected.scores, atol=1e-5)


def test_what_is_fetched_must_be_a_picture():
    with pytest.raises(ImageError, match=r"http://example.org/a\.png: not an image"):
        fetched(Query((A,)), lambda url: b"hello")


def test_without_leave_nothing_is_fetched(photos):
    with pytest.raises(UsageError, match=r"a\.png is not fetched unless that is allowed"):
        photos.search(Query((A,)))
    with pytest.raises(UsageError, match=r"b\.png is not fetched"):
        photos.search(Query((IdExample(1),), (B,)))
    with pytest.raises(UsageError, match=r"b\.png is not fetched"):
        photos.search(Query((IdExample(1), B), multipoint="yes"))


def test_addresses_go_into_json_and_back():
    query = Query((A, IdExample(1)), (B,))
    assert query.to_json()["positives"][0] == {"url": A.url}
    assert Query.from_json(query.to_json()) == query
    assert fetched(Query((IdExample(1),)), lambda url: b"") == Query((IdExample(1),))
