"""Fixtures shared by all tests."""

import os
from pathlib import Path

import numpy as np
import pytest


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
