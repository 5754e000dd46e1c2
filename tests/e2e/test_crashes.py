"""Kill -9 in the middle of `index`: nothing is lost, nothing is doubled, nobody has to clean up.

Every failpoint is taken from the log of an undisturbed run, so that none can be forgotten; other
kills come at random moments. After each, the collection is looked at as the next command finds it.
"""

import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from forking import Forker, forker, kill_after
from PIL import Image

from lookalike.errors import NotACollectionError
from lookalike.storage.catalog import Catalog
from lookalike.storage.folder import open_folder
from lookalike.storage.integrity import verify

FEW, MANY = 60, 1500


@pytest.fixture(scope="module")
def program():
    with forker() as started:
        yield started


def paint(path: Path, seed: int) -> None:
    colors = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colors).resize((40, 30), Image.Resampling.NEAREST).save(path)


def paint_all(folder: Path, n: int) -> Path:
    """Write `n` files in three folders: most different, some equal, some no pictures."""
    for number in range(n):
        path = folder / "abc"[number % 3] / f"{number:04}.png"
        paint(path, seed=number - 1 if number % 10 == 9 else number)
        if number % 20 == 7:
            path.write_bytes(path.read_bytes()[:60])
    return folder


def change(folder: Path) -> None:
    """Delete, rename, change and add some of the files."""
    paths = sorted(folder.rglob("*.png"))
    for number, path in enumerate(paths):
        if number % 7 == 0:
            path.unlink()
        elif number % 7 == 1:
            path.rename(path.with_name(f"renamed-{path.name}"))
        elif number % 7 == 2:
            paint(path, seed=10_000 + number)
        elif number % 7 == 3:
            paint(path.with_name(f"new-{path.name}"), seed=20_000 + number)


@dataclass(frozen=True)
class Held:
    """What a collection holds, without what may differ: image ids."""

    files: dict[bytes, tuple[str, bytes | None, str | None]]
    vectors: dict[bytes, dict[str, np.ndarray]]


def held_by(collection: Path) -> Held:
    folder, manifest = open_folder(collection)
    with Catalog.open(folder.catalog) as catalog:
        ids = catalog.ids()
        records = catalog.images(ids)
        assert len({record.hash for record in records}) == len(records)
        rows = {name: catalog.vectors(ids, name) for name in manifest.descriptors}
        vectors = {
            record.hash: {name: rows[name][place] for name in rows}
            for place, record in enumerate(records)
        }
        paths = [path for record in records for path in record.paths]
        paths += [record.path for record in catalog.failures()]
        known = catalog.files(paths)
    files = {path: (known[path].state, known[path].hash, known[path].reason) for path in known}
    return Held(files, vectors)


def assert_same(found: Held, expected: Held) -> None:
    assert found.files == expected.files
    assert found.vectors.keys() == expected.vectors.keys()
    for content, vectors in expected.vectors.items():
        for name, vector in vectors.items():
            # A network may round differently in batches of another size.
            np.testing.assert_allclose(found.vectors[content][name], vector, atol=1e-5)


def assert_sound(collection: Path, log: Path) -> None:
    """What a killed `index` left is a sound collection with all that was committed, or nothing."""
    passed = Counter(log.read_text().split()) if log.exists() else Counter()
    try:
        open_folder(collection)
    except NotACollectionError:
        assert "storage.folder.renamed" not in passed
        assert not collection.exists()
        return
    report = verify(collection)
    assert report.problems == ()


def assert_finished(program, collection: Path, expected: Held, *words: str | Path) -> None:
    """The next `index` finishes, and what it leaves equals what an undisturbed one leaves."""
    done = program.run("index", collection, *words, "--json")
    assert done.code == 1, done.err  # some files are no pictures
    report = verify(collection)
    assert (report.problems, report.leftovers) == ((), ())
    assert_same(held_by(collection), expected)
    visible = {path.name for path in collection.parent.iterdir() if path.name.startswith(".")}
    assert not visible, "an unfinished collection was left beside the finished one"


