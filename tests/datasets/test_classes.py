"""Pictures with classes: folders, tables and Parquet files."""

import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from lookalike.datasets import parquet
from lookalike.datasets.classes import is_folders, open_folders, open_table
from lookalike.datasets.parquet import open_parquet
from lookalike.errors import DatasetError, MissingExtraError, UsageError
from tests.datasets.tiny_sets import save_picture

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write_folders(top: Path, *names: str) -> Path:
    for name in names:
        save_picture(top / name, 4, 3)
    return top


def write_table(folder: Path, table: str, *names: str) -> Path:
    write_folders(folder / "images", *(names or ("a.png", "b.png", "sub/c.png")))
    (folder / "labels.tsv").write_text(table)
    return folder


def encoded(color: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), color).save(file, "PNG")
    return file.getvalue()


COLORS = [encoded(color) for color in ("red", "green", "blue", "gray", "black")]


# Folders


def test_each_folder_is_a_class(tmp_path: Path) -> None:
    folder = write_folders(
        tmp_path / "pets", "dog/1.png", "cat/2.jpg", "cat/old/3.png", "Ant/4.png"
    )
    (folder / "empty").mkdir()
    (folder / ".hidden").mkdir()
    dataset = open_folders(folder)
    assert dataset.name == "pets"
    assert dataset.classes == ("Ant", "cat", "dog")
    assert dataset.relevant_classes == {0, 1, 2}
    assert len(dataset.palette) == 4
    assert dataset.is_single_label
    assert not dataset.has_label_maps
    assert dataset.names == ("Ant/4.png", "cat/2.jpg", "cat/old/3.png", "dog/1.png")
    assert [image.labels for image in dataset] == [(0,), (1,), (1,), (2,)]
    assert dataset[1].read_label_map is None
    assert dataset[1].read_bytes() == (folder / "cat" / "2.jpg").read_bytes()


def test_steps_over_a_single_folder_in_between(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, "train/dog/1.png", "train/cat/2.png")
    dataset = open_folders(folder)
    assert dataset.classes == ("cat", "dog")
    assert dataset[0].path == folder / "train" / "cat" / "2.png"


def test_does_not_choose_between_parts(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, "train/dog/1.png", "train/cat/2.png", "val/dog/3.png")
    with pytest.raises(DatasetError, match=r"holds the parts train, val; open one of them"):
        open_folders(folder)
    assert len(open_folders(folder / "train")) == 2


def test_rejects_pictures_beside_the_class_folders(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, "dog/1.png", "cat/2.png", "lost.png")
    with pytest.raises(DatasetError, match=r"1 pictures .* lie beside .* 'lost.png'"):
        open_folders(folder)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dog/1.png", "cat/2.png"], True),
        (["train/dog/1.png", "train/cat/2.png"], True),
        (["dog/1.png"], False),
        (["1.png", "2.png"], False),
        (["a/b/1.png"], False),
        ([], False),
    ],
)
def test_recognizes_class_folders(tmp_path: Path, names: list[str], expected: bool) -> None:
    assert is_folders(write_folders(tmp_path, *names)) is expected


def test_more_classes_than_a_label_map_holds_are_fine_without_label_maps(tmp_path: Path) -> None:
    dataset = open_folders(write_folders(tmp_path, *(f"c{i}/1.png" for i in range(300))))
    assert len(dataset.classes) == 300
    assert dataset.classes[:3] == ("c0", "c1", "c2")
    assert len(dataset.palette) == 301


# Tables


def test_a_theme_is_a_single_label(tmp_path: Path) -> None:
    table = "image\ttheme\tkeywords\na.png\t10\tsky sun\nsub/c.png\t2\tsky\n"
    dataset = open_table(write_table(tmp_path / "photos", table))
    assert dataset.name == "photos"
    assert dataset.classes == ("2", "10")
    assert dataset.is_single_label
    assert dataset.names == ("a.png", "sub/c.png")
    assert [image.labels for image in dataset] == [(1,), (0,)]


def test_keywords_are_several_labels(tmp_path: Path) -> None:
    table = "image\ttheme\tkeywords\na.png\t10\tsun sky sky\nb.png\t2\t\n"
    dataset = open_table(write_table(tmp_path, table), "keywords")
    assert dataset.classes == ("sky", "sun")
    assert not dataset.is_single_label
    assert [image.labels for image in dataset] == [(0, 1), ()]


