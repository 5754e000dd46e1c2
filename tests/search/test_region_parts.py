"""Images by their best region, against a slow reading of the same."""

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.index.exact import exact_index
from lookalike.search.region_gallery import PER_IMAGE, RegionGallery, fit_best, greatest, ranges
from lookalike.search.regions import RegionPart
from tests.search.search_galleries import N_IMAGES, WITHOUT, gallery_of


@pytest.fixture
def gallery(rng):
    return gallery_of(rng)


@pytest.fixture
def point(rng):
    return normalize(rng.standard_normal(6))


def slow_best(gallery, point):
    """Best similarity of each image, and the region that has it."""
    rows = gallery.indexes["content"].vectors(gallery.ids)
    best = {}
    for region_id, row in zip(gallery.ids.tolist(), rows, strict=True):
        similarity = float(np.dot(row, point))
        image = region_id // PER_IMAGE
        if image not in best or similarity > best[image][0]:
            best[image] = similarity, region_id
    return best


def test_an_image_is_as_similar_as_its_best_region(gallery, point):
    best = slow_best(gallery, point)
    ids = np.array([3, 1, 7])
    expected = gallery.best.scores(np.array([best[int(i)][0] for i in ids]))
    np.testing.assert_allclose(RegionPart(gallery, point).scores(ids), expected, atol=1e-5)


def test_images_without_regions_have_no_evidence(gallery, point):
    part = RegionPart(gallery, point)
    assert part.scores(np.array([WITHOUT, 999])).tolist() == [0, 0]
    assert np.isnan(part.boxes(np.array([WITHOUT]))).all()


@pytest.mark.parametrize("n", [1, 5, 20, 500])
def test_the_best_images_are_proposed(gallery, point, n):
    best = slow_best(gallery, point)
    ranked = sorted(best, key=lambda image: -best[image][0])
    found = RegionPart(gallery, point).propose(n, None)
    assert found.is_exact
    assert set(ranked[:n]) <= set(found.ids.tolist())
    assert len(set(found.ids.tolist())) == len(found.ids)


def test_only_allowed_images_are_proposed(gallery, point):
    allowed = np.arange(2, N_IMAGES, 3)
    found = RegionPart(gallery, point).propose(10, allowed)
    assert set(found.ids.tolist()) <= set(allowed.tolist())
    assert len(found.ids) >= 10
    nothing = RegionPart(gallery, point).propose(10, np.empty(0, np.int64))
    assert len(nothing.ids) == 0


def test_boxes_are_those_of_the_best_regions(gallery, point):
    best = slow_best(gallery, point)
    ids = np.array([5, 2])
    found = RegionPart(gallery, point).boxes(ids)
    for row, image in enumerate(ids.tolist()):
        x, y, width, height = gallery.boxes[np.searchsorted(gallery.ids, best[image][1])]
        np.testing.assert_allclose(found[row], [x, y, x + width, y + height], atol=1e-6)


def test_scores_do_not_depend_on_what_else_is_asked(gallery, point):
    part = RegionPart(gallery, point)
    ids = np.arange(1, N_IMAGES + 1)
    together = part.scores(ids)
    apart = [part.scores(ids[at : at + 1])[0] for at in range(len(ids))]
    np.testing.assert_array_equal(together, apart)


def test_a_score_tells_how_rare_such_a_best_region_is(rng):
    """Among random images, one in ten has a score of 1 or more, as for every other part."""
    gallery = gallery_of(rng, n_images=300)
    shares = []
    for _ in range(40):
        part = RegionPart(gallery, normalize(rng.standard_normal(6)))
        shares.append((part.scores(gallery.image_ids) >= 1).mean())
    assert 0.05 < np.mean(shares) < 0.2
    [pairs_score] = gallery.pairs["content"].scores(np.array([0.8]))
    [best_score] = gallery.best.scores(np.array([0.8]))
    assert best_score < pairs_score  # among many regions one is easily similar


def test_a_calibration_of_one_image_rises():
    ids = np.array([64, 65])
    index = exact_index(ids, normalize(np.eye(2, 6)))
    calibration = fit_best(ids, index)
    assert (np.diff(calibration.scores(np.linspace(-1, 1, 9))) > 0).all()


def test_runs_of_regions_are_joined_and_their_greatest_found(rng):
    starts = np.array([4, 9, 9, 0])
    lengths = np.array([3, 0, 2, 4])
    joined = ranges(starts, starts + lengths)
    assert joined.tolist() == [4, 5, 6, 9, 10, 0, 1, 2, 3]
    values = rng.standard_normal(len(joined))
    expected = [values[:3].max(), -9, values[3:5].max(), values[5:].max()]
    np.testing.assert_array_equal(greatest(values, lengths, without=-9.0), expected)
    assert greatest(np.empty(0), np.array([0]), without=-9.0).tolist() == [-9]


def test_a_gallery_knows_its_images(gallery: RegionGallery):
    assert WITHOUT not in gallery.image_ids
    assert len(gallery.image_ids) == N_IMAGES - 1
