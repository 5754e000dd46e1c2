"""Parts of pictures: where they are, and what they look like."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.features.region_features import (
    COLOR_DIM,
    TEXTURE_DIM,
    color_codes,
    color_vector,
    texture_codes,
    texture_vector,
)
from lookalike.features.regions import (
    LOOK_SIDE,
    PictureLooks,
    box_looks,
    component_outlines,
    describe_regions,
    grid_outlines,
)
from lookalike.images.decoding import Decoded

ALL = np.ones((16, 16), bool)


@dataclass(frozen=True)
class MeanColors:
    """An encoder whose answer is read off a picture: its mean color."""

    def encode(self, pixels):
        return MeansOf(pixels.mean(axis=(1, 2)).astype(np.float32))


@dataclass(frozen=True)
class MeansOf:
    rows: np.ndarray

    @property
    def descriptors(self):
        return {"content": self.rows}

    @property
    def labels(self):
        return np.empty((len(self.rows), 0), np.float32)


def one_hot(seen, n_classes=3):
    return (np.arange(n_classes + 1)[:, None, None] == seen).astype(np.float32)


def flooded(seen):
    """Connected parts of a label map, cell by cell: (label, cells)."""
    left = {place for place in np.ndindex(*seen.shape) if seen[place]}
    parts = []
    while left:
        reached, edge = set(), [min(left)]
        value = seen[edge[0]]
        while edge:
            place = edge.pop()
            if place in left and seen[place] == value:
                left.discard(place)
                reached.add(place)
                y, x = place
                edge += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        parts.append((int(value) - 1, reached))
    return parts


# Outlines


def test_the_grid_has_three_levels_that_cover_the_picture():
    boxes = np.array([outline.box for outline in grid_outlines()])
    assert boxes[0].tolist() == [0, 0, 1, 1]
    assert len(boxes) == 1 + 4 + 9
    for n, part in ((2, boxes[1:5]), (3, boxes[5:])):
        covered = np.zeros((100, 100), bool)
        for x, y, width, height in (part * 100).round().astype(int):
            covered[y : y + height, x : x + width] = True
        assert covered.all()
        assert part[:, 2].max() > 1 / n  # cells overlap
        assert (part[:, :2] + part[:, 2:]).max() == pytest.approx(1)


def test_components_are_the_connected_parts_of_the_label_map(rng):
    for _ in range(20):
        seen = rng.integers(0, 4, (6, 6)).repeat(3, 0).repeat(3, 1)
        expected = sorted((len(cells), label) for label, cells in flooded(seen))[::-1][:8]
        found = component_outlines(one_hot(seen))
        assert len(found) == len(expected)
        assert [round(each.area * seen.size) for each in found] == [n for n, _ in expected]
        for outline in found:
            cells = next(
                cells
                for label, cells in flooded(seen)
                if label == outline.label and _box(cells, seen.shape) == pytest.approx(outline.box)
            )
            assert len(cells) == round(outline.area * seen.size)


def _box(cells, shape):
    rows, columns = (np.array(axis) for axis in zip(*cells, strict=True))
    top, left = rows.min() / shape[0], columns.min() / shape[1]
    return (
        left,
        top,
        (columns.max() + 1) / shape[1] - left,
        (rows.max() + 1) / shape[0] - top,
    )


def test_background_and_specks_are_no_regions():
    seen = np.zeros((32, 32), int)
    assert component_outlines(one_hot(seen)) == []
    seen[3:6, 3:6] = 1  # 9 of 1024 cells are less than a hundredth
    assert component_outlines(one_hot(seen)) == []
    seen[3:6, 6:7] = 1
    [found] = component_outlines(one_hot(seen))
    assert (found.label, found.area) == (0, 12 / 1024)


def test_a_mask_tells_what_of_its_box_a_region_covers():
    seen = np.zeros((16, 16), int)
    seen[:8, :8] = seen[8:, 8:12] = seen[7, 7:9] = seen[8, 8] = 2
    [found] = component_outlines(one_hot(seen))
    assert found.box == (0, 0, 0.75, 1)
    assert found.mask[:4, :5].all()
    assert not found.mask[4:, :5].any()


# Looks


def stripes(period, *, upright):
    on = np.arange(64) // (period // 2) % 2 * 200 + 20
    picture = np.broadcast_to(on if upright else on[:, None], (64, 64))
    return np.repeat(picture[..., None], 3, axis=2).astype(np.uint8)


def colors_of(color):
    return color_vector(color_codes(np.full((16, 16, 3), color, np.uint8)), ALL)


def test_colors_are_as_alike_as_they_look():
    red, pink, blue = colors_of((200, 20, 20)), colors_of((210, 40, 30)), colors_of((20, 20, 200))
    assert len(red) == COLOR_DIM
    assert np.linalg.norm(red) == pytest.approx(1, abs=1e-6)
    assert red @ pink > 0.9
    assert red @ blue < 0.4


def test_a_little_more_light_changes_colors_a_little():
    for level in range(10, 240, 10):
        before, after = colors_of((level,) * 3), colors_of((level + 8,) * 3)
        assert before @ after > 0.85


def test_only_the_pixels_of_the_mask_have_a_color():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, 8:] = (200, 20, 20)
    mask = np.zeros((16, 16), bool)
    mask[:, 8:] = True
    found = color_vector(color_codes(picture), mask)
    np.testing.assert_allclose(found, colors_of((200, 20, 20)), atol=1e-6)


def test_texture_patterns_are_those_of_a_slow_reading(rng):
    picture = rng.integers(0, 256, (9, 9, 3), np.uint8)
    gray = np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(int)
    ring = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
    for layer, radius in enumerate((1, 2, 4)):
        for y, x in np.ndindex(9, 9):
            places = [(y + radius * dy, x + radius * dx) for dy, dx in ring]
            bits = [gray[min(max(a, 0), 8), min(max(b, 0), 8)] >= gray[y, x] for a, b in places]
            changes = sum(
                one != other for one, other in zip(bits, bits[1:] + bits[:1], strict=True)
            )
            expected = sum(bits) if changes <= 2 else 9
            assert texture_codes(picture)[layer, y, x] == expected


def test_textures_are_told_apart_by_their_grain_and_not_by_their_direction():
    mask = np.ones((64, 64), bool)
    fine, turned, coarse = (
        texture_vector(texture_codes(stripes(period, upright=upright)), mask)
        for period, upright in ((4, True), (4, False), (16, True))
    )
    assert len(fine) == TEXTURE_DIM
    assert fine @ turned > 0.95
    assert fine @ coarse < 0.9


def test_a_box_looks_like_the_region_that_is_the_same():
    picture = np.random.default_rng(3).integers(0, 256, (LOOK_SIDE, LOOK_SIDE, 3), np.uint8)
    picture[: LOOK_SIDE // 2] //= 3
    of_box = box_looks(Decoded(picture, 640, 480, "PNG"), (160, 120, 320, 240))
    of_region = PictureLooks(picture).of((0.25, 0.25, 0.5, 0.5))
    for one, other in zip(of_box, of_region, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UsageError, match="640 pixels wide and 480 high"):
        box_looks(Decoded(picture, 640, 480, "PNG"), (400, 120, 320, 240))


def test_regions_are_described_by_what_lies_in_their_box():
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[:, 48:] = (0, 0, 240)
    outlines = [o for o in grid_outlines() if o.box[2] == 0.4 and o.box[0] in (0, 0.6)]
    found = describe_regions(picture, outlines, MeanColors(), 24)
    for region in found:
        blue = 240 if region.outline.box[0] > 0 else 0
        np.testing.assert_allclose(region.content, [0, 0, blue], atol=1)
        np.testing.assert_allclose(region.color, colors_of((0, 0, blue)), atol=1e-6)


def test_crops_are_as_sharp_as_the_picture():
    picture = np.asarray(Image.fromarray(stripes(8, upright=True)).resize((320, 320), 0))
    outlines = [o for o in grid_outlines() if o.box[2] == 0.4][:1]

    class Contrast(MeanColors):
        def encode(self, pixels):
            return MeansOf(pixels.std(axis=(1, 2)).astype(np.float32))

    [region] = describe_regions(picture, outlines, Contrast(), 128)
    assert region.content.min() > 90
