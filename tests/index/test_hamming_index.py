"""Codes of bits: exact where the embeddings are bits, tuned where they are not."""

import numpy as np
import pytest

from lookalike.arrays import Embeddings, normalize
from lookalike.errors import DamagedCollectionError
from lookalike.index import tuning
from lookalike.index.bits import BinaryCodes, are_bits
from lookalike.index.hamming import HammingIndex
from tests.index.galleries import built, clustered, spaced_ids
from tests.oracles_search import hamming_search


def bits_like(n: int, n_bits: int, seed: int = 0) -> Embeddings:
    """Bits of a few heaps, so that many differ from each other in equally many."""
    rng = np.random.default_rng(seed)
    heaps = rng.integers(0, 2, (12, n_bits))
    flips = rng.random((n, n_bits)) < 0.2
    return (2.0 * (heaps[rng.integers(12, size=n)] ^ flips) - 1).astype(np.float32)


@pytest.mark.parametrize("n_bits", [16, 70])
def test_bits_are_ranked_as_a_loop_over_all_of_them_ranks(n_bits: int) -> None:
    rows, queries = bits_like(900, n_bits), bits_like(6, n_bits, seed=1)
    index = built("hamming", rows)
    gallery = dict(zip(index.ids.tolist(), (rows > 0).astype(int).tolist(), strict=True))
    hits = index.search(normalize(queries), 25)
    assert hits.is_exact
    assert hits.ids.tolist() == built("exact", rows).search(normalize(queries), 25).ids.tolist()
    for row, query in enumerate((queries > 0).astype(int).tolist()):
        expected = hamming_search(gallery, query, 25)
        if n_bits == 16:  # a quarter is a number without rounding, so ties are ties
            assert hits.ids[row].tolist() == [image for image, _ in expected]
        cosines = [1 - 2 * differing / n_bits for _, differing in expected]
        np.testing.assert_allclose(hits.scores[row], cosines, atol=1e-6)


def test_deleted_bits_are_passed_over() -> None:
    rows = bits_like(6_000, 64)
    index = built("hamming", rows)
    rest = index.without(index.ids[::7])
    keep = np.ones(6_000, bool)
    keep[::7] = False
    ids, bits = index.ids[keep].tolist(), (rows[keep] > 0).astype(int).tolist()
    gallery = dict(zip(ids, bits, strict=True))
    hits = rest.search(normalize(rows[:2]), 9)
    assert hits.is_exact
    for row in range(2):
        expected = hamming_search(gallery, (rows[row] > 0).astype(int).tolist(), 9)
        assert hits.ids[row].tolist() == [image for image, _ in expected]


def test_numbers_asked_of_bits_are_compared_by_the_rows() -> None:
    rows = bits_like(900, 32)
    index = built("hamming", rows)
    rng = np.random.default_rng(2)
    queries = normalize(rows[:20] * rng.uniform(0.5, 1.5, (20, 32)))
    hits, truth = index.search(queries, 10), built("exact", rows).search(queries, 10)
    assert not hits.is_exact
    found = [np.isin(a, b).mean() for a, b in zip(truth.ids, hits.ids, strict=True)]
    assert np.mean(found) > 0.9


def test_bits_need_no_projection_and_have_recall_one() -> None:
    index = built("hamming", bits_like(700, 40))
    assert (index.facts.n_bits, index.facts.measured_recall) == (40, 1)
    assert isinstance(index, HammingIndex)
    assert index._codes.are_bits
    assert built("hamming", clustered(700, 40)).facts.n_bits == 280


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, -1, 1], [-3, -3, 3]], True),
        ([[1, -1, 1], [1, 1, 0.9]], False),
        ([[0, 0, 0]], False),
        (np.empty((0, 3)), False),
    ],
)
def test_bits_are_recognized(rows: object, expected: bool) -> None:
    assert are_bits(np.asarray(rows, np.float32)) == expected


def codes_of(rows: Embeddings) -> BinaryCodes:
    codes = BinaryCodes.train(rows, 0, are_bits=False)
    assert list(codes.add(rows)) == [len(rows)]
    return codes


def long_bits(codes: BinaryCodes, rows: Embeddings) -> np.ndarray:
    return np.unpackbits(codes._long_code(rows), axis=1)


def test_the_nearest_codes_are_those_of_a_loop_and_ties_are_kept() -> None:
    rows = clustered(500, 24)
    codes = codes_of(rows)
    bits, query = long_bits(codes, rows), rows[3] + 0.01
    own = long_bits(codes, query[None])[0]
    gallery = dict(enumerate(bits.tolist()))
    among = np.arange(0, 500, 2)
    for depth in (1, 7, 100, 600):
        for positions in (None, among):
            part = {i: gallery[i] for i in (range(500) if positions is None else among.tolist())}
            ranked = hamming_search(part, own.tolist(), 500)
            last = ranked[min(depth, len(ranked)) - 1][1]
            expected = sorted(i for i, differing in ranked if differing <= last)
            assert codes.nearest(query, depth, positions).tolist() == expected


def test_the_radius_grows_until_enough_are_met() -> None:
    rows = clustered(500, 40)
    codes = codes_of(rows)
    short = np.unpackbits(codes._short_codes[:, None].view(np.uint8), axis=1)
    query = rows[9]
    differing = (short != short[9]).sum(axis=1)
    for passing in (None, np.arange(1, 500, 3)):
        counted = differing if passing is None else differing[passing]
        for wanted in (1, 10, 200, 10_000):
            found = codes.within_radius(query, wanted, passing)
            radius = np.sort(counted)[min(wanted, len(counted)) - 1]
            inside = np.flatnonzero(counted <= radius)
            assert found.tolist() == (inside if passing is None else passing[inside]).tolist()


def test_short_codes_select_what_long_codes_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_SHORT_CODES_FROM", 1_000)
    rows = clustered(6_000, 32)
    index = built("hamming", rows[:5_500], recall_target=0.95)
    assert 0 < index.facts.members < 5_500
    assert index.facts.measured_recall is not None
    assert index.facts.measured_recall >= 0.95
    queries = rows[5_500:5_600]
    truth = built("exact", rows[:5_500]).search(queries, 10)
    hits = index.search(queries, 10)
    found = [np.isin(a, b).mean() for a, b in zip(truth.ids, hits.ids, strict=True)]
    assert np.mean(found) > 0.93
    assert index.facts.n_bits == 256


def test_codes_come_back_from_bytes_and_damaged_ones_are_refused() -> None:
    for rows in (clustered(300, 20), normalize(bits_like(300, 20))):
        index = built("hamming", rows)
        assert index.codes is not None
        content = np.frombuffer(index.codes, np.uint8)
        again = BinaryCodes.from_bytes(content)
        assert again.are_bits == are_bits(rows)
        assert again.to_bytes() == index.codes
        for part in (content[:100], content[::-1]):
            with pytest.raises(DamagedCollectionError, match="codes of an index cannot be read"):
                BinaryCodes.from_bytes(part)


def test_equal_seeds_give_equal_codes() -> None:
    rows = clustered(400, 12)
    first, second = (built("hamming", rows, seed=3) for _ in range(2))
    assert first.codes == second.codes
    assert spaced_ids(400).tolist() == first.ids.tolist()
