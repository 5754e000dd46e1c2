"""From a stream of embeddings to an index."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.index import building
from lookalike.index.building import build_index
from tests.index.galleries import batches, built, clustered, spaced_ids


@pytest.mark.parametrize(
    ("n", "kind"), [(0, "exact"), (19_999, "exact"), (20_000, "pq"), (200_001, "clusters")]
)
def test_the_kind_follows_the_size(n: int, kind: str) -> None:
    assert building._kind_for(n) == kind


def test_rows_are_scaled_to_unit_length() -> None:
    index = built("exact", np.array([[3, 4], [0, 0], [0, 2]], np.float32))
    expected = np.array([[0.6, 0.8], [0, 0], [0, 1]], np.float32)
    np.testing.assert_array_equal(index.vectors(index.ids), expected)


def test_rows_in_a_file_are_those_in_memory(tmp_path: Path) -> None:
    rows, path = clustered(300, 6), tmp_path / "rows.npy"
    on_disk = built("exact", rows, rows_file=path)
    np.testing.assert_array_equal(np.load(path), built("exact", rows).vectors(on_disk.ids))
    np.testing.assert_array_equal(
        on_disk.search(rows, 5).ids, built("exact", rows).search(rows, 5).ids
    )


@pytest.mark.parametrize("announced", [0, 10, 299, 301, 10**9])
def test_a_wrong_number_of_rows_announced_does_no_harm(tmp_path: Path, announced: int) -> None:
    rows, path = clustered(300, 6), tmp_path / "rows.npy"
    stream = batches(spaced_ids(300), rows)
    index = build_index(stream, dim=6, n=announced, rows_file=path)
    assert np.load(path).shape == (300, 6)
    assert len(index.ids) == index.facts.n == 300


def test_an_empty_stream_gives_an_empty_index(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    index = build_index([], dim=6, n=0, kind="clusters", rows_file=path)
    assert index.facts.kind == "exact"
    assert index.ids.shape == (0,)
    assert index.search(np.ones((1, 6), np.float32), 3).ids.shape == (1, 0)


def broken(ids: Ids, rows: Embeddings) -> Iterator[tuple[Ids, Embeddings]]:
    yield np.array([1, 2]), np.ones((2, 4), np.float32)
    yield ids, rows


@pytest.mark.parametrize(
    ("ids", "rows", "message"),
    [
        ([2, 3], np.ones((2, 4)), "strictly ascending"),
        ([3, 4], np.ones((2, 5)), "has 5 dimensions instead of 4"),
        ([3, 4], [[1, 0, 0, 0], [0, np.nan, 0, 0]], "image 4 has values that are not finite"),
        ([3], [[np.inf, 0, 0, 0]], "image 3 has values that are not finite"),
    ],
)
def test_refuses_embeddings_that_make_no_sense(
    tmp_path: Path, ids: list[int], rows: object, message: str
) -> None:
    path = tmp_path / "rows.npy"
    for file in (None, path):
        stream = broken(np.array(ids), np.asarray(rows, np.float32))
        with pytest.raises(UsageError, match=message):
            build_index(stream, dim=4, n=4, rows_file=file)
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recall_target": 1.0}, "between 0 and 1, not 1.0; for all neighbors build an index"),
        ({"recall_target": 0.0}, "between 0 and 1, not 0.0"),
        ({"n_clusters": 0}, "number of clusters must be 1 or more, not 0"),
        ({"members": -1}, "number of members must be 1 or more, not -1"),
    ],
)
def test_refuses_options_that_make_no_sense(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        built("clusters", clustered(20, 4), **options)


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.npy", clustered(3000, 64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(EnvironmentFault, match="could not be written: File too large"):
            built("exact", rows, rows_file=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()


def test_a_folder_without_permission_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="could not be written"):
        built("exact", clustered(10, 4), rows_file=tmp_path / "missing" / "rows.npy")


def test_measures_the_recall_it_reports() -> None:
    index = built("pq", clustered(3000, 32), recall_target=0.9)
    assert index.facts.measured_recall is not None
    assert 0.9 <= index.facts.measured_recall <= 1
    assert index.facts.recall_target == 0.9
    assert built("exact", clustered(30, 8)).facts.measured_recall == 1


def test_a_higher_target_takes_more_effort() -> None:
    rows = np.random.default_rng(1).normal(size=(3000, 24)).astype(np.float32)
    low, high = (built("pq", rows, recall_target=target) for target in (0.5, 0.99))
    assert low.facts.refine < high.facts.refine
