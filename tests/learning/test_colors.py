import colorsys

import numpy as np
import pytest
import torch

from lookalike.learning.colors import N_BINS, LearnedPalette, color_histogram


def bin_of(red, green, blue):
    """Number of the bin of one color, by the standard library's hues."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    parts = ((hue, 8), (saturation, 4), (value, 4))
    h, s, v = (min(int(part * n), n - 1) for part, n in parts)
    return (h * 4 + s) * 4 + v


def test_a_picture_half_red_and_a_quarter_each_of_gray_and_black_by_hand():
    image = torch.zeros(1, 3, 16, 16)
    image[0, 0, :, :8] = 255
    image[0, :, :8, 8:] = 140
    found = color_histogram(image)[0]
    # Red: hue 0, full saturation, full value. Gray: hue and saturation 0, value 0.55.
    expected = torch.zeros(N_BINS)
    expected[[3 * 4 + 3, 2, 0]] = torch.tensor([0.5, 0.25, 0.25]).sqrt()
    torch.testing.assert_close(found, expected)


def test_histograms_agree_with_a_slow_count(rng):
    blocks = rng.integers(0, 256, (3, 3, 4, 5))
    images = torch.from_numpy(blocks.repeat(4, 2).repeat(4, 3).astype(np.float32))
    found = color_histogram(images)
    expected = np.zeros((3, N_BINS))
    for row, picture in enumerate(blocks):
        for color in picture.reshape(3, -1).T:
            expected[row, bin_of(*color)] += 1 / 20
    np.testing.assert_allclose(found, np.sqrt(expected), atol=1e-6)
    np.testing.assert_allclose(found.norm(dim=1), 1, atol=1e-6)


def test_a_learned_palette_says_how_much_has_each_color_and_not_where():
    torch.manual_seed(0)
    palette = LearnedPalette(8)
    images = torch.randn(2, 3, 16, 16)
    found = palette(images)
    assert found.shape == (2, palette.n_channels) == (2, 8)
    torch.testing.assert_close((found**2).sum(dim=1), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(palette(images.flip(3)), found)


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_black_and_white_have_one_bin(value):
    assert (color_histogram(torch.full((1, 3, 8, 8), value)) > 0).sum() == 1
