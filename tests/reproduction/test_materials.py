import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.datasets import open_dataset
from lookalike.datasets.scenes import write_scenes
from lookalike.errors import UsageError
from lookalike.model_folder import read_card
from lookalike.reproduction.materials import Learned, Ranking, relevant_classes
from tests.tiny_model import write_tiny_model


@pytest.fixture
def learned(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    rng = np.random.default_rng(0)
    content = normalize(rng.normal(size=(40, 6)) + 2)  # alike: cosines spread little
    layout = rng.normal(size=(40, 5)).astype(np.float32)
    return Learned("tiny", 1, read_card(tmp_path / "tiny"), content, layout)


def test_a_mixture_ranks_by_weighted_cosines_of_equal_spread(learned):
    codes = normalize(learned.layout)
    pairs = np.triu_indices(40, 1)
    parts = [rows @ rows.T for rows in (learned.content, codes)]
    wanted = sum(w * p / p[pairs].std() for w, p in zip((0.3, 0.7), parts, strict=True))
    rows = learned.mixture(0.7)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.corrcoef((rows @ rows.T)[pairs], wanted[pairs])[0, 1] > 0.999


def test_the_ends_of_the_mixture_are_its_parts(learned):
    assert learned.mixture(0.0) is learned.content
    rows, codes = learned.mixture(1.0), normalize(learned.layout)
    np.testing.assert_allclose(rows @ rows.T, codes @ codes.T, atol=1e-5)


@pytest.mark.parametrize("is_euclidean", [False, True])
def test_rankings_are_those_of_a_loop(is_euclidean):
    vectors = np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32)
    hits = Ranking(vectors, is_euclidean=is_euclidean).rank(np.array([3, 0]), 5)
    for query, found, scores in zip((3, 0), hits.ids, hits.scores, strict=True):

        def nearness(other, query=query):
            if is_euclidean:
                return -float(((vectors[other] - vectors[query]) ** 2).sum())
            return float(vectors[other] @ vectors[query])

        expected = sorted((i for i in range(12) if i != query), key=nearness, reverse=True)[:5]
        assert found.tolist() == expected
        assert scores == pytest.approx([nearness(i) for i in expected], abs=1e-4)


def test_classes_that_nearly_all_have_need_not_count(tmp_path):
    write_scenes(tmp_path / "scenes", 3, 0)
    scenes = open_dataset(tmp_path / "scenes")
    first, second = (scenes.classes[i] for i in sorted(scenes.relevant_classes)[:2])
    left = relevant_classes(scenes, (first, second))
    assert left == scenes.relevant_classes - {scenes.classes.index(c) for c in (first, second)}
    with pytest.raises(UsageError, match="has no class 'unicorn' to leave out of relevance"):
        relevant_classes(scenes, ("unicorn",))
    with pytest.raises(UsageError, match="no class of scenes is left"):
        relevant_classes(scenes, scenes.classes)
