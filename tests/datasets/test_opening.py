"""Opening data sets by a few words."""

import os
from pathlib import Path

import numpy as np
import pytest

from lookalike.datasets import (
    ListedDataset,
    needs_opening,
    open_dataset,
    picture_files,
)
from lookalike.datasets.base import palette
from lookalike.datasets.opening import parse_spec
from lookalike.datasets.pictures import find_pictures, read_geometry, read_picture
from lookalike.errors import DatasetError, EnvironmentFault, ImageError, UsageError
from tests.datasets.tiny_sets import coco, save_mask, save_picture, write_coco


def write_kind(folder: Path, kind: str) -> Path:
    if kind == "coco":
        return write_coco(folder, coco())
    if kind == "folders":
        save_picture(folder / "dog" / "1.png", 4, 3)
        save_picture(folder / "cat" / "2.png", 4, 3)
        return folder
    save_picture(folder / "images" / "a.png", 4, 3)
    if kind == "masks":
        save_mask(folder / "masks" / "a.png", [[0, 1, 1, 1]] * 3)
        (folder / "labels.txt").write_text("0\tnull\n1\that\n")
    if kind == "table":
        (folder / "labels.tsv").write_text("image\tlabel\tkeywords\na.png\tdog\tfur tail\n")
    return folder


def write_parquet(path: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"image": [b"x", b"y"], "label": ["dog", "cat"]}), path)
    return path


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("coco", ("car", "dog", "cat")),
        ("masks", ("hat",)),
        ("table", ("dog",)),
        ("folders", ("cat", "dog")),
    ],
)
def test_recognizes_a_folder_by_what_lies_in_it(
    tmp_path: Path, kind: str, classes: tuple[str, ...]
) -> None:
    folder = write_kind(tmp_path / "photos", kind)
    for spec in (folder, str(folder)):
        dataset = open_dataset(spec)
        assert isinstance(dataset, ListedDataset)
        assert dataset.name == "photos"
        assert dataset.classes == classes
    assert picture_files(dataset) == [image.path for image in dataset]
    assert [image.name for image in dataset] == list(dataset.names)


def test_opens_a_parquet_file_or_a_folder_of_them(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet")
    assert open_dataset(path).classes == open_dataset(tmp_path).classes == ("cat", "dog")


def test_pictures_inside_a_parquet_file_have_no_files(tmp_path: Path) -> None:
    dataset = open_dataset(write_parquet(tmp_path / "a.parquet"))
    with pytest.raises(UsageError, match="the pictures of 'a' lie inside another file"):
        picture_files(dataset)


def test_opens_at_the_level_of_supercategories(tmp_path: Path) -> None:
    folder = write_kind(tmp_path, "coco")
    assert open_dataset(folder, level="supercategories").classes == ("vehicle", "animal")


def test_only_coco_has_supercategories(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no supercategories, as it is not COCO"):
        open_dataset(write_kind(tmp_path, "masks"), level="supercategories")


def test_a_column_after_an_at_sign_holds_the_labels(tmp_path: Path) -> None:
    folder = write_kind(tmp_path, "table")
    assert open_dataset(f"{folder}@keywords").classes == ("fur", "tail")
    with pytest.raises(UsageError, match="no column of labels 'color'; its columns are image"):
        open_dataset(f"{folder}@color")


def test_only_a_table_has_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no column 'keywords', as it has no labels.tsv"):
        open_dataset(f"{write_kind(tmp_path, 'coco')}@keywords")


def test_a_part_after_a_number_sign_is_taken(tmp_path: Path) -> None:
    folder = write_kind(tmp_path / "photos", "coco")
    train, test = open_dataset(f"{folder}#train"), open_dataset(f"{folder}#test")
    assert sorted([*train.names, *test.names]) == ["a.png", "b.png", "sub/c.png"]
    assert test.name == "photos#test"
    with pytest.raises(UsageError, match="no part 'val' of 'photos'"):
        open_dataset(f"{folder}#val")
    with pytest.raises(UsageError, match="no part ''"):
        open_dataset(f"{folder}#")


def test_a_path_that_exists_is_never_taken_apart(tmp_path: Path) -> None:
    folder = write_kind(tmp_path / "me@home #1#test", "coco")
    assert len(open_dataset(folder)) == 3
    assert parse_spec(folder) == (str(folder), None, None)
    assert parse_spec(f"{folder}#test") == (str(folder), None, "test")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("scenes:100", True),
        ("scenes:100:3#test", True),
        ("photos#test", True),
        ("photos", False),
        ("scenes", False),
    ],
)
def test_tells_data_sets_from_plain_paths(source: str, expected: bool) -> None:
    assert needs_opening(source) is expected


