"""What each descriptor sees in a picture, and what it does not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike.arrays import normalize
from lookalike.errors import UsageError
from lookalike.features.color import (
    bin_centers,
    block_means,
    cells_of,
    color_rows,
    layout_rows,
    on_sphere,
    rows_of_cells,
    shares_of,
    soft_shares,
    to_coarse_lab,
    to_lab,
    to_rgb,
)
from lookalike.features.color_words import MEANT, name_of, read_color
from lookalike.features.descriptors import BUILT_IN, describe, sizes_of
from lookalike.features.palette import palette
from lookalike.features.shape import aspect_rows, brightness_rows, shape_rows
from lookalike.features.silhouettes import drawn_mask, foreground, moments, silhouette_rows
from lookalike.features.texture import pattern_shares, tamura, texture_rows

SIDE = 128


def plain(*color, side=SIDE):
    return np.full((side, side, 3), color, np.uint8)


def drawn(draw, ground=(250, 250, 250)):
    image = Image.new("RGB", (SIDE, SIDE), ground)
    draw(ImageDraw.Draw(image))
    return np.asarray(image)


def noise(rng, spread=60):
    return rng.integers(128 - spread, 128 + spread, (SIDE, SIDE, 3), np.uint8)


def alike(rows):
    """Similarity of the first row to each of the others."""
    units = normalize(rows)
    return (units[1:] @ units[0]).tolist()


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_every_descriptor_gives_unit_rows_of_its_length_whatever_the_batch(name, rng):
    descriptor = BUILT_IN[name]
    pixels = np.stack(
        [noise(rng), plain(200, 30, 40), drawn(lambda d: d.rectangle((30, 30, 90, 70), 0))]
    )
    sizes = sizes_of([(300, 400), (128, 128), (900, 300)])
    rows = describe([descriptor], pixels, sizes)[name]
    assert rows.shape == (3, descriptor.dim)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    alone = [
        describe([descriptor], pixels[at : at + 1], sizes[at : at + 1])[name] for at in range(3)
    ]
    np.testing.assert_allclose(rows, np.concatenate(alone), atol=1e-6)


def test_known_colors_have_the_known_lab_values_and_come_back(rng):
    lab = to_lab(np.array([[255, 0, 0], [0, 255, 0], [255, 255, 255]], np.uint8))
    # Published values for D65, for instance by B. Lindbloom.
    np.testing.assert_allclose(
        lab, [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [100, 0, 0]], atol=0.02
    )
    colors = rng.integers(0, 256, (200, 3), np.uint8)
    np.testing.assert_array_equal(to_rgb(to_lab(colors)), colors)
    assert np.abs(to_coarse_lab(colors) - to_lab(colors)).max() < 12


def slow_color_row(pixels):
    """Share of each soft bin, pixel by pixel."""
    coarse = (pixels.reshape(-1, 3) // 8 * 8 + 4).astype(np.float64)
    total = np.zeros(len(bin_centers()))
    for lab in to_lab(coarse):
        near = np.abs(lab - bin_centers()) / (20, 24, 24)
        total += np.where((near < 1).all(axis=1), (1 - near).prod(axis=1), 0)
    return np.sqrt(total / len(coarse))


def test_the_color_histogram_is_that_of_a_slow_loop(rng):
    pixels = rng.integers(0, 256, (12, 10, 3), np.uint8)
    np.testing.assert_allclose(color_rows(pixels[None])[0], slow_color_row(pixels), atol=1e-6)
    np.testing.assert_allclose(shares_of(color_rows(pixels[None])).sum(), 1)


def test_soft_shares_are_those_of_a_picture_of_one_color():
    color = np.array([100, 52, 204], np.uint8)
    shares = soft_shares(to_lab(color)[None])
    np.testing.assert_allclose(shares, shares_of(color_rows(plain(*color)[None])), atol=1e-6)


def test_color_tells_shades_apart_by_how_far_they_are_and_not_where():
    blue, other_blue, red = plain(40, 60, 200), plain(50, 75, 205), plain(200, 40, 40)
    near, far = alike(color_rows(np.stack([blue, other_blue, red])))
    assert near > 0.7 > 0.1 > far
    halves = np.vstack([blue[:64], red[64:]])
    assert alike(color_rows(np.stack([halves, halves[::-1]]))) == pytest.approx([1])
    assert alike(layout_rows(np.stack([halves, halves[::-1]])))[0] < 0.99


def test_the_color_grid_comes_back_from_its_row(rng):
    pixels = noise(rng)
    rows = layout_rows(pixels[None])
    cells = to_lab(block_means(pixels[None], 8))
    np.testing.assert_allclose(cells_of(rows), cells, atol=1e-3)
    expected = pixels[:16, 16:32].mean(axis=(0, 1))
    np.testing.assert_allclose(cells[0, 0, 1], to_lab(expected), atol=1e-6)


def test_grids_are_the_less_alike_the_farther_their_colors_are(rng):
    start = rng.uniform(-30, 30, (1, 8, 8, 3)) + np.array([50, 0, 0])
    step = rng.uniform(-1, 1, (1, 8, 8, 3))
    rows = rows_of_cells(np.concatenate([start + far * step for far in (0, 1, 3, 9, 20)]))
    similarities = alike(rows)
    assert similarities == sorted(similarities, reverse=True)
    squared = ((rows[1:] - rows[0]) ** 2).sum(axis=1)
    np.testing.assert_allclose(similarities, 1 - squared / 2, atol=1e-6)
    assert np.linalg.norm(on_sphere(np.array([[3.0, 4.0]]))) == pytest.approx(1)


def slow_patterns(plane):
    shares = np.zeros(10)
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for row in range(1, plane.shape[0] - 1):
        for column in range(1, plane.shape[1] - 1):
            bits = [plane[row + d, column + r] >= plane[row, column] for d, r in around]
            changes = sum(bits[at] != bits[at - 1] for at in range(8))
            shares[sum(bits) if changes <= 2 else 9] += 1
    return shares / shares.sum()


def test_local_binary_patterns_are_those_of_a_slow_loop(rng):
    plane = rng.integers(0, 256, (9, 11)).astype(np.float32)
    np.testing.assert_allclose(pattern_shares(plane[None])[0], slow_patterns(plane))


def stripes(width, *, across=False):
    rows = ((np.arange(SIDE) // width) % 2 * 200 + 20).astype(np.float32)
    plane = np.repeat(rows[:, None], SIDE, axis=1)
    return plane.T if across else plane


def test_tamura_tells_coarse_from_fine_strong_from_weak_and_stripes_from_noise(rng):
    random = rng.uniform(20, 220, (SIDE, SIDE)).astype(np.float32)
    fine, coarse, faint = stripes(2), stripes(16), stripes(16) / 10
    found = tamura(np.stack([fine, coarse, faint, random]))
    assert found[0, 0] < found[1, 0]
    assert found[1, 1] > 5 * found[2, 1]
    assert found[0, 2] > 0.95
    assert found[3, 2] < 0.1
    assert ((found >= 0) & (found <= 1)).all()


def test_texture_knows_the_weave_and_not_the_place_or_the_color(rng):
    rough, moved = noise(rng), np.roll(noise(rng), 40, axis=1)
    smooth = np.repeat(stripes(16)[..., None], 3, axis=2).astype(np.uint8)
    same, other = alike(texture_rows(np.stack([rough, moved, smooth])))
    assert same > 0.99 > 0.95 > other


def test_shape_sees_edges_where_they_are_and_bears_a_small_shift():
    box = drawn(lambda d: d.rectangle((20, 20, 60, 60), outline=0, width=3))
    near = drawn(lambda d: d.rectangle((23, 22, 63, 62), outline=0, width=3))
    far = drawn(lambda d: d.rectangle((70, 70, 110, 110), outline=0, width=3))
    slanted = drawn(
        lambda d: d.polygon([(40, 12), (68, 40), (40, 68), (12, 40)], outline=0, width=3)
    )
    negative = 255 - box
    rows = shape_rows(np.stack([box, near, far, slanted, negative]))
    close, apart, turned, inverted = alike(rows)
    assert close > 0.85
    assert apart < 0.2
    assert turned < 0.75
    assert inverted > 0.99


def test_blank_pictures_are_alike_in_shape_and_brightness_and_unlike_others(rng):
    pixels = np.stack([plain(90, 90, 90), plain(200, 10, 10), noise(rng)])
    for rows in (shape_rows(pixels), brightness_rows(pixels)):
        same, other = alike(rows)
        assert same == pytest.approx(1, abs=1e-5)
        assert other < 0.5


def test_brightness_sees_where_it_is_light_and_not_how_strong(rng):
    ramp = np.repeat(np.linspace(40, 220, SIDE)[:, None], SIDE, axis=1)
    faint = 100 + (ramp - 130) / 3
    pixels = np.stack([ramp, faint, ramp[::-1]]).astype(np.uint8)[..., None].repeat(3, axis=3)
    same, upside_down = alike(brightness_rows(pixels))
    assert same > 0.99
    assert upside_down < -0.9


def test_aspect_falls_with_the_difference_of_proportions_alone():
    sizes = sizes_of([(300, 400), (600, 800), (300, 450), (300, 300), (400, 300), (100, 400)])
    same, wider, square, upright, panorama = alike(aspect_rows(sizes))
    assert same == pytest.approx(1)
    assert same > wider > square > upright
    assert wider > panorama


def shape_mask(draw, size=128):
    image = Image.new("1", (size, size))
    draw(ImageDraw.Draw(image))
    return np.asarray(image)


def star(middle, radius, turn=0.0, points=5):
    angles = np.arange(2 * points) * np.pi / points + turn
    radii = radius * np.where(np.arange(2 * points) % 2, 0.4, 1)
    return [
        (middle[0] + r * np.cos(a), middle[1] + r * np.sin(a))
        for r, a in zip(radii, angles, strict=True)
    ]


def test_moments_do_not_change_when_a_shape_is_moved_scaled_or_turned():
    one = shape_mask(lambda d: d.polygon(star((64, 64), 50), fill=1))
    other = shape_mask(lambda d: d.polygon(star((80, 50), 34, turn=0.7), fill=1))
    disc = shape_mask(lambda d: d.ellipse((20, 20, 100, 100), fill=1))
    bar = shape_mask(lambda d: d.rectangle((10, 55, 118, 70), fill=1))
    distances = [np.linalg.norm(moments(each) - moments(one)) for each in (other, disc, bar)]
    assert distances[0] < 0.25 * min(distances[1:])
    # All moments but the first are zero for a disc.
    assert np.abs(moments(disc)[:-1]).max() < 0.05


def test_what_stands_out_is_found_and_what_does_not_is_not(rng):
    thing = drawn(lambda d: d.polygon(star((60, 70), 40), fill=(200, 40, 30)), (120, 170, 220))
    mask = foreground(to_coarse_lab(block_means(thing[None], 64).astype(np.uint8))[0])
    true = block_means(np.asarray(thing)[None], 64)[0, ..., 0] > 160
    assert (mask & true).sum() / (mask | true).sum() > 0.9
    assert foreground(to_coarse_lab(plain(120, 170, 220, side=64))) is None
    rows = silhouette_rows(np.stack([thing, plain(1, 2, 3)]))
    assert np.linalg.norm(rows, axis=1).tolist() == pytest.approx([1, 0])


def test_a_drawn_line_that_closes_is_filled():
    line = drawn(lambda d: d.polygon(star((64, 64), 50), outline=(0, 0, 0)))
    filled = drawn(lambda d: d.polygon(star((64, 64), 50), fill=(0, 0, 0)))
    assert (drawn_mask(line) != drawn_mask(filled)).mean() < 0.02
    with pytest.raises(UsageError, match="the outline is blank; draw a filled shape"):
        drawn_mask(plain(9, 9, 9))


def test_colors_have_the_names_that_people_give_them():
    named = {"#ff0000": "red", "#f5f5f5": "white", "#5c3a1e": "brown", "#3399ff": "blue"}
    assert {text: name_of(read_color(text)) for text in named} == named
    assert [name_of(read_color(name)) for name in MEANT] == list(MEANT)
    with pytest.raises(UsageError, match=r"'bleu' is no color; write six .* black, white"):
        read_color("bleu")


def test_a_palette_tells_the_colors_and_how_much_each_covers():
    picture = np.vstack([plain(90, 150, 230)[:96], plain(40, 110, 40)[96:]])
    blue, green = palette(picture, 5)
    assert (blue.color, blue.name, green.color, green.name) == (
        "#5a96e6",
        "blue",
        "#286e28",
        "green",
    )
    assert (blue.share, green.share) == pytest.approx((0.75, 0.25))
    assert [each.color for each in palette(picture, 1)] != [blue.color]
    with pytest.raises(UsageError, match="1 to 16 colors, not 0"):
        palette(picture, 0)
