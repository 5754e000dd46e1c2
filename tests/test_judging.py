import json
import shutil

import numpy as np
import pytest

from lookalike import Collection, compare, judge, open_dataset
from lookalike.arrays import NO_ID
from lookalike.errors import DatasetError, UsageError
from lookalike.evaluation.by_label import by_label
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import ground_truth
from lookalike.judging import (
    CollectionSystem,
    ids_by_hash,
    judge_by,
    same_pictures,
    truth_of_labels,
)
from lookalike.storage.annotations import Statement
from tests.small_sets import write_masks, write_pictures
from tests.tiny_model import CLASSES, write_tiny_model

N = 30
MAP = Measure("mean_average_precision")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def outfits(tmp_path_factory):
    return write_masks(tmp_path_factory.mktemp("sets") / "outfits", N)


def collect(path, model, *sources):
    made = Collection.create(path, model=model)
    for source in sources:
        made.add(source, workers=0)
    return made


@pytest.fixture(scope="module")
def photos(tmp_path_factory, model, outfits):
    path = tmp_path_factory.mktemp("collections") / "photos.lookalike"
    with collect(path, model, outfits / "images") as made:
        yield made


@pytest.fixture(scope="module")
def found(photos, outfits, tmp_path_factory):
    report = tmp_path_factory.mktemp("report") / "outfits"
    return judge(photos, open_dataset(outfits), at=(1, 5), n_clusters=3, report=report), report


def test_a_model_that_tells_the_classes_is_measured_to_tell_them(found):
    evaluation, _ = found
    assert (len(evaluation.query_ids), evaluation.n_gallery) == (N, N)
    assert (evaluation.n_junk, evaluation.n_missing, evaluation.n_without_relevant) == (0, 0, 0)
    mean = {measure: estimate.mean for measure, estimate in evaluation.estimates.items()}
    assert mean[MAP] > 0.9 > 0.6 > evaluation.random[MAP]
    assert mean[Measure("precision_at_k", 5)] > 0.9
    assert mean[Measure("recall_at_k", 5)] == pytest.approx(
        mean[Measure("precision_at_k", 5)] * 5 / (N / 3 - 1)
    )
    assert mean[Measure("hit_rate_at_k", 1)] > 0.9
    layout = Measure("layout_miou_at_k", 5)
    assert 1 > mean[layout] > evaluation.random[layout] > 0
    assert evaluation.clustering is not None
    assert evaluation.clustering.f > 0.8 > evaluation.clustering.baseline_random_f


def test_a_report_lies_in_its_folder(found):
    evaluation, report = found
    page = (report / "report.html").read_text()
    assert "photos.lookalike judged by outfits" in page
    assert f"{N} queries among {N} pictures, model" in page
    assert {path.suffix for path in report.iterdir()} == {".html", ".json", ".csv", ".png"}
    stored = json.loads((report / "evaluation.json").read_text())
    assert stored == json.loads(json.dumps(evaluation.to_json()))


def test_the_same_seed_gives_the_same_figures_and_draws_so_many_queries(photos, outfits):
    options = {"n_queries": 7, "n_clusters": 3, "at": (2,)}
    first, same, other = (
        judge(photos, open_dataset(outfits), seed=seed, **options) for seed in (1, 1, 2)
    )
    assert len(first.query_ids) == 7
    assert first.to_json() == same.to_json()
    assert first.query_ids.tolist() != other.query_ids.tolist()


def test_more_clusters_than_pictures_are_not_asked_for(photos, outfits):
    evaluation = judge(photos, open_dataset(outfits), n_queries=2, n_clusters=10_000)
    assert evaluation.clustering is not None
    assert evaluation.clustering.n_clusters <= N


def test_weights_are_those_of_the_search(photos, outfits):
    truth = ground_truth(open_dataset(outfits), ids_by_hash(photos, open_dataset(outfits)))
    for weights in ({"content": 1.0}, {"layout": 1.0}, None):
        hits = CollectionSystem(photos, weights).rank(truth.ids[:4], 6)
        assert set(hits.parts) == set(weights or ("content", "layout"))
        assert not (hits.ids == truth.ids[:4, None]).any()
    with pytest.raises(UsageError, match="'smell'"):
        judge(photos, open_dataset(outfits), weights={"smell": 1.0})


