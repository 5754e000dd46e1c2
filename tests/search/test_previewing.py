"""What a preview tells is what propagating then stores."""

import pytest

from lookalike.errors import UsageError
from lookalike.search.annotation import LEAST_STORED, propagate
from lookalike.search.clusters import make_clusters
from lookalike.search.previewing import AT_LEAST, preview_propagation
from lookalike.storage.annotations import Statement
from tests.search.stocked import planted, stock


@pytest.fixture
def catalog(tmp_path):
    with stock(tmp_path / "c.sqlite", planted(90)[0]) as stocked:
        make_clusters(stocked, "content", k=3)
        yield stocked


def stored(catalog, word):
    """Probability of every image that was not spoken of, as it is stored."""
    found = catalog.knowledge.annotations.doubtful(1000, label=word)
    return {image: probability for image, _, probability in found}


def test_a_preview_counts_and_shows_what_propagating_stores(catalog):
    said = [Statement(image, "beach", image % 3 == 1) for image in range(1, 31)]
    said.append(Statement(2, "sea", True))
    catalog.knowledge.annotations.add("label", {}, said)
    learned, [beach, sea] = preview_propagation(catalog, "content", n_examples=4)
    assert stored(catalog, "beach") == {}
    propagate(catalog, "content")
    known = stored(catalog, "beach")
    assert (beach.word, beach.n_said, sea.n_said) == ("beach", 10, 1)
    assert beach.counts == tuple(sum(p >= least for p in known.values()) for least in AT_LEAST)
    assert beach.counts[0] >= 20
    assert [p for _, p in beach.surest] == sorted(known.values(), reverse=True)[:4]
    for image, probability in (*beach.surest, *beach.doubtful):
        assert probability < LEAST_STORED or known[image] == pytest.approx(probability)
    apart = [abs(probability - 0.5) for _, probability in beach.doubtful]
    assert apart == sorted(apart)
    assert apart[0] == pytest.approx(min(abs(p - 0.5) for p in known.values()))
    assert learned.words == ("beach", "sea")


def test_nothing_said_is_refused(catalog):
    with pytest.raises(UsageError, match="no picture has been labeled"):
        preview_propagation(catalog, "content")


def test_what_was_answered_is_in_doubt_no_more(catalog):
    annotations = catalog.knowledge.annotations
    annotations.add("label", {}, [Statement(1, "beach", True), Statement(2, "beach", False)])
    propagate(catalog, "content")
    (first, word, _), *others = annotations.doubtful(5)
    annotations.add("label", {}, [Statement(first, word, False)])
    assert annotations.doubtful(4) == others
    assert annotations.doubtful(3, offset=1) == others[1:]
    assert annotations.doubtful(3, label="sea") == []
