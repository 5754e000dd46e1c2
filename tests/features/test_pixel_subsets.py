import numpy as np
import pytest
from sklearn.datasets import load_digits

from lookalike.errors import UsageError
from lookalike.features.selection.pixel_subsets import pixel_subset_curve


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits of 8 × 8 pixels with a blank border of two rows at top and bottom."""
    found = load_digits()
    pixels = np.zeros((300, 12, 8))
    pixels[:, 2:10] = found.images[:300] / 16
    return pixels.reshape(300, -1), found.target[:300]


def test_random_pixels_beat_the_first_ones_and_all_pixels_are_the_same(digits):
    curves = pixel_subset_curve(*digits, dims=[96, 16, 8], n_draws=3, seed=1)
    first, random = curves["sequential"], curves["random"]
    assert first.dims == random.dims == (8, 16, 96)
    assert first.mean[1] < 0.2 < 0.4 < random.mean[1]  # two blank rows tell nothing
    assert first.mean[2] == random.mean[2] > 0.85
    assert first.sd[2] == random.sd[2] > 0
    assert (random.sd >= 0).all()


def test_the_same_seed_gives_the_same_curves_and_draws_differ(digits):
    one, two = (pixel_subset_curve(*digits, [24], 2, seed=4)["random"] for _ in range(2))
    assert one.mean == two.mean
    assert one.sd == two.sd > 0
    assert pixel_subset_curve(*digits, [24], 2, seed=5)["random"].mean != one.mean


def test_what_cannot_be_drawn_is_refused(digits):
    pixels, labels = digits
    for dims, n_draws in (([0], 1), ([97], 1), ([], 1), ([5], 0)):
        with pytest.raises(UsageError, match="out of 96 pixels"):
            pixel_subset_curve(pixels, labels, dims, n_draws)
    with pytest.raises(UsageError, match=r"classes of \[300\] items"):
        pixel_subset_curve(pixels, np.zeros(300, np.int64), [5], 1)
