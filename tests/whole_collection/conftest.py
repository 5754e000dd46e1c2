"""A collection of forty pictures, and one that a test may change."""

import pytest

from lookalike import Collection
from tests.small_sets import write_pictures
from tests.tiny_model import write_tiny_model
from tests.whole_collection.photos import N


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, N)
    return folder


@pytest.fixture(scope="session")
def indexed(tmp_path_factory, model, pictures):
    """Folder of a collection of all pictures, which tests only read or copy."""
    path = tmp_path_factory.mktemp("indexed") / "photos.lookalike"
    with Collection.create(path, model=model, descriptors=()) as made:
        made.add(pictures, workers=0)
    return path


@pytest.fixture(scope="session")
def photos(indexed):
    with Collection.open(indexed) as opened:
        yield opened


@pytest.fixture
def own(tmp_path, model):
    """A collection and its pictures that a test may change."""
    write_pictures(tmp_path / "pictures", N)
    with Collection.create(tmp_path / "own.lookalike", model=model, descriptors=()) as made:
        made.add(tmp_path / "pictures", workers=0)
        yield made
