"""Near-duplicates as a person meets them: real altered copies of scenes, real decisions."""

import io
import json
import os
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.alterations import ALTERATIONS, mirrored_copy, png
from lookalike import Collection, IdExample, Query, open_dataset
from lookalike.__main__ import run
from lookalike.errors import CollectionLockedError, UsageError
from lookalike.knowing.deduplicating import decide, duplicate_finder, find_duplicates

N_SCENES = 12
COPIES = ("JPEG, quality 30", "half as large", "2 % cropped", "brighter by 25 %", "watermark")


def paint(folder):
    """Scenes, five altered copies of the first three, a mirrored one of the first."""
    folder.mkdir()
    scenes = open_dataset(f"scenes:{N_SCENES}:5")
    for number in range(N_SCENES):
        picture = Image.open(io.BytesIO(scenes[number].read_bytes())).convert("RGB")
        (folder / f"{number}.png").write_bytes(png(picture))
        if number < 3:
            for name in COPIES:
                (folder / f"{number} {name}.jpg").write_bytes(ALTERATIONS[name](picture))
        if number == 0:
            (folder / "0 mirrored.jpg").write_bytes(mirrored_copy(picture))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("duplicates")
    paint(folder / "pictures")
    index(folder)
    return folder


@pytest.fixture
def place(made, monkeypatch):
    """A copy that a test may change; it stands where the original was."""
    aside = made.with_name("aside")
    shutil.copytree(made, aside, copy_function=shutil.copy2)
    monkeypatch.chdir(made)
    yield made
    shutil.rmtree(made)
    aside.rename(made)


