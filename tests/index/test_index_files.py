"""Indexes on disk: whole, checked, replaced in one step."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import EnvironmentFault, IndexUnavailableError
from lookalike.index.exact import RowsIndex
from lookalike.index.files import (
    IndexCard,
    check_index,
    new_rows_file,
    open_index,
    publish_index,
    read_card,
    remove_strays,
)
from tests.index.galleries import KINDS, built, clustered, spaced_ids
from tests.killing import failpoints_of, kill_at

ROWS = clustered(250, 12)


def publish(folder: Path, kind: str = "exact", n: int = 250, revision: int = 3) -> RowsIndex:
    index = built(kind, ROWS[:n], rows_file=new_rows_file(folder, "content"))
    publish_index(
        folder, "content", index, model="m@1", revision=revision, calibration={"knots": [0.5]}
    )
    return index


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    index = publish(tmp_path, kind)
    opened, card = open_index(tmp_path, "content", dim=12, model="m@1")
    before, after = (each.search(ROWS[:30], 7) for each in (index, opened))
    np.testing.assert_array_equal(after.ids, before.ids)
    np.testing.assert_array_equal(after.scores, before.scores)
    assert type(opened) is type(index)
    assert opened.facts == card.facts == index.facts
    assert card == check_index(tmp_path, "content")
    assert (card.descriptor, card.model, card.revision) == ("content", "m@1", 3)
    assert card.max_id == spaced_ids(250)[-1]
    assert card.calibration == {"knots": [0.5]}


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_index_comes_back(tmp_path: Path, kind: str) -> None:
    publish(tmp_path, kind, n=0)
    opened, card = open_index(tmp_path, "content")
    assert opened.search(ROWS[:2], 5).ids.shape == (2, 0)
    assert card.max_id == -1


def test_rows_in_memory_are_written_too(tmp_path: Path) -> None:
    index = built("clusters", ROWS)
    publish_index(tmp_path, "content", index, model="m", revision=0, calibration={})
    opened, _ = open_index(tmp_path, "content")
    np.testing.assert_array_equal(opened.vectors(opened.ids), index.vectors(index.ids))


def test_rows_written_elsewhere_are_copied(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "index"
    elsewhere.mkdir()
    folder.mkdir()
    index = built("exact", ROWS, rows_file=new_rows_file(elsewhere, "content"))
    publish_index(folder, "content", index, model="m", revision=0, calibration={})
    assert check_index(folder, "content").facts.n == 250


def test_publishing_replaces_and_cleans_up_only_its_own(tmp_path: Path) -> None:
    bystanders = ["content-wide-00000000.rows.npy", "layout-00000000.rows.npy", "notes.txt"]
    for name in bystanders:
        (tmp_path / name).write_text("kept")
    stray = tmp_path / "content-0123abcd.faiss"
    stray.write_text("left by a killed build")
    reader, _ = _published(tmp_path, "pq")
    publish(tmp_path, "exact", n=200, revision=4)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert not stray.exists()
    assert [name for name in names if not name.startswith("content")] == bystanders[1:]
    assert len(names) == len(bystanders) + 3
    assert read_card(tmp_path, "content").facts.n == 200
    assert reader.search(ROWS[:1], 1).ids.tolist() == [[7]]  # what is open stays readable


def _published(folder: Path, kind: str) -> tuple[RowsIndex, IndexCard]:
    publish(folder, kind)
    return open_index(folder, "content")


def test_without_a_card_all_builds_are_strays(tmp_path: Path) -> None:
    publish(tmp_path, "pq")
    (tmp_path / "content.json").unlink()
    assert len(remove_strays(tmp_path, "content", ())) == 3
    assert list(tmp_path.iterdir()) == []


def rewrite(change: Callable[[dict[str, object]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "content.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoil


def on_file(ending: str, spoil: Callable[[Path], object]) -> Callable[[Path], None]:
    def on(folder: Path) -> None:
        spoil(next(folder.glob(f"*{ending}")))

    return on


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def scramble(path: Path) -> None:
    noise = np.random.default_rng(0).integers(256, size=path.stat().st_size, dtype=np.uint8)
    path.write_bytes(noise.tobytes())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.write_bytes(content)


DAMAGE = {
    "no card": (lambda folder: (folder / "content.json").unlink(), "there is no index"),
    "card cut": (lambda folder: truncate(folder / "content.json"), "cannot be read"),
    "card empty": (lambda folder: (folder / "content.json").write_text(""), "cannot be read"),
    "card a list": (lambda folder: (folder / "content.json").write_text("[]"), "cannot be read"),
    "card of bytes": (lambda folder: scramble(folder / "content.json"), "cannot be read"),
    "newer format": (rewrite(lambda card: card.update(format=2)), "its format is 2"),
    "unknown key": (rewrite(lambda card: card.update(color=2)), "cannot be read"),
    "missing key": (rewrite(lambda card: card.pop("model")), "cannot be read"),
    "odd facts": (rewrite(lambda card: card.update(facts=3)), "cannot be read"),
    "no files": (rewrite(lambda card: card.update(files={})), "cannot be used"),
    "rows missing": (on_file(".rows.npy", Path.unlink), "it is missing"),
    "ids missing": (on_file(".ids.npy", Path.unlink), "it is missing"),
    "codes missing": (on_file(".faiss", Path.unlink), "it is missing"),
    "rows cut": (on_file(".rows.npy", truncate), "bytes instead of"),
    "codes cut": (on_file(".faiss", truncate), "bytes instead of"),
    "rows scrambled": (on_file(".rows.npy", scramble), "cannot be used"),
    "ids scrambled": (on_file(".ids.npy", scramble), "cannot be used"),
    "codes scrambled": (on_file(".faiss", scramble), "cannot be used"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    spoil, message = DAMAGE[damage]
    publish(tmp_path, "clusters")
    spoil(tmp_path)
    with pytest.raises(IndexUnavailableError, match=message):
        open_index(tmp_path, "content")


@pytest.mark.parametrize("ending", [".rows.npy", ".ids.npy", ".faiss"])
def test_a_flipped_bit_is_found_by_checking(tmp_path: Path, ending: str) -> None:
    publish(tmp_path, "pq")
    assert check_index(tmp_path, "content").facts.kind == "pq"
    on_file(ending, flip)(tmp_path)
    with pytest.raises(IndexUnavailableError, match="cannot be used"):
        check_index(tmp_path, "content")


def test_an_index_made_for_something_else_is_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(IndexUnavailableError, match="have 12 dimensions, not 16"):
        open_index(tmp_path, "content", dim=16)
    with pytest.raises(IndexUnavailableError, match="made with the model m@1, not m@2"):
        open_index(tmp_path, "content", model="m@2")


def test_codes_of_another_collection_are_refused(tmp_path: Path) -> None:
    publish(tmp_path, "pq", n=250)
    other = tmp_path / "other"
    other.mkdir()
    publish(other, "pq", n=240)
    codes = next(other.glob("*.faiss")).read_bytes()
    path = next(tmp_path.glob("*.faiss"))
    path.write_bytes(codes)
    rewrite(lambda card: card["files"][path.name].update(size=len(codes)))(tmp_path)
    with pytest.raises(IndexUnavailableError, match="240 codes for 250 rows"):
        open_index(tmp_path, "content")


@pytest.mark.parametrize("kind", ["exact", pytest.param("pq", marks=pytest.mark.slow)])
def test_killed_anywhere_leaves_the_old_index_or_the_new_one(tmp_path: Path, kind: str) -> None:
    publish(tmp_path, kind, n=100, revision=1)
    in_memory = built("pq", ROWS[:120])  # FAISS's threads do not survive being forked

    def again() -> None:
        if kind == "exact":
            publish(tmp_path, kind, n=120, revision=2)
        else:
            publish_index(tmp_path, "content", in_memory, model="m", revision=2, calibration={})

    points = failpoints_of(again, tmp_path / "log.txt")
    expected = "index.rows_begun:1" if kind == "exact" else "index.codes_written:1"
    assert {expected, "index.recorded:1", "index.published:1"} <= set(points)
    seen = set()
    for point in points:
        publish(tmp_path, kind, n=100, revision=1)
        kill_at(point, again)
        card = check_index(tmp_path, "content")
        assert (card.revision, card.facts.n) in {(1, 100), (2, 120)}
        seen.add(card.revision)
    publish(tmp_path, kind, n=100, revision=3)
    names = {path.name for path in tmp_path.iterdir()} - {"log.txt"}
    assert names == {"content.json", *read_card(tmp_path, "content").files}
    assert seen == {1, 2}


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    index = built("exact", ROWS)
    with pytest.raises(EnvironmentFault, match="could not be written"):
        publish_index(tmp_path / "no", "content", index, model="m", revision=0, calibration={})


def test_small_collections_are_searched_without_loading_faiss(tmp_path: Path) -> None:
    publish(tmp_path, "exact")
    code = f"""
import sys
from pathlib import Path
from lookalike.index.files import open_index
from lookalike.search.searcher import Searcher
index, _ = open_index(Path({str(tmp_path)!r}), "content")
index.search(index.vectors(index.ids[:1]), 3)
sys.exit("faiss" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
