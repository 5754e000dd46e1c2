import csv
import io
import json
import sys
import zipfile

import numpy as np
import pytest

from lookalike import Collection
from lookalike.errors import MissingExtraError, UsageError
from lookalike.knowing.exporting import Selected, export, safe_name
from lookalike.storage.records import ImageRecord
from tests.small_sets import write_pictures
from tests.tiny_model import DIM, write_tiny_model

N = 7


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exporting")
    write_pictures(folder / "pictures", N)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "pictures", workers=0)
    return folder


@pytest.fixture
def photos(place, monkeypatch):
    monkeypatch.setattr("lookalike.knowing.exporting.PAGE", 3)  # more than one page
    with Collection.open(place / "c.lookalike") as opened:
        yield opened


@pytest.fixture
def some():
    return Selected(np.array([5, 2, 7, 1]), {5: 3.0, 2: 2.5, 7: 2.0, 1: 0.5})


def test_lists_hold_what_was_chosen_in_its_order(photos, place, some, tmp_path):
    assert export(photos, some, "paths", tmp_path / "p").pictures == 4
    expected = [bytes(photos.images([i])[0].paths[0]) for i in some.ids.tolist()]
    assert (tmp_path / "p").read_bytes().splitlines() == expected
    export(photos, some, "paths", tmp_path / "p", is_null=True)
    assert (tmp_path / "p").read_bytes().split(b"\0")[:-1] == expected
    export(photos, some, "csv", tmp_path / "c.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert [int(row["id"]) for row in rows] == some.ids.tolist()
    assert [float(row["score"]) for row in rows] == [3.0, 2.5, 2.0, 0.5]
    export(photos, some, "json", tmp_path / "j")
    pieces = []
    export(photos, some, "json", pieces.append)
    assert len(pieces) > 3
    assert b"".join(pieces) == (tmp_path / "j").read_bytes()
    images = json.loads((tmp_path / "j").read_text())["images"]
    assert [each["id"] for each in images] == some.ids.tolist()
    assert images[0]["path"].encode() == expected[0]
    assert images[0]["hash"] == photos.images([5])[0].hash.hex()


def test_an_archive_holds_the_originals_and_says_what_is_missing(place, some, tmp_path):
    write_pictures(tmp_path / "pictures", 5, seed=3)
    with Collection.create(tmp_path / "own.lookalike", model=place / "tiny") as own:
        own.add(tmp_path / "pictures", workers=0)
        records = own.images(own.catalog.ids())
        gone, changed = (tmp_path / "pictures" / name for name in ("001.png", "003.png"))
        gone.unlink()
        changed.write_bytes((tmp_path / "pictures" / "000.png").read_bytes())
        report = export(own, Selected(own.catalog.ids()), "zip", tmp_path / "o.zip")
    reasons = {path.rpartition("/")[2]: why for _, path, why in report.missing}
    assert set(reasons) == {"001.png", "003.png"}
    assert reasons["003.png"] == "another picture since it was indexed"
    with zipfile.ZipFile(tmp_path / "o.zip") as archive:
        manifest = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
        assert [int(row["id"]) for row in manifest] == [record.id for record in records]
        for row in manifest:
            path = tmp_path / "pictures" / row["path"].rpartition("/")[2]
            if path.name not in reasons:
                assert archive.read(row["name"]) == path.read_bytes()
        assert len(archive.namelist()) == 4
        assert archive.testzip() is None


def test_names_in_archives_are_safe_and_unlike_each_other():
    def name_of(path, number):
        return safe_name(ImageRecord(number, b"", 1, 1, 1, "PNG", (path,), ()))

    assert name_of(b"/a/../../etc/pass wd.png", 1) == "pass_wd-1.png"
    assert name_of(b"/a/\xff\n.JPG", 2) == "picture-2.JPG"
    assert name_of(b"/a/-rf", 3) == "rf-3"
    assert name_of(b"/b/x.png", 4).lower() != name_of(b"/c/X.PNG", 5).lower()
    assert len(name_of(b"/a/" + 200 * b"x" + b".png", 6)) < 100


def test_embeddings_come_out_as_they_are_stored(photos, some, tmp_path):
    report = export(photos, some, "npy", tmp_path / "e.npy", descriptor="layout")
    assert report.files == [str(tmp_path / "e.npy"), str(tmp_path / "e.ids.npy")]
    rows = np.load(tmp_path / "e.npy", mmap_mode="r")
    np.testing.assert_array_equal(rows, photos.vectors(some.ids, "layout"))
    np.testing.assert_array_equal(np.load(tmp_path / "e.ids.npy"), some.ids)
    export(photos, some, "parquet", tmp_path / "e.parquet")
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.column("id").to_pylist() == some.ids.tolist()
    assert table.column("score").to_pylist() == [3.0, 2.5, 2.0, 0.5]
    found = np.stack(table.column("content").to_numpy(zero_copy_only=False))
    np.testing.assert_array_equal(found, photos.vectors(some.ids, "content"))
    assert found.shape == (4, DIM)


def test_nothing_chosen_is_an_empty_file(photos, tmp_path):
    none = Selected(np.empty(0, np.int64))
    for target in ("paths", "csv", "json", "zip", "npy", "parquet"):
        assert export(photos, none, target, tmp_path / target).pictures == 0
    assert json.loads((tmp_path / "json").read_text()) == {"images": []}
    assert np.load(tmp_path / "npy").shape == (0, DIM)


def test_what_cannot_be_done_is_said(photos, some, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="zip needs a file; name it with --out"):
        export(photos, some, "zip", print)
    with pytest.raises(UsageError, match="a folder; name a file"):
        export(photos, some, "zip", tmp_path)
    with pytest.raises(UsageError, match="no descriptor 'smell'; this collection has: color, "):
        export(photos, some, "npy", tmp_path / "e", descriptor="smell")
    with pytest.raises(UsageError, match="no image 99"):
        export(photos, Selected(np.array([99])), "csv", tmp_path / "x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lookalike\[learn\]'"):
        export(photos, some, "parquet", tmp_path / "e.parquet")
    assert list(tmp_path.iterdir()) == []
