"""Searching in words: alone, and together with pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, IdExample, Query, TextExample
from lookalike.__main__ import run
from lookalike.arrays import Embeddings, normalize
from lookalike.asking.answers import answer, draw_answer, make_examples, make_query
from lookalike.asking.words import in_words
from lookalike.errors import UsageError
from lookalike.index.exact import exact_index
from lookalike.search.calibration import fit_similarities, fit_text_calibration
from lookalike.search.feedback import Feedback
from lookalike.search.searcher import Searcher
from lookalike.storage.records import Description
from tests.index.galleries import built
from tests.search.painters import ColorEncoder, calibrations_of
from tests.small_sets import write_masks
from tests.tiny_model import CLASSES

pytest.importorskip("tokenizers", reason="needs the extra text: pip install 'lookalike[text]'")

from tests.tiny_words import write_tiny_words

N = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures one to 24: red, green, blue, red, …"""
    folder = tmp_path_factory.mktemp("words")
    write_masks(folder / "outfits", N)
    write_tiny_words(folder / "words")
    with Collection.create(folder / "c.lookalike", model=folder / "words") as made:
        made.add(*sorted((folder / "outfits" / "images").iterdir()), workers=0)
        yield made


def colors(photos, hits):
    """The colors of hits, by the names of their files."""
    records = photos.images([int(image) for image in hits.ids[0] if image >= 0])
    return [CLASSES[int(Path(record.paths[0].decode()).stem) % 3] for record in records]


def words(*texts, **options):
    return Query(tuple(map(TextExample, texts)), **options)