def test_commas_part_keywords_of_several_words(tmp_path: Path) -> None:
    table = "image\tkeywords\tcaption\na.png\tblue sky, sun\tA day.\nb.png\tsun\t\n"
    dataset = open_table(write_table(tmp_path, table))
    assert dataset.classes == ("blue sky", "sun")
    assert [image.captions for image in dataset] == [("A day.",), ()]


def test_quotes_in_a_table_are_plain_text(tmp_path: Path) -> None:
    dataset = open_table(write_table(tmp_path, 'image\tlabel\na.png\t"big" dog\nb.png\t"\n'))
    assert set(dataset.classes) == {'"big" dog', '"'}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "nothing in it"),
        ("image\tlabel\n", "nothing in it"),
        ("file\tlabel\na.png\tdog\n", "has the columns file, label; exactly one .* 'image'"),
        ("image\timage\na.png\tdog\n", "exactly one"),
        ("image\tsize\na.png\t3\n", "has no column of labels; call it one of label, class"),
        ("image\tlabel\ttheme\na.png\t3\t4\n", "the columns label, theme; say which .*@label"),
        ("image\tlabel\na.png\tdog\n\nb.png\n", "line 4 has 1 columns and the header 2"),
        ("image\tlabel\na.png\tdog\nb.png\t\n", "line 3: the column 'label' is empty"),
        ("image\tlabel\na.png\tdog\na.png\tcat\n", "names the picture 'a.png' twice"),
        ("image\tlabel\na.png\tdog\nx.png\tcat\n", "1 of 2 pictures .* the first is 'x.png'"),
        ("image\tlabel\n../a.png\tdog\n", "1 of 1 pictures"),
        ("image\tkeywords\na.png\t\n", "no picture has a label"),
    ],
)
def test_rejects_a_table_that_makes_no_sense(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_table(write_table(tmp_path, table))


def test_rejects_a_table_that_is_no_text(tmp_path: Path) -> None:
    folder = write_table(tmp_path, "")
    (folder / "labels.tsv").write_bytes(b"image\tlabel\n\xff\t\xfe")
    with pytest.raises(DatasetError, match="cannot be read as text"):
        open_table(folder)


@pytest.mark.parametrize("column", ["species", "image"])
def test_an_unknown_column_is_answered_with_the_known_ones(tmp_path: Path, column: str) -> None:
    folder = write_table(tmp_path, "image\tlabel\na.png\tdog\n")
    with pytest.raises(UsageError, match=rf"no column of labels '{column}'; .* image, label"):
        open_table(folder, column)


# Parquet


def write_parquet(path: Path, columns: dict[str, object], rows_per_group: int = 2) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


def test_reads_pictures_and_classes_from_parquet(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "small.parquet",
        {
            "image": COLORS,
            "wnid": ["n2", "n1", "n2", "n3", "n1"],
            "name": ["dog", "fox", "dog", "ant", "fox"],
        },
    )
    dataset = open_parquet(path)
    assert dataset.name == "small"
    assert dataset.classes == ("fox", "dog", "ant")
    assert dataset.relevant_classes == {0, 1, 2}
    assert dataset.is_single_label
    assert not dataset.has_label_maps
    assert len(dataset) == 5
    assert dataset[0].name == "small/0"
    assert dataset[0].path is None
    assert [image.labels for image in dataset] == [(1,), (0,), (1,), (2,), (0,)]
    assert [image.read_bytes() for image in dataset] == COLORS
    assert dataset[-1].read_bytes() == COLORS[-1]


def test_reads_the_structures_and_class_names_of_hugging_face(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["cat", "dog", "fox"]}}}}
    table = pa.table(
        {
            "image": [{"bytes": data, "path": None} for data in COLORS],
            "label": [2, 0, 0, 2, 0],
        }
    ).replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, tmp_path / "train-0.parquet", row_group_size=3)
    dataset = open_parquet(tmp_path / "train-0.parquet")
    assert dataset.classes == ("cat", "dog", "fox")
    assert [image.labels for image in dataset] == [(2,), (0,), (0,), (2,), (0,)]
    assert [image.read_bytes() for image in dataset] == COLORS