def failpoints_in(log: Path) -> dict[str, int]:
    """How often each failpoint was passed, in the order in which they were first met."""
    return dict(Counter(log.read_text().split()))


@dataclass(frozen=True)
class Story:
    """One `index`, what it starts from and what it leaves if nothing stops it."""

    program: Forker
    start: Path | None
    words: tuple[str | Path, ...]
    expected: Held
    failpoints: dict[str, int]

    def begin(self, collection: Path) -> None:
        shutil.rmtree(collection.parent, ignore_errors=True)
        collection.parent.mkdir(parents=True)
        if self.start is not None:
            shutil.copytree(self.start, collection)

    def is_killed_at(self, failpoint: str, collection: Path) -> bool:
        """Run `index` to be killed at `failpoint`; whether that was reached."""
        log = collection.with_suffix(".log")
        log.unlink(missing_ok=True)
        environment = {"LOOKALIKE_FAILPOINT": failpoint, "LOOKALIKE_FAILPOINT_LOG": str(log)}
        ended = self.program.run("index", collection, *self.words, "--json", **environment)
        assert ended.code in (-signal.SIGKILL, 1), ended.err
        assert_sound(collection, log)
        return ended.code == -signal.SIGKILL

    def assert_finished(self, collection: Path) -> None:
        assert_finished(self.program, collection, self.expected, *self.words)

    def kill_and_finish(self, failpoint: str, collection: Path) -> None:
        self.begin(collection)
        assert self.is_killed_at(failpoint, collection), f"{failpoint} was not reached"
        self.assert_finished(collection)

    def kill_one_after_another(self, collection: Path) -> None:
        """Kill at each failpoint and go on from what is left; begin anew where that is too far."""
        self.begin(collection)
        for failpoint in self.failpoints:
            if not self.is_killed_at(failpoint, collection):
                self.begin(collection)
                assert self.is_killed_at(failpoint, collection), f"{failpoint} was not reached"
        self.assert_finished(collection)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return paint_all(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def creation(program, tmp_path_factory, few, model):
    """`index` of a new collection."""
    folder = tmp_path_factory.mktemp("creation")
    words = (few, "--model", model, "--workers", "0")
    story = undisturbed(program, folder, None, words)
    assert len(story.expected.files) == FEW
    return story


@pytest.fixture(scope="module")
def update(program, tmp_path_factory, model):
    """`index` of a collection whose pictures have been deleted, renamed, changed and added."""
    folder = tmp_path_factory.mktemp("update")
    photos = paint_all(folder / "photos", FEW)
    before = folder / "before"
    done = program.run("index", before, photos, "--model", model, "--json")
    assert done.code == 1, done.err
    change(photos)
    return undisturbed(program, folder, before, (photos, "--workers", "0"))


def undisturbed(program, folder: Path, start: Path | None, words) -> Story:
    log, whole = folder / "log", folder / "whole"
    if start is not None:
        shutil.copytree(start, whole)
    done = program.run("index", whole, *words, "--json", LOOKALIKE_FAILPOINT_LOG=str(log))
    assert done.code == 1, done.err
    return Story(program, start, words, held_by(whole), failpoints_in(log))


@pytest.mark.slow
def test_a_new_collection_killed_at_every_failpoint(creation, tmp_path):
    expected = {"storage.folder.manifest", "storage.commit.files", "index.published"}
    assert expected <= creation.failpoints.keys()
    creation.kill_one_after_another(tmp_path / "c" / "photos")


UPDATING = [
    "storage.commit.files",
    "storage.remove.files",
    "storage.remove.done",
    "index.published",
]


@pytest.mark.parametrize("failpoint", UPDATING)
def test_an_update_killed_where_it_changes_something(update, tmp_path, failpoint):
    update.kill_and_finish(failpoint, tmp_path / "c" / "photos")


@pytest.mark.slow
@pytest.mark.parametrize("story", ["creation", "update"])
def test_every_passing_of_every_failpoint_by_itself(story, request, tmp_path):
    told = request.getfixturevalue(story)
    for name, n in told.failpoints.items():
        for nth in range(1, n + 1):
            told.kill_and_finish(f"{name}:{nth}", tmp_path / "c" / "photos")


@pytest.mark.slow
def test_a_few_kills_at_random_moments(program, tmp_path, few, model):
    kill_at_random(program, tmp_path, few, model, kills=3, least_hits=1)


@pytest.mark.slow
def test_thirty_kills_at_random_moments_of_1500_files(program, tmp_path, model):
    many = paint_all(tmp_path / "many", MANY)
    kill_at_random(program, tmp_path, many, model, kills=30, least_hits=25)


@pytest.mark.slow
def test_thirty_kills_one_after_the_other_lose_no_commit(program, tmp_path, model):
    """Each `index` goes on where the one before was killed; what was committed stays."""
    many = paint_all(tmp_path / "many", MANY)
    words = (many, "--model", model, "--workers", "2")
    expected, seconds = timed(program, tmp_path, words)
    collection = tmp_path / "c" / "photos"
    collection.parent.mkdir()
    rng = random.Random(9)
    n_files = 0
    for number in range(30):
        log = tmp_path / f"log{number}"
        watch = kill_after(rng.uniform(0, seconds / 3), log)
        program.run(
            "index", collection, *words, "--json", watch=watch, LOOKALIKE_FAILPOINT_LOG=str(log)
        )
        assert_sound(collection, log)
        if collection.exists():
            with Catalog.open(open_folder(collection)[0].catalog) as catalog:
                found = sum(catalog.n_files.values())
            assert found >= n_files
            n_files = found
    assert_finished(program, collection, expected, *words)


def timed(program, tmp_path: Path, words) -> tuple[Held, float]:
    """What a run leaves, and how long it works after its first step."""
    log, whole = tmp_path / "whole.log", tmp_path / "whole"
    started: list[float] = []

    def watch(pid: int) -> None:
        while not log.exists():
            time.sleep(0.001)
        started.append(time.monotonic())

    environment = {"LOOKALIKE_FAILPOINT_LOG": str(log)}
    done = program.run("index", whole, *words, "--json", watch=watch, **environment)
    assert done.code == 1, done.err
    return held_by(whole), time.monotonic() - started[0]


def kill_at_random(program, tmp_path, photos, model, *, kills: int, least_hits: int) -> None:
    words = (photos, "--model", model, "--workers", "2")
    expected, seconds = timed(program, tmp_path, words)
    rng = random.Random(6)
    hits = number = 0
    while number < kills or (hits < least_hits and number < 4 * kills):
        number += 1
        collection, log = tmp_path / f"c{number}" / "photos", tmp_path / f"log{number}"
        watch = kill_after(rng.uniform(0, seconds), log)
        killed = program.run(
            "index", collection, *words, "--json", watch=watch, LOOKALIKE_FAILPOINT_LOG=str(log)
        )
        if killed.code == -signal.SIGKILL:
            hits += 1
        else:
            seconds *= 0.8  # the machine is less busy than when the run was timed
        assert_sound(collection, log)
        assert_acknowledged(collection, log)
        assert_finished(program, collection, expected, *words)
        shutil.rmtree(collection.parent)
    assert hits >= least_hits, "the kills came too late to show anything"


def assert_acknowledged(collection: Path, log: Path) -> None:
    """Each commit that was reported as done is there; at most one more, not yet reported."""
    n_done = Counter(log.read_text().split())["storage.commit.done"]
    if collection.exists():
        with Catalog.open(open_folder(collection)[0].catalog) as catalog:
            assert catalog.revision - n_done in (0, 1)
    else:
        assert n_done == 0