def test_pictures_that_the_set_does_not_know_are_junk(tmp_path, model, outfits, found):
    write_pictures(tmp_path / "others", 5)
    with collect(tmp_path / "c.lookalike", model, outfits / "images", tmp_path / "others") as both:
        evaluation = judge(both, open_dataset(outfits), at=(1, 5), n_clusters=3)
    assert (evaluation.n_gallery, evaluation.n_junk) == (N, 5)
    clean, _ = found
    assert evaluation.estimates[MAP].mean == pytest.approx(clean.estimates[MAP].mean, abs=0.02)


def test_pictures_that_are_not_in_the_collection_are_counted(tmp_path, model, outfits):
    with collect(tmp_path / "c.lookalike", model, outfits / "images") as photos:
        for number in range(3):
            (outfits / "images" / f"{number:03}.png").rename(tmp_path / f"{number:03}.png")
        try:
            photos.add(outfits / "images", workers=0)
        finally:
            for number in range(3):
                (tmp_path / f"{number:03}.png").rename(outfits / "images" / f"{number:03}.png")
        evaluation = judge(photos, open_dataset(outfits), n_clusters=3)
    assert (evaluation.n_gallery, evaluation.n_missing) == (N - 3, 3)


def test_what_cannot_be_judged_is_refused(photos, outfits, tmp_path):
    dataset = open_dataset(outfits)
    write_masks(tmp_path / "others", 6, seed=9)
    with pytest.raises(DatasetError, match="none of the 6 pictures of others is among"):
        judge(photos, open_dataset(tmp_path / "others"))
    with pytest.raises(UsageError, match="'hat'"):
        judge(photos, dataset, without=["hat"])
    with pytest.raises(UsageError, match="0 clusters"):
        judge(photos, dataset, n_clusters=0)
    with pytest.raises(UsageError, match="at least 1 query"):
        judge(photos, dataset, n_queries=0)
    with pytest.raises(UsageError, match="0"):
        judge(photos, dataset, at=(0,))


def test_classes_that_do_not_count_leave_their_pictures_without_relevant_ones(photos, outfits):
    evaluation = judge(photos, open_dataset(outfits), without=["red"], n_clusters=3)
    assert len(evaluation.query_ids) == N * 2 / 3
    assert evaluation.n_without_relevant == N / 3


# Two collections of the same pictures


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory, model, outfits):
    """The same pictures with other ids: copied, renamed, and among others."""
    folder = tmp_path_factory.mktemp("shuffled")
    write_pictures(folder / "others", 7)
    order = np.random.default_rng(3).permutation(N)
    for place, number in enumerate(order.tolist()):
        target = folder / f"part{place % 3}" / f"{place:03}.png"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(outfits / "images" / f"{number:03}.png", target)
    parts = [folder / f"part{part}" for part in (2, 0, 1)]
    with collect(folder / "c.lookalike", model, parts[0], folder / "others", *parts[1:]) as made:
        yield made


def hash_of(collection, image_id):
    return collection.images([int(image_id)])[0].hash


def test_ids_of_another_collection_are_translated_both_ways(photos, shuffled, outfits):
    dataset = open_dataset(outfits)
    truth = ground_truth(dataset, ids_by_hash(photos, dataset))
    renamed = same_pictures(shuffled, truth, photos)
    asked = truth.ids[[4, 17, 2]]
    own_ids = [shuffled.catalog.image_ids([hash_of(photos, i)]) for i in asked]
    own = np.array([next(iter(found.values())) for found in own_ids])
    assert own.tolist() != asked.tolist()
    hits = renamed.rank(asked, N + 6)
    expected = CollectionSystem(shuffled).rank(own, N + 6)
    np.testing.assert_array_equal(hits.scores, expected.scores)
    n_known = 0
    for outside, inside in zip(hits.ids.ravel(), expected.ids.ravel(), strict=True):
        if outside != NO_ID:
            assert hash_of(photos, outside) == hash_of(shuffled, inside)
            n_known += 1
        else:  # one of the others, which the first collection does not hold
            assert hash_of(shuffled, inside) not in photos.catalog.image_ids(
                [hash_of(shuffled, inside)]
            )
    assert n_known == 3 * (N - 1)