def test_reads_all_files_of_a_folder(tmp_path: Path) -> None:
    write_parquet(tmp_path / "b.parquet", {"image": COLORS[2:], "label": [10, 9, 10]})
    write_parquet(tmp_path / "a.parquet", {"image": COLORS[:2], "label": [9, 9]})
    dataset = open_parquet(tmp_path)
    assert dataset.classes == ("9", "10")
    assert dataset.names == ["a/0", "a/1", "b/0", "b/1", "b/2"]
    assert [image.labels for image in dataset] == [(0,), (0,), (1,), (0,), (1,)]
    assert [image.read_bytes() for image in dataset] == COLORS


def test_classes_with_the_same_name_stay_apart(tmp_path: Path) -> None:
    columns = {"image": COLORS[:2], "wnid": ["n1", "n2"], "name": ["crane", "crane"]}
    assert open_parquet(write_parquet(tmp_path / "a.parquet", columns)).classes == ("n1", "n2")


def test_forgets_row_groups_beyond_the_memory_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "CACHE_BYTES", 1)
    path = write_parquet(tmp_path / "a.parquet", {"image": COLORS, "label": [0] * 5})
    dataset = open_parquet(path)
    for position in (0, 4, 2, 1, 3, 0):
        assert dataset[position].read_bytes() == COLORS[position]
    assert len(dataset._cache) == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"picture_data": COLORS, "label": [0] * 5}, "must be called image, img or picture"),
        ({"image": COLORS, "size": [0] * 5}, "must be called label, class, .* or name"),
        ({"image": [1] * 5, "label": [0] * 5}, "the column 'image' is of type int64"),
        ({"image": COLORS, "label": [0, 1, None, 0, 1]}, "'label' in row 2 is None"),
        ({"image": COLORS, "label": [0.5] * 5}, "'label' in row 0 is 0.5"),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, "nothing in it"),
    ],
)
def test_rejects_parquet_without_pictures_or_classes(
    tmp_path: Path, columns: dict[str, object], message: str
) -> None:
    path = write_parquet(tmp_path / "a.parquet", columns)
    with pytest.raises(DatasetError, match=message):
        open_parquet(path)


def test_rejects_what_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DatasetError, match=r"a.parquet cannot be read as Parquet"):
        open_parquet(path)


def test_names_a_row_without_picture(tmp_path: Path) -> None:
    columns = {"image": [COLORS[0], None, *COLORS[2:]], "label": [0] * 5}
    dataset = open_parquet(write_parquet(tmp_path / "a.parquet", columns))
    with pytest.raises(DatasetError, match=r"a/1 holds no picture"):
        dataset[1].read_bytes()


def test_does_not_mix_parts_of_a_parquet_set(tmp_path: Path) -> None:
    for name in ("train-0.parquet", "train-1.parquet", "test-0.parquet"):
        write_parquet(tmp_path / name, {"image": COLORS, "label": [0] * 5})
    with pytest.raises(DatasetError, match="holds the parts test, train; put the files of each"):
        open_parquet(tmp_path)


def test_says_which_extra_parquet_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"image": COLORS, "label": [0] * 5})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"'pyarrow'.*lookalike\[learn\]"):
        open_parquet(path)


@pytest.mark.data
def test_reads_the_real_table(photographs: Path) -> None:
    dataset = open_table(photographs / "corel")
    assert len(dataset) == 3999
    assert len(dataset.classes) == 40
    assert dataset.is_single_label
    assert len(open_table(photographs / "corel", "keywords").classes) == 354


@pytest.mark.data
def test_reads_the_real_parquet_file(photographs: Path) -> None:
    dataset = open_parquet(photographs / "tiny-imagenet" / "train-0.parquet")
    assert len(dataset) == 20_000
    assert len(dataset.classes) == 200
    assert dataset.classes[0] == "goldfish"
    assert {image.labels[0] for image in dataset} == set(range(200))
    for position in range(0, 20_000, 1999):
        with Image.open(io.BytesIO(dataset[position].read_bytes())) as picture:
            assert picture.size == (64, 64)
