"""Searching with marks, against a loop over all images."""

import numpy as np
import pytest

from lookalike.arrays import NO_ID, normalize
from lookalike.errors import UsageError
from lookalike.evaluation.metrics import mean_average_precision
from lookalike.index.exact import exact_index
from lookalike.search.calibration import fit_calibration
from lookalike.search.feedback import Feedback
from lookalike.search.parts import Part
from lookalike.search.queries import IdExample, Query
from lookalike.search.steering import SteeredPart, Steering
from lookalike.search.targets import Evidence, Points, moved, separating, weighted
from tests.index.galleries import built, clustered, spaced_ids
from tests.search.painters import calibrations_of, searcher_of

N = 300
IDS = spaced_ids(N).tolist()
SPACES = {"content": clustered(N, 12, seed=1), "layout": clustered(N, 6, seed=2)}
LIKED, DISLIKED = IDS[20], IDS[40]
MARKS = {LIKED: 3, IDS[21]: 1, DISLIKED: -1, IDS[41]: -3, IDS[60]: 0}
METHODS = (
    "auto",
    "average",
    "rocchio",
    "within",
    "between",
    "mars",
    "multipoint",
    "mindreader",
    "classifier",
)


@pytest.fixture(scope="module")
def exact():
    return {name: built("exact", rows) for name, rows in SPACES.items()}


@pytest.fixture(scope="module")
def searcher(exact):
    return searcher_of(exact)


def by_id(image: int) -> tuple[IdExample, ...]:
    return (IdExample(image),)


def slow_evidence(name: str) -> Evidence:
    rows = dict(zip(IDS, normalize(SPACES[name]), strict=True))
    return Evidence(
        rows[IDS[7]],
        np.stack([rows[LIKED], rows[IDS[21]]]),
        np.array([3.0, 1.0]),
        np.stack([rows[DISLIKED], rows[IDS[41]]]),
        np.array([1.0, 3.0]),
        normalize(SPACES[name]),
    )


@pytest.mark.parametrize(
    ("method", "make", "of_pairs"),
    [
        ("rocchio", moved, True),
        ("within", weighted, False),
        ("classifier", separating, False),
        ("auto", separating, False),
    ],
)
def test_hits_are_those_of_a_loop_over_all_images(exact, searcher, method, make, of_pairs):
    query = Query(by_id(IDS[7]), feedback=Feedback((MARKS,), method))
    hits = searcher.search([query], N)
    total = np.zeros(N)
    for name, index in exact.items():
        target = make(slow_evidence(name))
        similar = target.similarities(normalize(SPACES[name]))
        if of_pairs:
            scores = fit_calibration(index).scores(similar)
        else:
            # One image in a thousand fits as well: rarity among the images, up to its tail.
            scores = np.array([-np.log10((similar >= s).sum() / (N + 1)) for s in similar])
        total += scores / 2
    left = [image for image in IDS if image not in {*MARKS, IDS[7]}]
    assert set(hits.ids[0].tolist()) - {NO_ID} == set(left)
    found = dict(zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True))
    expected = dict(zip(IDS, total.tolist(), strict=True))
    near = [abs(found[i] - expected[i]) for i in left if found[i] < 1.7]
    assert len(near) > 250
    assert max(near) < (1e-5 if of_pairs else 0.12)


@pytest.fixture(scope="module")
def large():
    rows = {"content": clustered(2000, 12, seed=1), "layout": clustered(2000, 6, seed=2)}
    return {
        kind: searcher_of({name: built(kind, part, members=1000) for name, part in rows.items()})
        for kind in ("clusters", "exact")
    }


