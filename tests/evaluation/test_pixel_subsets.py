import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.pixel_subsets import framed_digits, pixel_subset_curve


def test_digits_have_the_blank_margin_of_mnist():
    pixels, labels = framed_digits()
    assert pixels.shape == (1797, 784)
    assert pixels[:, :112].max() == 0
    assert pixels[:, 112:140].max() > 0
    assert (pixels.min(), pixels.max()) == (0, 16)
    assert set(labels) == set(range(10))


def test_the_first_pixels_tell_nothing_and_all_pixels_are_the_same_either_way():
    pixels, labels = framed_digits()
    curve = pixel_subset_curve(pixels, labels, (784, 100, 250), n_draws=3, n_learned=300)
    assert curve.dims == (100, 250, 784)
    assert curve.sequential[0] < 0.2
    assert curve.random_mean[0] > 0.6
    assert (curve.random_mean[:2] > curve.sequential[:2]).all()
    assert curve.random_deviation[0] > 0
    assert curve.random_mean[-1] == curve.sequential[-1] > 0.85
    assert curve.random_deviation[-1] == 0


@pytest.mark.parametrize(("dims", "n_learned"), [((), 2), ((0,), 2), ((5,), 2), ((2,), 6)])
def test_numbers_that_do_not_fit_the_pictures_are_refused(dims, n_learned):
    with pytest.raises(UsageError, match="do not fit 6 pictures of 4 pixels"):
        pixel_subset_curve(np.ones((6, 4)), np.arange(6), dims, n_learned=n_learned)
