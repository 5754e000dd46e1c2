"""Captions, labels, words and filters as a person meets them: in Python and on the command line."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import ExifTags, Image

from lookalike import Collection, IdExample, Query
from lookalike.__main__ import run
from lookalike.arrays import NO_ID
from lookalike.errors import UsageError
from lookalike.gathering.annotating import Note, annotate
from lookalike.knowing.noting import annotate_from, annotate_ids, describe
from tests.small_sets import save, write_masks
from tests.tiny_model import write_tiny_model

N = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A collection of a labeled data set: picture `i` shows red, green or blue in turns."""
    folder = tmp_path_factory.mktemp("words")
    write_masks(folder / "outfits", N)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "outfits", workers=0)
    (folder / "notes.csv").write_text(
        "image,caption,labels,photographer,stars\n"
        'images/000.png,"Two dogs, running",dog; animal,Anna,5\n'
        "images/001.png,A cat asleep,cat;animal,Bob,3\n"
        "images/002.png,A dog on the beach,dog,Anna,4\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def place(home, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def noted(home, tmp_path_factory):
    """The same with captions, labels and attributes from a table, to be read only."""
    folder = tmp_path_factory.mktemp("noted")
    shutil.copytree(home / "c.lookalike", folder / "c.lookalike")
    with Collection.open(folder / "c.lookalike", writable=True) as opened:
        report = annotate_from(opened, str(home / "notes.csv"))
        assert (report.described, report.changed) == (3, 3 + 5 + 6)
        yield opened


@pytest.fixture
def ask(noted, monkeypatch, capsys):
    """Run a command beside the collection; give its exit code and its one object."""
    monkeypatch.chdir(noted.path.parent)

    def run_it(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def id_of(collection, name):
    [image] = collection.catalog.words.ids_named(name)
    return image


def names(collection, hits):
    ids = [int(image) for image in hits.ids[0] if image != NO_ID]
    return [record.paths[0].decode().rpartition("/")[2] for record in collection.images(ids)]


def test_indexing_a_data_set_stores_its_labels(home):
    with Collection.open(home / "c.lookalike") as opened:
        [found] = describe(opened, [id_of(opened, "images/004.png")])
        by_set = [each["name"] for each in found["labels"] if each["by"] == "data set"]
        assert by_set == ["green"]
        hits = opened.search(Query(filter="given:green"), k=N)
        assert sorted(names(opened, hits)) == [f"{n:03}.png" for n in range(1, N, 3)]


def test_labels_of_a_data_set_can_be_left_out(place):
    with Collection.create(place / "plain.lookalike", model=place / "tiny") as made:
        made.add(place / "outfits", workers=0, annotations=False)
        assert made.search(Query(filter="has:given"), k=5).ids[0].tolist() == [NO_ID] * 5


def test_words_find_what_is_said_of_pictures(noted):
    hits = noted.search(Query(words="dog "), k=5)
    assert set(names(noted, hits)) == {"000.png", "002.png"}
    assert set(hits.parts) == {"words"}
    assert names(noted, noted.search(Query(words="photographer|bob "), k=5)) == ["001.png"]
    # The best of all matches is one image in all.
    assert hits.scores[0, 0] == pytest.approx(np.log10((len(noted) + 1) / 1), abs=0.31)


def test_words_and_a_picture_are_weighed_like_descriptors(noted):
    like = IdExample(id_of(noted, "images/003.png"))
    both = Query((like,), words="dog ", weights={"content": 1.0, "words": 3.0})
    hits = noted.search(both, k=6)
    mean = (hits.parts["content"] + 3 * hits.parts["words"]) / 4
    assert hits.scores[0] == pytest.approx(mean[0])
    assert set(names(noted, hits)[:2]) == {"000.png", "002.png"}
    assert (hits.parts["words"][0] > 0).sum() == 2
    alone = noted.search(Query((like,), words="dog ", weights={"content": 1.0, "words": 0}), k=6)
    assert names(noted, alone) == names(
        noted, noted.search(Query((like,), weights={"content": 1}), k=6)
    )


def test_minus_takes_pictures_out_whatever_else_is_asked(noted):
    like = IdExample(id_of(noted, "images/003.png"))
    hits = noted.search(Query((like,), words="animal -cat"), k=len(noted))
    found = names(noted, hits)
    assert id_of(noted, "images/001.png") not in hits.ids[0]
    assert found[0] == "000.png"


def test_a_filter_narrows_any_query(noted):
    like = IdExample(id_of(noted, "images/003.png"))
    free = noted.search(Query((like,)), k=len(noted))
    passing = set(noted.search(Query(filter="given:red"), k=N).ids[0].tolist()) - {NO_ID}
    hits = noted.search(Query((like,), filter="given:red"), k=N)
    expected = [image for image in free.ids[0].tolist() if image in passing]
    assert [image for image in hits.ids[0].tolist() if image != NO_ID] == expected


def test_numbers_and_dates_of_a_table_can_be_compared(noted):
    assert names(noted, noted.search(Query(filter="stars:>=4 photographer:anna"))) == [
        "000.png",
        "002.png",
    ]


def test_hits_are_sorted_by_name_or_date(noted):
    hits = noted.search(Query(words="animal dog", sort="name"), k=5)
    assert names(noted, hits) == ["000.png", "001.png", "002.png"]
    assert not hits.is_ranked


def test_the_command_line_finds_by_words_and_filter(ask):
    code, found = ask("search", "c.lookalike", "--words", "dgos", "--filter", "stars:5")
    assert code == 0
    assert [hit["path"][-7:] for hit in found["hits"]] == ["000.png"]
    assert found["corrections"] == {"dgos": ["dogs"]}
    code, found = ask("search", "c.lookalike", "--text", "beach", "--sort", "date")
    assert [hit["path"][-7:] for hit in found["hits"]] == ["002.png"]
    assert list(found["hits"][0]["scores"]) == ["words"]


def test_texts_are_what_is_said_where_the_model_knows_no_words(ask):
    code, found = ask("search", "c.lookalike", "--text", "animal", "--not-text", "dog")
    assert code == 0
    assert [hit["path"][-7:] for hit in found["hits"]] == ["001.png"]
    assert found["query"] == {"words": "animal -dog"}


def test_synonyms_come_from_a_file(ask, tmp_path):
    (tmp_path / "same.txt").write_text("hound, dog\n")
    words = ("search", "c.lookalike", "--words", "hound ", "--synonyms", str(tmp_path / "same.txt"))
    assert len(ask(*words)[1]["hits"]) == 2
    assert ask(*words[:4])[1]["hits"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--filter", "(label:a"], "at character 1: this '(' is not closed"),
        (["--filter", "colour:red"], "did you mean color?"),
        (["--filter", "label:dgo"], "did you mean dog?"),
        (["--filter", "taken:2024-13"], "at character 7: '2024-13' is no date"),
        (["--filter", "color:blue:101%"], "no share from 0 to 100 %"),
        (["--filter", " "], "--filter is empty"),
        (["--words", ""], "--words is empty"),
        (["--words", "?"], "there is no word in '?'"),
        (["--words", "-cat"], "add a word"),
        (["--text", " "], "the words of a query are empty"),
        (["--words", '"a'], "quotation mark is not closed"),
        (["--words", "a", "--synonyms", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_wrong_words_are_told_in_one_line(ask, words, message):
    code, found = ask("search", "c.lookalike", *words)
    assert message in found["error"]
    assert "\n" not in found["error"]
    assert code == (3 if "nowhere" in message else 2)


def test_pictures_are_described_on_the_command_line(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def ask(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    said = ("--caption", "two cats", "--label", "cat", "--set", "taken=1999-05", "--set", "a=b")
    code, report = ask("annotate", "c.lookalike", "--id", "3", *said)
    assert (code, report["described"], report["changed"]) == (0, 1, 4)
    [found] = ask("describe", "c.lookalike", "--id", "3")[1]["images"]
    assert found["captions"] == [{"text": "two cats", "by": "person"}]
    assert {"name": "cat", "by": "person", "probability": 1.0} in found["labels"]
    assert {"key": "taken", "value": "1999-05", "provenance": "person"} in found["attributes"]
    assert sum(found["colors"].values()) <= 1.0001
    _, hits = ask("search", "c.lookalike", "--filter", "taken:1999 a:b label:cat")
    assert [hit["id"] for hit in hits["hits"]] == [3]
    assert (
        ask("annotate", "c.lookalike", "--id", "3", "--remove-label", "cat", "--unset", "a")[0] == 0
    )
    code, error = ask("annotate", "c.lookalike", "--id", "3", "--remove-label", "cat")
    assert (code, "no given label 'cat'" in error["error"]) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--id", "1"], "nothing is said of the picture"),
        ([], "either --from, or the pictures by --id"),
        (["--id", "99", "--label", "x"], "there is no image 99"),
        (["--id", "1", "--set", "taken=soon"], "taken='soon' is no date"),
        (["--id", "1", "--set", "taken"], "is not KEY=VALUE"),
        (["--id", "1", "--set", "a b=c"], "not a word of small letters"),
        (["--id", "1", "--label", " "], "a label is empty"),
        (["--id", "1", "--caption", "x" * 3000], "the limit is 2000"),
        (["--from", "x.csv", "--label", "x"], "--from takes all from there"),
    ],
)
def test_what_cannot_be_said_is_refused(place, monkeypatch, capsys, words, message):
    monkeypatch.chdir(place)
    assert run(["annotate", "c.lookalike", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_keys_of_filters_are_explained(capsys):
    assert run(["help", "filters", "--json"]) == 0
    keys = {key["name"] for key in json.loads(capsys.readouterr().out)["filters"]}
    assert {"label", "taken", "color", "OR"} <= keys


def test_pictures_are_known_by_path_hash_or_name_and_ambiguous_names_are_told(place):
    with Collection.open(place / "c.lookalike", writable=True) as opened:
        record = opened.images([id_of(opened, "images/007.png")])[0]
        path = os.fsdecode(record.paths[0])
        targets = [path, record.hash.hex(), "images/007.png", "./images/007.png"]
        for label, target in zip("abcd", targets, strict=True):
            report = annotate(
                opened.catalog, lambda t=target, x=label: [Note(t, (), (x,))], "person"
            )
            assert (report.described, report.changed) == (1, 1)
        [found] = describe(opened, [record.id])
        assert {each["name"] for each in found["labels"] if each["by"] == "person"} == set("abcd")
        notes = [Note("007.png", (), ("x",)), Note("nowhere.png", (), ("x",))]
        report = annotate(opened.catalog, lambda: notes, "person")
        assert [each.path for each in report.ambiguous] == ["007.png"]
        assert "2 pictures are called so" in report.ambiguous[0].reason
        assert [each.path for each in report.unknown] == ["nowhere.png"]
        assert (report.described, report.changed) == (0, 0)


def test_a_wrong_line_leaves_everything_as_it_was(place):
    (place / "bad.csv").write_text("image,taken\nimages/000.png,2024\nimages/001.png,soon\n")
    with Collection.open(place / "c.lookalike", writable=True) as opened:
        with pytest.raises(UsageError, match=r"bad.csv, line 3: taken='soon' is no date"):
            annotate_from(opened, str(place / "bad.csv"))
        [found] = describe(opened, [id_of(opened, "images/000.png")])
        assert [each["provenance"] for each in found["attributes"]] == ["file time"]


def test_what_a_camera_wrote_is_stored_but_not_where(place):
    folder = place / "shots"
    folder.mkdir()
    exif = Image.Exif()
    exif.update({ExifTags.Base.Model: "D90"})
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2024:05:31 14:30:00", ExifTags.Base.ISOSpeedRatings: 800}
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.0)})
    pixels = np.full((32, 32, 3), (20, 60, 220), np.uint8)
    Image.fromarray(pixels).save(folder / "shot.jpg", exif=exif.tobytes())
    with Collection.open(place / "c.lookalike", writable=True) as opened:
        opened.add(folder, workers=1)
        [found] = describe(opened, [id_of(opened, "shot.jpg")])
        assert {each["key"]: each["value"] for each in found["attributes"]} == {
            "camera": "D90",
            "iso": "800",
            "taken": "2024-05-31T14:30:00",
        }
        assert {each["provenance"] for each in found["attributes"]} == {"file"}
        assert found["colors"] == {"blue": 1.0}
        wanted = Query(filter="taken:2024-05 iso:>=800 camera:d90 color:blue>90%")
        assert names(opened, opened.search(wanted)) == ["shot.jpg"]


def test_an_older_collection_is_read_again_without_being_encoded_again(place):
    """What an update of the catalog marks: files are decoded, but their vectors stay."""
    with Collection.open(place / "c.lookalike", writable=True) as opened:
        before = opened.catalog.revision
        with opened.catalog._database.writing() as connection:
            connection.execute("DELETE FROM image_colors")
            connection.execute("UPDATE files SET transient = 1")
        encoded = []
        opened.__dict__["model"] = _Counting(opened.model, encoded)
        report = opened.add(place / "outfits", workers=0)
        assert report.indexed == 2 * N
        assert encoded == []
        [found] = describe(opened, [1])
        assert found["colors"]
        assert opened.catalog.revision >= before


class _Counting:
    """A model that notes how many pictures it is given."""

    def __init__(self, model, encoded):
        self._model, self._encoded = model, encoded

    def encode(self, pixels):
        self._encoded.append(len(pixels))
        return self._model.encode(pixels)


@pytest.mark.slow
def test_statements_survive_a_collection_that_is_shrunk_in_place(place):
    with Collection.open(place / "c.lookalike", writable=True) as opened:
        annotate_ids(opened, [2], captions=("A zebra",), attributes={"mood": "calm"})
    assert (
        run(["select", str(place / "c.lookalike"), "--method", "pca", "--dims", "4", "--in-place"])
        == 0
    )
    with Collection.open(place / "c.lookalike") as opened:
        assert opened.search(Query(words="zebra ")).ids[0, 0] == 2
        assert opened.search(Query(filter="mood:calm")).ids[0, 0] == 2


def test_equal_pictures_share_what_is_said(place):
    path = place / "outfits" / "images" / "000.png"
    with Image.open(path) as picture:
        other = save(place / "other.png", np.asarray(picture.convert("RGB")), "another file")
    with Collection.open(place / "c.lookalike", writable=True) as opened:
        annotate_ids(opened, [id_of(opened, "images/000.png")], labels=("mine",))
        shutil.copyfile(path, place / "copy.png")
        opened.add(place / "copy.png", other, workers=0)
        assert id_of(opened, "copy.png") == id_of(opened, "images/000.png")
        hits = opened.search(Query(filter="label:mine"))
        assert [image for image in hits.ids[0].tolist() if image != NO_ID] == [
            id_of(opened, "copy.png")
        ]