@pytest.mark.parametrize("color", CLASSES)
def test_words_find_the_pictures_that_they_name(photos, color):
    hits = photos.search(words(color), k=N // 3)
    assert colors(photos, hits) == [color] * (N // 3)
    assert set(hits.parts) == {"content"}


def test_hits_are_in_the_order_of_their_similarity_to_the_words(photos):
    ids = np.arange(1, N + 1)
    cosines = normalize(photos.vectors(ids, "content")) @ photos.model.encode_texts(["red"])[0]
    hits = photos.search(words("red"), k=N)
    assert sorted(hits.ids[0].tolist()) == ids.tolist()
    assert np.all(np.diff(cosines[hits.ids[0] - 1]) < 1e-6)
    assert np.all(np.diff(hits.scores[0]) <= 0)


def test_scores_of_words_are_spread_although_all_are_less_alike_than_pictures(photos):
    """By the calibration of pictures every score would be near 0."""
    row = photos.model.encode_texts(["red"])[0]
    rows = normalize(photos.vectors(np.arange(1, N + 1), "content"))
    pairs = (rows @ rows.T)[np.triu_indices(N, k=1)]
    assert (rows @ row).max() < np.quantile(pairs, 0.9)
    scores = photos.search(words("red"), k=N).scores[0]
    assert scores[0] > 1
    assert scores[-1] < 0.2


def test_a_score_of_words_is_the_rarity_among_pairs_of_text_and_picture(rng):
    rows = normalize(rng.standard_normal((50, 8)))
    texts = normalize(rng.standard_normal((20, 8)) + 3)
    found = fit_text_calibration(exact_index(np.arange(50), rows), texts)
    expected = fit_similarities((rows @ texts.T).ravel().astype(np.float64))
    assert found == expected
    share = np.mean(rows @ texts.T >= 0.5)
    assert found.scores(np.array([0.5]))[0] == pytest.approx(-np.log10(share), abs=0.05)


def test_of_many_pairs_a_sample_tells_the_same(rng):
    rows = normalize(rng.standard_normal((3000, 8)))
    texts = normalize(rng.standard_normal((30, 8)) + 1)
    index = exact_index(np.arange(3000), rows)
    sample = fit_text_calibration(index, texts, n_pairs=20_000)
    assert sample.n_pairs == 20_000
    every = fit_similarities((rows @ texts.T).ravel().astype(np.float64))
    at = np.linspace(-0.5, 0.8, 9)
    assert np.allclose(sample.scores(at), every.scores(at), atol=0.1)
    assert fit_text_calibration(index, texts, n_pairs=20_000) == sample


def test_words_and_pictures_count_by_their_number(photos):
    query = Query((IdExample(2), TextExample("red"), TextExample("blue")), exclude_examples=False)
    both = photos.search(query, k=N)
    by_picture = photos.search(Query((IdExample(2),), exclude_examples=False), k=N)
    by_words = photos.search(words("red", "blue"), k=N)
    for image, score in zip(both.ids[0], both.parts["content"][0], strict=True):
        [picture] = by_picture.parts["content"][0, by_picture.ids[0] == image]
        [text] = by_words.scores[0, by_words.ids[0] == image]
        assert score == pytest.approx(picture / 3 + 2 * text / 3)
        [layout] = by_picture.parts["layout"][0, by_picture.ids[0] == image]
        assert both.parts["layout"][0, both.ids[0] == image] == pytest.approx(layout)


def test_a_search_of_words_beside_one_of_pictures_stays_what_it_is(photos):
    queries = [words("green"), Query((IdExample(3),)), Query((IdExample(5), TextExample("red")))]
    together = photos.search_all(queries, k=7)
    for row, query in enumerate(queries):
        alone = photos.search(query, k=7)
        assert together.ids[row].tolist() == alone.ids[0].tolist()
        assert together.scores[row].tolist() == alone.scores[0].tolist()


def test_disliked_words_push_pictures_away(photos):
    liked = photos.search(words("red", "green"), k=N)
    hits = photos.search(words("red", "green", negatives=(TextExample("green"),)), k=N)
    assert set(colors(photos, liked)[: N // 3]) == {"red", "green"}
    assert colors(photos, hits)[: N // 3] == ["red"] * (N // 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"positives": [{"text": "red"}], "negatives": [{"id": 1}]},
            "images that the hits should not be like need an image",
        ),
        (
            {"positives": [{"id": 1}], "negatives": [{"text": "red"}]},
            "words that the hits should not be like need words",
        ),
        ({"positives": [{"text": " \n"}]}, "the words of a query are empty"),
        ({"positives": [{"text": "\udcff"}]}, "are no valid text"),
        ({"positives": [{"text": 5}]}, "an example is an id, a file, a url, pixels or a text"),
        ({"positives": [{"text": "red", "id": 5}]}, "and one of them only"),
    ],
)
def test_refuses_words_that_make_no_sense(content, message):
    with pytest.raises(UsageError, match=message):
        Query.from_json(content)


def test_words_go_into_json_and_back():
    query = words("a dog on grass", "ein Hund 🐕", negatives=(TextExample("cat"),))
    assert Query.from_json(query.to_json()) == query
    assert query.to_json()["negatives"] == [{"text": "cat"}]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"layout": 1.0}, "words are compared with 'content' alone, which has no weight"),
        ({"content": 1.0, "layout": 1.0}, "words say nothing of 'layout', which has a weight"),
    ],
)
def test_weights_that_words_say_nothing_of_are_refused(photos, weights, message):
    with pytest.raises(UsageError, match=message):
        photos.search(words("red", weights=weights))
    found = photos.search(words("red", weights={"content": 2.0, "layout": 0.0}), k=3)
    assert colors(photos, found) == ["red"] * 3


def test_a_mixed_query_whose_words_have_no_weight_is_refused(photos):
    query = Query((IdExample(1), TextExample("red")), weights={"layout": 1.0})
    with pytest.raises(UsageError, match="give it one: --weight content=1"):
        photos.search(query)


def test_where_nothing_encodes_words_they_are_refused(rng):
    rows = {"content": exact_index(np.arange(4), normalize(rng.standard_normal((4, 3))))}
    searcher = Searcher(rows, calibrations_of(rows), ColorEncoder())
    with pytest.raises(UsageError, match="words cannot be searched here"):
        searcher.search([words("red")], k=1)


@dataclass
class Speaker:
    """Knows rows of texts by their numbers."""

    rows: Embeddings

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return self.rows[[int(text) for text in texts]]

    def reference_texts(self) -> Embeddings:
        return self.rows[::5]