def test_the_order_of_indexing_does_not_change_what_is_measured(photos, tmp_path, model, outfits):
    parts = [tmp_path / "b", tmp_path / "a"]
    for part in parts:
        part.mkdir()
    for number in range(N):
        source = outfits / "images" / f"{number:03}.png"
        shutil.copyfile(source, parts[number % 2] / f"{N - number}.png")
    dataset = open_dataset(outfits)
    truth = ground_truth(dataset, ids_by_hash(photos, dataset))
    with collect(tmp_path / "c.lookalike", model, *parts) as other:
        one = evaluate(CollectionSystem(photos), truth, n_queries=20, seed=4)
        two = evaluate(same_pictures(other, truth, photos), truth, n_queries=20, seed=4)
    for measure, estimate in one.estimates.items():
        assert two.estimates[measure].mean == pytest.approx(estimate.mean, abs=1e-9), measure
    difference = compare(one, two).differences[MAP].difference
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0, 0, 0))


def test_a_collection_that_lacks_a_picture_cannot_be_compared(photos, tmp_path, model, outfits):
    dataset = open_dataset(outfits)
    truth = ground_truth(dataset, ids_by_hash(photos, dataset))
    write_pictures(tmp_path / "others", 2)
    few = [outfits / "images" / f"{number:03}.png" for number in range(5)]
    message = f"lacks {N - 5} of the {N} pictures"
    with (
        collect(tmp_path / "c.lookalike", model, tmp_path / "others", *few) as other,
        pytest.raises(DatasetError, match=message),
    ):
        same_pictures(other, truth, photos)


def test_labels_of_class_folders_are_judged_too(tmp_path, model):
    outfits = write_masks(tmp_path / "outfits", 12)
    for number, path in enumerate(sorted((outfits / "images").iterdir())):
        folder = tmp_path / "classes" / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    with collect(tmp_path / "c.lookalike", model, tmp_path / "classes") as photos:
        evaluation = judge(photos, open_dataset(tmp_path / "classes"), n_clusters=3)
    assert "layout_miou_at_k" not in evaluation.to_json()
    assert evaluation.estimates[MAP].mean > 0.8


@pytest.fixture
def labeled(tmp_path, model, outfits):
    """A collection with the labels of its data set, of which a person took one away."""
    with collect(tmp_path / "own.lookalike", model, outfits) as made:
        said = [Statement(1, "green", True), Statement(1, "red", False), Statement(2, "new", True)]
        made.catalog.knowledge.annotations.add("label", {}, said)
        yield made


def test_given_labels_are_a_truth_and_a_person_counts_before_a_data_set(labeled):
    truth = truth_of_labels(labeled)
    assert truth.classes == ("blue", "green", "new", "red")
    assert (len(truth), truth.n_unknown, truth.label_maps) == (N, N, None)  # masks are indexed, too
    named = [{truth.classes[c] for c in np.flatnonzero(row)} for row in truth.labels[:3]]
    assert named == [{"green"}, {"green", "new"}, {"blue"}]


def test_what_a_model_predicts_is_no_truth(photos):
    assert photos.images([1])[0].labels  # predicted ones
    with pytest.raises(DatasetError, match="was given a label"):
        truth_of_labels(photos)


def test_labels_that_do_not_count_make_nothing_relevant(labeled):
    truth = truth_of_labels(labeled, without=["blue"])
    shared = truth.shared_labels(np.array([2]))
    assert shared.sum() == 0
    with pytest.raises(UsageError, match="'sky'"):
        truth_of_labels(labeled, without=["sky"])
    with pytest.raises(UsageError, match="none is left"):
        truth_of_labels(labeled, without=truth.classes)


def test_figures_of_a_label_are_means_over_the_queries_that_show_it(labeled):
    truth = truth_of_labels(labeled)
    found = judge_by(labeled, truth, at=(1, 5))
    for each in by_label(found, truth):
        column = truth.classes.index(each.label)
        shows = truth.labels[truth.positions(found.query_ids), column]
        assert each.n_pictures == truth.labels[:, column].sum()
        assert each.average_precision == pytest.approx(found.values[MAP][shows].mean())
        at_five = found.values[Measure("precision_at_k", 5)]
        assert each.precision == pytest.approx(at_five[shows].mean())
