import tracemalloc

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.search.hash_join import distances, near_pairs


def hashes_with_copies(n: int, seed: int) -> np.ndarray:
    """Random hashes, and for each some with 0 to 30 bits changed."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n, 128), np.uint8)
    rows = [bits]
    for _ in range(4):
        changed = bits.copy()
        for row, n_changed in enumerate(rng.integers(0, 31, n)):
            changed[row, rng.choice(128, n_changed, replace=False)] ^= 1
        rows.append(changed)
    return np.packbits(rng.permutation(np.concatenate(rows)), axis=1)


def compared_with_all(hashes: np.ndarray, radius: int) -> set[tuple[int, int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes).sum(axis=2, dtype=int)
    return {(int(a), int(b)) for a, b in np.argwhere(apart <= radius) if a < b}


@pytest.mark.parametrize("radius", [0, 1, 7, 8, 12, 15, 16, 20, 23])
def test_no_near_pair_is_missed_and_none_is_invented(radius):
    hashes = hashes_with_copies(60, seed=radius)
    batches = [np.sort(pairs, axis=0).T.tolist() for pairs in near_pairs(hashes, radius)]
    found = {(first, second) for pairs in batches for first, second in pairs}
    expected = compared_with_all(hashes, radius)
    assert found == expected
    assert len(expected) >= 1 or radius == 0


def test_differences_gathered_in_one_band_or_spread_over_all_are_found():
    rng = np.random.default_rng(5)
    for spread in (1, 8):
        base = rng.integers(0, 2, 128, np.uint8)
        for _ in range(50):
            other = base.copy()
            other[rng.choice(128 // spread, 16 if spread > 1 else 20, replace=False) * spread] ^= 1
            hashes = np.packbits(np.stack([base, other]), axis=1)
            n_bits = int(np.bitwise_count(hashes[0] ^ hashes[1]).sum())
            assert any(len(a) for a, _ in near_pairs(hashes, n_bits))


def test_few_hashes_have_no_pairs():
    for n in (0, 1):
        assert list(near_pairs(np.zeros((n, 16), np.uint8), 20)) == []


@pytest.mark.parametrize("radius", [-1, 24, 128])
def test_a_radius_out_of_range_is_refused(radius):
    with pytest.raises(UsageError, match=f"0 to 23 of 128 bits, not in {radius}"):
        list(near_pairs(np.zeros((2, 16), np.uint8), radius))


def test_distances_count_bits():
    hashes = np.zeros((3, 16), np.uint8)
    hashes[1, 3], hashes[2] = 0b101, 255
    assert distances(hashes, np.zeros(16, np.uint8)).tolist() == [0, 2, 128]


@pytest.mark.slow
def test_fifty_thousand_hashes_are_joined_in_bounded_memory():
    hashes = hashes_with_copies(10_000, seed=1)
    tracemalloc.start()
    found = sum(len(first) for first, _ in near_pairs(hashes, 15))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found > 10_000
    assert peak < 40 * 2**20  # all with all would take 2.5 GB