@pytest.mark.parametrize("method", METHODS)
def test_every_method_works_on_approximate_indexes(large, method):
    query = Query(by_id(7), feedback=Feedback((MARKS,), method))
    found, true = (large[kind].search([query], 10) for kind in ("clusters", "exact"))
    assert not found.is_exact
    assert true.is_exact
    same = set(found.ids[0].tolist()) & set(true.ids[0].tolist())
    assert len(same) >= 9
    known = dict(zip(true.ids[0].tolist(), true.scores[0].tolist(), strict=True))
    for image in same:
        score = found.scores[0][found.ids[0] == image][0]
        assert score == pytest.approx(known[image], abs=1e-6)


def ranks_near(searcher, marks, method, place):
    """Mean rank of the ten images nearest to one, after marks."""
    rows = normalize(SPACES["content"])
    near = [IDS[i] for i in np.argsort(-(rows @ rows[place]))[1:11]]
    feedback = Feedback((marks,), method, exclude_seen=False)
    query = Query(by_id(IDS[7]), weights={"content": 1}, feedback=feedback)
    ranked = searcher.search([query], N).ids[0].tolist()
    return float(np.mean([ranked.index(image) for image in near]))


@pytest.mark.parametrize("method", METHODS)
def test_images_near_a_liked_one_rise(searcher, method):
    before = ranks_near(searcher, {IDS[60]: 0}, "rocchio", 20)
    assert ranks_near(searcher, {LIKED: 1}, method, 20) < before - 5


@pytest.mark.parametrize("method", sorted({*METHODS} - {"average", "mindreader"}))
def test_images_near_a_disliked_one_fall(searcher, method):
    before = ranks_near(searcher, {LIKED: 1}, method, 40)
    assert ranks_near(searcher, {LIKED: 1, DISLIKED: -1}, method, 40) > before + 1


def test_seen_images_are_kept_when_asked(searcher):
    kept = Feedback((MARKS,), exclude_seen=False)
    hits = searcher.search([Query(by_id(IDS[7]), feedback=kept)], N)
    assert LIKED in hits.ids[0].tolist()[:3]
    assert IDS[7] not in hits.ids[0].tolist()


def test_marks_that_say_nothing_leave_the_query_where_it_is(searcher):
    plain = searcher.search([Query(by_id(IDS[7]))], 20)
    nothing = Feedback(({IDS[299]: 0},))
    steered = searcher.search([Query(by_id(IDS[7]), feedback=nothing)], 20)
    assert steered.ids.tolist() == plain.ids.tolist()
    assert steered.scores.tolist() == plain.scores.tolist()


def test_a_like_alone_is_an_example(searcher):
    like = Query((), feedback=Feedback(({LIKED: 1},), "rocchio"))
    example = Query(by_id(LIKED))
    both = searcher.search([like, example], 20)
    assert both.ids[0].tolist() == both.ids[1].tolist()
    np.testing.assert_allclose(both.scores[0], both.scores[1], atol=1e-5)


def test_marks_of_images_that_are_gone_are_ignored(searcher):
    with_gone = Feedback(({LIKED: 1, 999_999: 1, 1_000_000: -3},), "rocchio")
    without = Feedback(({LIKED: 1},), "rocchio")
    hits = searcher.search([Query(by_id(7), feedback=f) for f in (with_gone, without)], 20)
    assert hits.ids[0].tolist() == hits.ids[1].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_where_all_liked_images_are_gone_the_search_says_so(searcher, method):
    query = Query((), feedback=Feedback(({999_999: 1, DISLIKED: -1},), method))
    with pytest.raises(UsageError, match="none of the liked images is in the collection any more"):
        searcher.search([query], 5)


def test_steered_queries_and_lists_are_not_asked_together(searcher):
    queries = [Query(by_id(7), rerank="diffusion"), Query(by_id(7), order="list")]
    with pytest.raises(UsageError, match="cannot be asked together"):
        searcher.search(queries, 5)


def test_a_filter_holds_for_marks_too(searcher):
    allowed = np.array(IDS[100:150])
    query = Query(by_id(IDS[7]), feedback=Feedback((MARKS,)))
    hits = searcher.search([query], 100, allowed=allowed)
    assert set(hits.ids[0].tolist()) - {NO_ID} == set(allowed.tolist())


