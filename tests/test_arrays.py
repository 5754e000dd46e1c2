import numpy as np

from lookalike.arrays import normalize, top_k


def slow_top_k(scores, ids, k):
    return [
        sorted(zip(ids.tolist(), row.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))[
            :k
        ]
        for row in scores
    ]


def test_top_k_equals_a_plain_sort_even_with_many_ties(rng):
    for gallery, k in ((1, 1), (7, 3), (50, 10), (50, 50), (20, 99)):
        scores = rng.integers(0, 4, (6, gallery)).astype(np.float32)
        ids = rng.permutation(1000)[:gallery]
        best, values = top_k(scores, ids, k)
        expected = slow_top_k(scores, ids, k)
        assert [
            list(zip(*pair, strict=True))
            for pair in zip(best.tolist(), values.tolist(), strict=True)
        ] == expected


def test_top_k_does_not_depend_on_the_order_of_the_gallery(rng):
    scores = rng.integers(0, 3, (4, 30)).astype(np.float32)
    ids = np.arange(30)
    shuffled = rng.permutation(30)
    np.testing.assert_array_equal(
        top_k(scores, ids, 8)[0], top_k(scores[:, shuffled], ids[shuffled], 8)[0]
    )


def test_top_k_of_an_empty_gallery_is_empty():
    ids, scores = top_k(np.empty((2, 0), np.float32), np.empty(0, np.int64), 5)
    assert ids.shape == scores.shape == (2, 0)


def test_normalized_rows_have_length_one_and_zero_rows_stay(rng):
    rows = rng.normal(size=(5, 8))
    rows[2] = 0
    lengths = np.linalg.norm(normalize(rows), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 1, 1], rtol=1e-6)
