"""Fixtures shared by all tests."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest

LONGEST_FIRST = ("tests/web", "tests/e2e", "tests/learning", "tests/test_")

# Going through what collecting thousands of tests leaves, time and again, takes a third of it.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process is left alone with one at the end."""

    def rank(item: pytest.Item) -> int:
        found = (n for n, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=rank)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The folder of real photographs, or a skip with the reason."""
    folder = os.environ.get("LOOKALIKE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LOOKALIKE_DATA does not name a folder of photographs")
    return Path(folder)