def test_descriptors_that_rank_relevant_images_first_weigh_more(exact):
    """Of what is marked as relevant, `layout` knows everything and `content` nothing."""
    steering = Steering(exact, calibrations_of(exact))
    own = {name: normalize(rows)[0] for name, rows in SPACES.items()}
    by_layout = np.argsort(-(normalize(SPACES["layout"]) @ own["layout"]), kind="stable")
    by_content = np.argsort(-(normalize(SPACES["content"]) @ own["content"]), kind="stable")
    far = set(by_content[100:].tolist())
    chosen = [IDS[i] for i in by_layout[1:] if int(i) in far][:4]
    weights = {"content": 1.0, "layout": 0.25}
    steered = steering.steer(own, weights, Feedback((dict.fromkeys(chosen, 1),), "between"))
    assert steered.weights[0] == 0.0
    assert steered.weights[1] == pytest.approx(1.25)
    disliked = Feedback((dict.fromkeys(chosen, -1),), "between")
    assert list(steering.steer(own, weights, disliked).weights) == [1.0, 0.25]


def test_a_target_of_its_own_is_scored_by_its_rarity_among_images(exact):
    steering = Steering(exact, calibrations_of(exact))
    own = {name: normalize(rows)[0] for name, rows in SPACES.items()}
    steered = steering.steer(own, {"content": 1.0}, Feedback((MARKS,), "classifier"))
    [part] = steered.parts
    assert isinstance(part, Part)
    scores = part.scores(np.array(IDS))
    assert (scores >= 1).mean() == pytest.approx(0.1, abs=0.02)


def test_images_without_the_descriptor_have_no_evidence(exact):
    for target in (
        Points(normalize(SPACES["content"][:1])),
        weighted(slow_evidence("content")),
    ):
        calibration = fit_calibration(exact["content"])
        part = SteeredPart("content", exact["content"], target, calibration)
        scores = part.scores(np.array([IDS[0], 999_999]))
        assert scores[0] > 0
        assert scores[1] == 0


def simulated_rounds(searcher, query, wanted, method, n_rounds=3):
    """Mean average precision before and after each round: what was shown stays where it was."""
    feedback, shown, values = Feedback(method=method), [], []
    for _ in range(n_rounds + 1):
        hits = searcher.search([Query((IdExample(query),), feedback=feedback)], N)
        ranked = [*shown, *(image for image in hits.ids[0].tolist() if image != NO_ID)]
        relevant = np.array([[image in wanted for image in ranked]])
        values.append(mean_average_precision(relevant, np.array([len(wanted)])))
        page = ranked[len(shown) : len(shown) + 10]
        shown += page
        feedback = feedback.mark({image: 1 if image in wanted else -1 for image in page})
    return values


def test_in_simulated_rounds_map_rises_above_that_of_the_average():
    """What is wanted is a small part of what the embeddings tell."""
    rng = np.random.default_rng(0)
    looks, thing = rng.integers(6, size=N), rng.integers(4, size=N)
    rows = 2.0 * np.eye(6)[looks] @ rng.standard_normal((6, 16))
    rows += np.eye(4)[thing] @ rng.standard_normal((4, 16)) + 0.4 * rng.standard_normal((N, 16))
    searcher = searcher_of({"content": exact_index(np.arange(N), normalize(rows))})
    found = {"auto": [], "average": []}
    for query in range(8):
        wanted = set(np.flatnonzero(thing == thing[query]).tolist()) - {query}
        for method, values in found.items():
            values.append(simulated_rounds(searcher, query, wanted, method))
    steered, plain = (np.mean(values, axis=0) for values in found.values())
    assert (np.diff(steered) > 0.01).all()
    assert steered[-1] > plain[-1] + 0.2
