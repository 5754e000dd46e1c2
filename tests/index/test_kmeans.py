import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.index.kmeans import assign_clusters


def test_well_separated_groups_become_the_clusters(rng):
    centers = np.eye(4, 16)
    groups = rng.integers(0, 4, 200)
    rows = (centers[groups] + 0.05 * rng.normal(size=(200, 16))).astype(np.float32)
    clusters = assign_clusters(rows, 4, seed=3)
    together = clusters[:, None] == clusters[None, :]
    np.testing.assert_array_equal(together, groups[:, None] == groups[None, :])


def test_length_does_not_matter_and_equal_seeds_give_equal_clusters(rng):
    rows = rng.normal(size=(60, 8)).astype(np.float32)
    longer = rows * rng.uniform(1, 9, (60, 1)).astype(np.float32)
    np.testing.assert_array_equal(
        assign_clusters(rows, 5, seed=1), assign_clusters(longer, 5, seed=1)
    )


@pytest.mark.parametrize("n_clusters", [0, 4])
def test_impossible_numbers_of_clusters_are_refused(rng, n_clusters):
    with pytest.raises(UsageError, match=f"into {n_clusters} clusters"):
        assign_clusters(rng.normal(size=(3, 8)).astype(np.float32), n_clusters)
