import pytest
from tests.storage.stored import DESCRIPTORS

from lookalike.storage.catalog import Catalog


@pytest.fixture
def catalog(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as opened:
        yield opened