@pytest.fixture
def ask(place, capsys):
    """Run the command in this process; give its one object."""

    def run_it(*words, code=0):
        returned = run(["duplicates", "c.lookalike", *words, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert returned == code, found
        return found

    return run_it


def grouped(found, kind="copies"):
    """Names of the files in each group of a kind, the one to keep first."""
    return [
        [os.path.basename(member["paths"][0]) for member in group["members"]]  # noqa: PTH119
        for group in found["groups"]
        if group["kind"] == kind
    ]


def ids_of(found):
    return {
        os.path.basename(path): member["id"]  # noqa: PTH119
        for group in found["groups"]
        for member in group["members"]
        for path in member["paths"]
    }


def index(place, *folders):
    with Collection.open_or_create(place / "c.lookalike") as photos:
        return photos.add(*(place / folder for folder in folders or ["pictures"]), workers=0)


def test_altered_copies_are_found_and_nothing_else(ask):
    found = ask()
    expected = [{f"{n}.png", *(f"{n} {name}.jpg" for name in COPIES)} for n in range(3)]
    assert sorted(map(sorted, grouped(found))) == sorted(map(sorted, expected))
    assert {names[0] for names in grouped(found)} == {"0.png", "1.png", "2.png"}
    assert grouped(found, "mirrored") == [["0.png", "0 mirrored.jpg"]]
    assert found["n_removable_files"] == 3 * len(COPIES)
    assert found["n_without_fingerprint"] == 0


def test_what_is_decided_survives_indexing_renaming_moving_and_adding(place, ask):
    ids = ask_ids = ids_of(ask())
    ask("--decide", f"keep={ids['1 half as large.jpg']}")
    ask("--decide", f"different={ids['0.png']},{ids['0 watermark.jpg']}")
    ask("--decide", f"same={ids['0.png']},{ids['0 mirrored.jpg']}")
    (place / "pictures" / "1 half as large.jpg").rename(place / "pictures" / "new name.jpg")
    (place / "elsewhere").mkdir()
    (place / "pictures" / "0 watermark.jpg").rename(place / "elsewhere" / "moved.jpg")
    gone = place / "pictures" / "0.png"
    content = gone.read_bytes()
    gone.unlink()
    index(place)
    gone.write_bytes(content)
    picture = Image.open(place / "pictures" / "1.png")
    (place / "pictures" / "added.jpg").write_bytes(ALTERATIONS["JPEG, quality 85"](picture))
    index(place, "pictures", "elsewhere")
    found = ask()
    groups = {names[0]: set(names) for names in grouped(found)}
    assert "added.jpg" in groups["new name.jpg"]
    assert "1.png" in groups["new name.jpg"]
    assert "0 mirrored.jpg" in groups["0.png"]
    assert "moved.jpg" not in groups["0.png"]
    reasons = {group["keep"]: group["reason"] for group in found["groups"]}
    assert reasons[ids_of(found)["new name.jpg"]] == "kept by decision"
    assert ids_of(found)["0.png"] != ask_ids["0.png"]  # it was gone meanwhile


def test_what_is_decided_survives_the_loss_of_everything_else_but_forgetting(place, ask):
    ids = ids_of(ask())
    ask("--decide", f"different={ids['2.png']},{ids['2 watermark.jpg']}")
    before = grouped(ask())
    assert not any("2.png" in names and "2 watermark.jpg" in names for names in before)
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        photos.build_indexes(force=True)
    assert grouped(ask()) == before
    found = ask("--decide", f"forget={ids['2.png']}")
    assert any("2.png" in names and "2 watermark.jpg" in names for names in grouped(found))


def test_files_that_could_go_are_listed_and_none_is_deleted(place, ask):
    before = sorted((place / "pictures").iterdir())
    ask("--write-list", "gone.txt", "--sheet", "copies.png")
    listed = (place / "gone.txt").read_bytes().splitlines()
    assert len(listed) == 3 * len(COPIES)
    assert all(os.path.exists(path) for path in listed)  # noqa: PTH110 - bytes
    assert not any(path.endswith((b"/0.png", b"mirrored.jpg")) for path in listed)
    assert sorted((place / "pictures").iterdir()) == before
    with Image.open(place / "copies.png") as sheet:
        assert sheet.height > 4 * 100


def test_a_higher_bar_finds_fewer(ask):
    assert len(ask("--threshold", "0")["groups"]) < 4
    assert ask("--min-score", "99")["groups"] == []


def test_older_collections_get_their_fingerprints_without_being_encoded_again(place, ask):
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        ids = photos.catalog.ids()
        with photos.catalog._database.writing() as connection:
            connection.execute("DELETE FROM fingerprints WHERE image_id > 4")
    assert ask()["n_without_fingerprint"] == len(ids) - 4
    report = index(place)
    assert (report.indexed, report.unchanged) == (0, len(ids))
    found = ask()
    assert found["n_without_fingerprint"] == 0
    assert len(grouped(found)) == 3


def test_only_what_lacks_a_fingerprint_is_decoded(place, monkeypatch):
    from lookalike.gathering import ingest

    decoded = []
    pool = ingest.DecodePool

    class Watched(pool):
        def decode(self, paths):
            paths = list(paths)
            decoded.extend(paths)
            return super().decode(paths)

    monkeypatch.setattr(ingest, "DecodePool", Watched)
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        with photos.catalog._database.writing() as connection:
            connection.execute("DELETE FROM fingerprints WHERE image_id = 4")
        photos.add(place / "pictures", workers=0)
        [record] = photos.images([4])
    assert decoded == [record.paths[0]]


def names_of(photos, ids):
    return [os.path.basename(r.paths[0]).decode() for r in photos.images(ids)]  # noqa: PTH119


def test_searches_leave_copies_out_as_a_person_decided(place, ask):
    ids = ids_of(ask())
    ask("--decide", f"different={ids['0.png']},{ids['0 watermark.jpg']}")
    query = Query((IdExample(ids["0.png"]),), exclude_examples=False)
    with Collection.open(place / "c.lookalike") as photos:
        plain = photos.search(query, 12).ids[0]
        first = plain[duplicate_finder(photos).representatives(plain) == plain]
        shown = photos.search(replace(query, hide_duplicates=True), 12).ids[0]
        names = names_of(photos, shown[:4])
    assert shown[: len(first)].tolist() == first.tolist()
    assert {"0.png", "0 watermark.jpg", "0 mirrored.jpg"} <= set(names)
    assert not {f"0 {name}.jpg" for name in COPIES} - {"0 watermark.jpg"} & set(names)


def test_copies_without_fingerprint_are_hidden_by_content(place, ask):
    ids = ids_of(ask())
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        with photos.catalog._database.writing() as connection:
            connection.execute("DELETE FROM fingerprints WHERE image_id = ?", [ids["0.png"]])
        query = Query((IdExample(ids["0.png"]),), exclude_examples=False, hide_duplicates=True)
        names = names_of(photos, photos.search(query, 9).ids[0])
    assert names[0] == "0.png"
    assert "0 brighter by 25 %.jpg" not in names  # cosine 0.99 and more


def test_filters_know_copies_and_what_was_decided_about_them(place, ask):
    ids = ids_of(ask())
    everything = {f"{n} {name}.jpg" for n in range(3) for name in COPIES} | {
        "0.png",
        "1.png",
        "2.png",
    }
    with Collection.open(place / "c.lookalike", writable=True) as photos:

        def found(text):
            hits = photos.search(Query(filter=text), 99).ids[0]
            return set(names_of(photos, hits[hits > 0]))

        assert found("duplicate:yes") == everything
        assert found("duplicate:no") == {
            "0 mirrored.jpg",
            *(f"{n}.png" for n in range(3, N_SCENES)),
        }
        decide(photos, "different", [id_ for name, id_ in ids.items() if name.startswith("1")])
        assert found("duplicate:yes name:1*") == set()
        assert found("-duplicate:yes name:1*") >= {"1.png", "1 watermark.jpg"}


def test_two_people_do_not_decide_at_once(place):
    with (
        Collection.open(place / "c.lookalike", writable=True),
        pytest.raises(CollectionLockedError),
    ):
        Collection.open(place / "c.lookalike", writable=True)


def test_a_reader_cannot_decide(place):
    with Collection.open(place / "c.lookalike") as photos:
        assert find_duplicates(photos)
        with pytest.raises(UsageError, match="opened for reading only"):
            decide(photos, "keep", [1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threshold", "30"], "0 to 23 of 128 bits, not in 30"),
        (["--min-score", "-1"], "least score must be 0 or more, not -1"),
        (["--decide", "keep"], "'keep' is not VERDICT=ID,…, such as keep=17"),
        (["--decide", "keep=one"], "'keep=one' is not VERDICT=ID"),
        (["--decide", "burn=1"], "'burn' cannot be decided; choose among keep, same"),
        (["--decide", "same=1"], "'same' is said of two images or more"),
        (["--decide", "keep=999"], "no image 999"),
        (["--sheet", "pictures"], "pictures, a folder"),
        (["--write-list", "pictures"], "pictures, a folder"),
        (["--min-score", "99", "--sheet", "s.png"], "no near-duplicates to draw"),
    ],
)
def test_wrong_use_is_told_in_one_line(ask, words, message):
    found = ask(*words, code=2)
    assert message in found["error"]
    assert "\n" not in found["error"]