def test_opens_generated_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path))
    dataset = open_dataset("scenes:6:3")
    assert len(dataset) == 6
    assert dataset.has_label_maps
    image = dataset[0]
    geometry = read_geometry(image.path)
    label_map = image.read_label_map()
    assert label_map.shape == geometry.seen
    present = set(np.unique(label_map).tolist()) - {0, 255}
    assert {value - 1 for value in present} == set(image.labels)
    assert len(image.captions) >= 1
    groups = open_dataset("scenes:6:3#train", level="supercategories")
    assert 0 < len(groups) < 6
    assert len(groups.classes) < len(dataset.classes)


@pytest.mark.parametrize(
    "spec", ["scenes:", "scenes:many", "scenes:5:x", "scenes:-5", "scenes:1e3"]
)
def test_rejects_scenes_without_a_whole_number(spec: str) -> None:
    with pytest.raises(UsageError, match="is not scenes:N or scenes:N:SEED"):
        open_dataset(spec)


def test_rejects_an_unknown_level(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no level 'words'; the levels are names, supercategories"):
        # Past the check of argument types, which only tests have.
        getattr(open_dataset, "__wrapped__", open_dataset)(tmp_path, level="words")


def test_rejects_a_missing_path(tmp_path: Path) -> None:
    for spec in (tmp_path / "nothing", "", "#test", "no\0thing"):
        with pytest.raises(DatasetError, match="there is no such file or folder"):
            open_dataset(spec)


def test_rejects_a_path_that_no_file_can_have() -> None:
    with pytest.raises(DatasetError, match=r"cannot be read \(File name too long\)"):
        open_dataset("x" * 300)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_a_fault_of_the_environment(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = write_kind(tmp_path / "photos", "folders")
    folder.chmod(0)
    request.addfinalizer(lambda: folder.chmod(0o700))
    with pytest.raises(EnvironmentFault, match=r"no permission to read .*photos"):
        open_dataset(folder)


def test_says_what_was_looked_for(tmp_path: Path) -> None:
    save_picture(tmp_path / "1.png", 4, 3)
    with pytest.raises(DatasetError, match=r"is no data set; looked for COCO .*masks.*parquet"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="is no data set"):
        open_dataset(tmp_path / "1.png")


def test_colors_are_distinct_and_do_not_change_with_the_number_of_classes() -> None:
    colors = palette(254)
    assert len(set(colors)) == 255
    assert palette(3) == colors[:4]
    first = np.array(colors[:81], float)
    distance = np.linalg.norm(first[:, None] - first[None], axis=2) + 1e9 * np.eye(81)
    assert distance.min() > 15


def test_finds_pictures_by_their_ending(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", "a/.e.png", "a/_.webp"):
        save_picture(tmp_path / name, 2, 2)
    (tmp_path / "notes.txt").write_text("no picture")
    assert list(find_pictures(tmp_path)) == ["a/_.webp", "a/c.png", "b.JPG"]


def test_a_linked_picture_is_read(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", 2, 2)
    (tmp_path / "link.png").symlink_to(path)
    assert read_picture(tmp_path / "link.png") == path.read_bytes()


def test_names_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("no picture")
    with pytest.raises(ImageError, match=r"a.png: cannot be read as a picture"):
        read_geometry(path)
    with pytest.raises(ImageError, match=r"gone.png"):
        read_picture(tmp_path / "gone.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_geometry_agrees_with_the_decoder(tmp_path: Path, suffix: str, orientation: int) -> None:
    from lookalike.images.decoding import decode

    path = save_picture(tmp_path / f"a.{suffix}", 32, 16, orientation)
    decoded = decode(read_picture(path))
    assert read_geometry(path).seen == (decoded.height, decoded.width)
    assert read_geometry(path).seen == ((32, 16) if orientation == 6 else (16, 32))


@pytest.mark.data
@pytest.mark.parametrize(
    ("spec", "n"),
    [
        pytest.param("coco", 392, marks=pytest.mark.slow),
        ("clothing", 300),
        ("corel", 3999),
        ("tiny-imagenet", 20_000),
    ],
)
def test_opens_the_real_sets(photographs: Path, spec: str, n: int) -> None:
    dataset = open_dataset(photographs / spec)
    assert len(dataset) == n
    parts = [open_dataset(f"{photographs / spec}#{part}") for part in ("train", "test")]
    assert sum(map(len, parts)) == n
    assert abs(len(parts[1]) - n / 3) < 3 * (n * 2 / 9) ** 0.5