@pytest.mark.parametrize(
    ("kind", "examples"), [("pq", ()), ("pq", (IdExample(10),)), ("clusters", ())]
)
def test_words_are_found_through_any_index(rng, kind, examples):
    """Indexes are tuned on pictures, and words lie far from them, as in real models."""
    concepts = rng.standard_normal((300, 48))
    rows = concepts[rng.integers(300, size=4400)] + 0.8 * rng.standard_normal((4400, 48))
    rows[:, 0] += 9
    texts = concepts + 0.5 * rng.standard_normal((300, 48))
    texts[:, 1] += 12
    rows, speaker = normalize(rows), Speaker(normalize(texts))

    def ask(kind, queries, k):
        index = {"content": built(kind, rows)}
        return Searcher(index, calibrations_of(index), ColorEncoder(), lambda: speaker).search(
            queries, k
        )

    queries = [Query((*examples, TextExample(str(number)))) for number in range(20)]
    hits, exact = ask(kind, queries, 10), ask("exact", queries, 4400)
    assert not hits.is_exact
    n_same = 0
    for row in range(len(queries)):
        known = dict(zip(exact.ids[row].tolist(), exact.scores[row].tolist(), strict=True))
        assert [known[image] for image in hits.ids[row].tolist()] == hits.scores[row].tolist()
        n_same += len(set(hits.ids[row].tolist()) & set(exact.ids[row, :10].tolist()))
    assert n_same >= 0.99 * 10 * len(queries)


def test_the_command_takes_words(photos, capsys, tmp_path):
    sheet = tmp_path / "hits.png"
    words_typed = ("search", str(photos.path), "--text", "red", "-k", "4", "--sheet", str(sheet))
    assert run(words_typed) == 0
    assert capsys.readouterr().out.count("png") == 4
    assert sheet.stat().st_size > 1000
    assert run(("search", str(photos.path), "--text", "red", "--id", "2")) == 0
    assert run(("search", str(photos.path), "--text", "")) == 2
    assert "the words of a query are empty" in capsys.readouterr().err


def test_a_sheet_shows_the_words(photos, tmp_path):
    drawn = []
    for text in ("red", "blue", "one two three four five six seven eight nine ten " * 9):
        query = make_query({"positives": make_examples([], [], [], [text])})
        draw_answer(photos, query, answer(photos, query, 2), tmp_path / "sheet.png")
        drawn.append((tmp_path / "sheet.png").read_bytes())
    assert len(set(drawn)) == 3


def test_a_like_counts_as_much_as_words(photos):
    like = Feedback(({2: 1},), "rocchio", exclude_seen=False)
    weights = {"content": 1.0}
    queries = [
        words("red", weights=weights),
        Query((), feedback=like, weights=weights),
        words("red", weights=weights, feedback=like),
    ]
    of_words, of_likes, of_both = (
        dict(zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True))
        for hits in (photos.search(query, k=N) for query in queries)
    )
    for image, score in of_both.items():
        assert score == pytest.approx((of_words[image] + of_likes[image]) / 2)


def test_plain_text_asks_the_model_and_what_is_said_where_both_know_it(photos):
    said = in_words(photos, ["scarlet"])
    assert (said.texts, said.words) == (("scarlet",), "")
    ids = photos.catalog.ids().tolist()
    photos.catalog.descriptions.change(
        [Description(photos.images([ids[1]])[0].hash, "person", ("a scarlet hat",))]
    )
    said = in_words(photos, ["scarlet"])
    assert (said.texts, said.words) == (("scarlet",), "scarlet")
    query = Query((TextExample("scarlet"),), words=said.words)
    hits = photos.search(query, k=3)
    assert set(hits.parts) == {"content", "words"}
    mean = (hits.parts["content"] + hits.parts["words"]) / 2
    assert hits.scores[0] == pytest.approx(mean[0])
    assert hits.ids[0, 0] == ids[1]
    assert hits.parts["words"][0].tolist() == pytest.approx([np.log10(N + 1), 0, 0])
