"""One thread, because the nets are tiny and other tests run beside."""

import pytest
import torch
from tiny_trainings import TINY, Listener
from toy_pictures import boxes

from lookalike.learning.recipes import learn


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("models") / "toy"
    listener = Listener()
    card = learn(boxes(20), out, TINY, progress=listener)
    return out, card, listener
