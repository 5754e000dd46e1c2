"""Mask folders: what pixel values mean, and which folders are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.datasets.masks import open_masks, read_legend
from lookalike.errors import DatasetError
from tests.datasets.tiny_sets import save_mask, save_picture

LABELS = "0\tnull\n3\that\n7\tshoe\n"
VALUES = [[0, 3, 3, 255], [7, 3, 3, 255], [7, 0, 0, 0]]
MEANINGS = np.array([[0, 1, 1, 255], [2, 1, 1, 255], [2, 0, 0, 0]], np.uint8)


def write_masks(folder: Path, labels: str = LABELS) -> Path:
    save_picture(folder / "images" / "a.png", 4, 3)
    save_mask(folder / "masks" / "a.png", VALUES)
    save_picture(folder / "images" / "sub" / "b.jpg", 2, 2)
    save_mask(folder / "masks" / "sub" / "b.png", [[0, 0], [7, 7]])
    (folder / "labels.txt").write_text(labels)
    return folder


def test_pixel_values_become_contiguous_classes(tmp_path: Path) -> None:
    dataset = open_masks(write_masks(tmp_path / "outfits"))
    assert dataset.name == "outfits"
    assert dataset.classes == ("hat", "shoe")
    assert dataset.relevant_classes == {0, 1}
    assert len(dataset.palette) == 3
    assert dataset.names == ("a.png", "sub/b.jpg")
    assert [image.labels for image in dataset] == [(0, 1), (1,)]
    np.testing.assert_array_equal(dataset[0].read_label_map(), MEANINGS)
    assert dataset[-1].labels == (1,)


def test_translation_agrees_with_a_look_up_pixel_by_pixel(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    numbers = [2, 5, 17, 40, 200]
    write_masks(tmp_path, "\n".join(f"{number}\tname {number}" for number in numbers))
    values = rng.choice([0, 255, *numbers], (3, 4))
    save_mask(tmp_path / "masks" / "a.png", values.tolist())
    label_map = open_masks(tmp_path)[0].read_label_map()
    for value, meaning in zip(values.ravel(), label_map.ravel(), strict=True):
        expected = value if value in (0, 255) else 1 + numbers.index(value)
        assert meaning == expected


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ("background\nhat\nshoe", ("hat", "shoe")),
        ("sky\nhat\nshoe", ("sky", "hat", "shoe")),
        ("\ufeff1 hat\n2 wide shoe\n\n", ("hat", "wide shoe")),
        ("0\t__background__\n1\that\n255\tsky", ("hat", "sky")),
        ("1\that\n4\tignore", ("hat",)),
        ("3 pieces\nhat", ("3 pieces", "hat")),
    ],
)
def test_reads_both_ways_of_listing_classes(
    tmp_path: Path, labels: str, classes: tuple[str, ...]
) -> None:
    (tmp_path / "labels.txt").write_text(labels)
    assert read_legend(tmp_path / "labels.txt").classes == classes


def test_zero_is_background_and_255_void_unless_listed(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("1\that")
    assert read_legend(path).meaning == {0: 0, 1: 1, 255: 255}
    path.write_text("0\tsky\n1\tignore\n255\that")
    assert read_legend(path).meaning == {0: 1, 1: 255, 255: 2}


def test_specks_give_no_label(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    save_picture(folder / "images" / "a.png", 200, 200)
    values = np.zeros((200, 200), int)
    values[0, :3], values[1, :4] = 3, 7  # Of 40,000 pixels, four are enough.
    save_mask(folder / "masks" / "a.png", values.tolist())
    dataset = open_masks(folder)
    assert dataset[0].labels == (1,)
    assert set(np.unique(dataset[0].read_label_map()).tolist()) == {0, 1, 2}


def test_palette_masks_are_read_by_index(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    save_mask(folder / "masks" / "a.png", VALUES, mode="P")
    np.testing.assert_array_equal(open_masks(folder)[0].read_label_map(), MEANINGS)


def test_palette_masks_of_few_bits_are_read_by_index(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    image = Image.fromarray(np.array(VALUES, np.uint8) % 255)
    image.putpalette(list(range(256)) * 3)
    image.save(folder / "masks" / "a.png", bits=4)
    expected = np.where(MEANINGS == 255, 0, MEANINGS)
    np.testing.assert_array_equal(open_masks(folder)[0].read_label_map(), expected)


def test_a_mask_on_stored_pixels_is_turned_with_its_picture(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    save_picture(folder / "images" / "a.png", 4, 3, orientation=6)
    np.testing.assert_array_equal(open_masks(folder)[0].read_label_map(), np.rot90(MEANINGS, -1))
    save_picture(folder / "images" / "a.png", 3, 4, orientation=6)
    np.testing.assert_array_equal(open_masks(folder)[0].read_label_map(), MEANINGS)


def test_masks_are_read_for_labels_only_once(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    dataset = open_masks(folder)
    assert dataset[0].labels == (0, 1)
    (folder / "masks" / "a.png").unlink()
    assert dataset[0].labels == (0, 1)


def test_rejects_a_value_that_is_not_named(tmp_path: Path) -> None:
    folder = write_masks(tmp_path, "3\that\n8\tshoe")
    with pytest.raises(DatasetError, match=r"a.png has the pixel value 7, which labels.txt"):
        open_masks(folder)[0]


def test_rejects_a_mask_of_another_size(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    save_mask(folder / "masks" / "a.png", [[3, 3]])
    with pytest.raises(DatasetError, match=r"a.png is 2 x 1 pixels, but its picture is 4 x 3"):
        open_masks(folder)[0].read_label_map()


@pytest.mark.parametrize("mode", ["RGB", "I;16", "LA"])
def test_rejects_masks_that_are_no_numbers(tmp_path: Path, mode: str) -> None:
    folder = write_masks(tmp_path)
    Image.new(mode, (4, 3)).save(folder / "masks" / "a.png")
    with pytest.raises(DatasetError, match="masks are gray or palette PNG files of 8 bits"):
        open_masks(folder)[0]


@pytest.mark.parametrize("n_bytes", [0, 8, 40, 48])
def test_rejects_a_damaged_mask(tmp_path: Path, n_bytes: int) -> None:
    folder = write_masks(tmp_path)
    path = folder / "masks" / "a.png"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(DatasetError, match=r"a.png cannot be read as a PNG"):
        open_masks(folder)[0]


def test_rejects_pictures_without_mask(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    (folder / "masks" / "sub" / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 2 pictures have no mask .* 'sub/b.jpg'"):
        open_masks(folder)


def test_rejects_masks_without_picture(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    save_mask(folder / "masks" / "c.png", [[0]])
    with pytest.raises(DatasetError, match=r"1 of 3 masks have no picture .* 'c.png'"):
        open_masks(folder)


def test_rejects_two_pictures_for_one_mask(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    save_picture(folder / "images" / "a.jpg", 4, 3)
    with pytest.raises(DatasetError, match=r"holds both 'a.jpg' and 'a.png'"):
        open_masks(folder)


def test_rejects_an_empty_folder(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    with pytest.raises(DatasetError, match="nothing in it"):
        open_masks(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "names no class"),
        ("0\tbackground", "names no class"),
        ("1\that\n1\tshoe", "the pixel value 1 is named twice"),
        ("1\that\n2\that", "gives the name 'hat' to two pixel values"),
        ("256\that", "the pixel value 256 does not fit into 8 bits"),
        ("1\that\nshoe", "'1.that' does not fit the other lines; number all or none"),
        ("\n".join(f"{i}\tc{i}" for i in range(255)), "names 255 classes; label maps hold 254"),
        ("\n".join(f"c{i}" for i in range(257)), "the pixel value 256 does not fit"),
    ],
)
def test_rejects_a_list_of_classes_that_contradicts_itself(
    tmp_path: Path, labels: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_masks(write_masks(tmp_path, labels))


def test_rejects_a_missing_or_unreadable_list_of_classes(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    (folder / "labels.txt").write_bytes(b"1\t\xff\xfe")
    with pytest.raises(DatasetError, match="cannot be read as text"):
        open_masks(folder)
    (folder / "labels.txt").unlink()
    with pytest.raises(DatasetError, match=r"labels.txt is missing; write one line"):
        open_masks(folder)


@pytest.mark.data
def test_reads_real_masks(photographs: Path) -> None:
    dataset = open_masks(photographs / "clothing")
    assert len(dataset) == 300
    assert len(dataset.classes) == 58
    assert dataset.classes[0] == "accessories"
    for position in range(0, 300, 30):
        image = dataset[position]
        with Image.open(image.path) as picture:
            assert image.read_label_map().shape == (picture.height, picture.width)
        assert "skin" in {dataset.classes[label] for label in image.labels}
