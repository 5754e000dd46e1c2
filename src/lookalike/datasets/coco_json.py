"""The JSON files of a COCO data set, checked and reduced to what is needed.

The format: https://cocodataset.org/#format-data (T.-Y. Lin et al., *Microsoft COCO: Common Objects
in Context*, ECCV 2014).
"""

import contextlib
import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from lookalike.datasets.regions import Polygons, RunLengths, box_shape, parse_shape
from lookalike.errors import DatasetError

Id: TypeAlias = int | str
Record: TypeAlias = dict[str, object]

_OTHER_KINDS: Final = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")


@dataclass(frozen=True, slots=True)
class Category:
    """One class of the set.

    Attributes:
        name: Unique within the set.
        supercategory: What it is a kind of; its own name where the set has none.
        is_thing: Whether it can be counted, as opposed to sky or grass (panoptic convention).
        color: RGB in which it is to be drawn, where the set says so (panoptic convention).
    """

    name: str
    supercategory: str
    is_thing: bool
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One annotated object, or a crowd of them.

    Attributes:
        annotation: Id of the annotation.
        category: Id of its category.
        is_crowd: Whether it marks many objects that nobody told apart.
        shape: Where it is.
        has_outline: Whether `shape` was drawn; otherwise it is only the bounding box.
    """

    annotation: Id
    category: Id
    is_crowd: bool
    shape: Polygons | RunLengths
    has_outline: bool


@dataclass(slots=True)
class Picture:
    """One picture and everything said about it.

    Attributes:
        name: Its file name as the JSON gives it, with `/` between folders.
        width: Columns, as the JSON says.
        height: Rows, as the JSON says.
        source: The JSON file that lists it.
        instances: In the order of the JSON.
        captions: Without surrounding blanks.
    """

    name: str
    width: int
    height: int
    source: Path
    instances: list[Instance] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Contents:
    """What the JSON files of a set say together.

    Attributes:
        categories: By their id.
        pictures: By their id, in the order in which they are listed.
    """

    categories: dict[Id, Category] = field(default_factory=dict)
    pictures: dict[Id, Picture] = field(default_factory=dict)


def instance_files(folder: Path) -> list[Path]:
    """Return the JSON files with instances: `instances*.json`, or else all of no other kind."""
    files = sorted(folder.glob("*.json"))
    named = [path for path in files if path.name.startswith("instances")]
    return named or [path for path in files if not path.name.startswith(_OTHER_KINDS)]


def caption_files(folder: Path) -> list[Path]:
    """Return the JSON files with captions: `captions*.json`."""
    return sorted(folder.glob("captions*.json"))


def read_contents(instances: Sequence[Path], captions: Sequence[Path]) -> Contents:
    """Read JSON files that belong together.

    A picture may be listed in several files, if they say the same of it.

    Raises:
        DatasetError: If a file is no JSON, is not COCO, contradicts itself or another one.
    """
    contents = Contents()
    for path in instances:
        document = _load(path)
        _add_categories(contents, document, path)
        _add_pictures(contents, document, path)
        for annotation, where in _annotations(document, path):
            _picture_of(contents, annotation, where).instances.append(
                _read_instance(contents, annotation, where)
            )
    for path in captions:
        document = _load(path)
        _add_pictures(contents, document, path)
        for annotation, where in _annotations(document, path):
            caption = _text(annotation, "caption", where)
            _picture_of(contents, annotation, where).captions.append(caption.strip())
    return contents


def _load(path: Path) -> Record:
    try:
        with path.open(encoding="utf-8-sig") as file:
            document = json.load(file, object_hook=_pack)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is no JSON ({error}); export it again") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from error
    if not isinstance(document, dict):
        raise DatasetError(
            f"{path} is not COCO: it holds a {type(document).__name__}, not an object with "
            "'images' and 'annotations'"
        )
    return document


def _pack(record: Record) -> Record:
    """Shrink outlines while the file is read: as lists, those of COCO would take gigabytes."""
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        # What is no list of numbers is reported later, with the id of the annotation.
        with contextlib.suppress(TypeError):
            record["segmentation"] = [array("d", polygon) for polygon in segmentation]
    return record


def _records(document: Record, key: str, path: Path) -> list[Record]:
    records = _get(document, key, f"{path} is not COCO: it")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DatasetError(f"{path} is not COCO: {key!r} is no list of objects")
    return records


def _annotations(document: Record, path: Path) -> Iterator[tuple[Record, str]]:
    for position, record in enumerate(_records(document, "annotations", path)):
        yield record, f"{path}: annotation {record.get('id', f'number {position + 1}')}"


def _add_categories(contents: Contents, document: Record, path: Path) -> None:
    for position, record in enumerate(_records(document, "categories", path)):
        where = f"{path}: category number {position + 1}"
        identity = _id(record, "id", where)
        name = _text(record, "name", where).strip()
        supercategory = record.get("supercategory") or name
        category = Category(
            name=name,
            supercategory=supercategory if isinstance(supercategory, str) else name,
            is_thing=bool(record.get("isthing", True)),
            color=_color(record.get("color")),
        )
        known = contents.categories.setdefault(identity, category)
        if known != category:
            raise DatasetError(
                f"{path}: category id {identity} is both {known.name!r} and {name!r}; "
                "give every category its own id"
            )


def _color(value: object) -> tuple[int, int, int] | None:
    """Read a color; whatever is none is left to the palette."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(isinstance(part, int) and 0 <= part <= 255 for part in value):
        return None
    return value[0], value[1], value[2]


def _add_pictures(contents: Contents, document: Record, path: Path) -> None:
    here: set[Id] = set()
    for position, record in enumerate(_records(document, "images", path)):
        where = f"{path}: image number {position + 1}"
        identity = _id(record, "id", where)
        if identity in here:
            raise DatasetError(f"{where}: the id {identity} is used twice; ids must be unique")
        here.add(identity)
        name = PurePosixPath(_text(record, "file_name", where)).as_posix()
        width, height = _size(record, "width", where), _size(record, "height", where)
        known = contents.pictures.setdefault(identity, Picture(name, width, height, path))
        if (known.name, known.width, known.height) != (name, width, height):
            raise DatasetError(
                f"image id {identity} is {known.name!r} ({known.width} x {known.height}) in "
                f"{known.source}, but {name!r} ({width} x {height}) in {path}; "
                "these files do not belong together"
            )


def _picture_of(contents: Contents, annotation: Record, where: str) -> Picture:
    identity = _id(annotation, "image_id", where)
    picture = contents.pictures.get(identity)
    if picture is None:
        raise DatasetError(
            f"{where} refers to image {identity}, which is not among the "
            f"{len(contents.pictures)} in 'images'"
        )
    return picture


def _read_instance(contents: Contents, annotation: Record, where: str) -> Instance:
    category = _id(annotation, "category_id", where)
    if category not in contents.categories:
        raise DatasetError(
            f"{where} refers to category {category}, which is not among the "
            f"{len(contents.categories)} in 'categories'"
        )
    segmentation = annotation.get("segmentation")
    has_outline = bool(segmentation)
    return Instance(
        annotation=_id(annotation, "id", where),
        category=category,
        is_crowd=bool(annotation.get("iscrowd", 0)),
        shape=parse_shape(segmentation, where) if has_outline else _box(annotation, where),
        has_outline=has_outline,
    )


def _box(annotation: Record, where: str) -> Polygons:
    match annotation.get("bbox"):
        case [
            int() | float() as x,
            int() | float() as y,
            int() | float() as w,
            int() | float() as h,
        ]:
            return box_shape(float(x), float(y), float(w), float(h))
        case None:
            raise DatasetError(f"{where} has neither 'segmentation' nor 'bbox'")
        case other:
            raise DatasetError(f"{where}: 'bbox' is {other!r}; it is [x, y, width, height]")


def _get(record: Record, key: str, where: str) -> object:
    if key not in record:
        raise DatasetError(f"{where} has no {key!r}")
    return record[key]


def _id(record: Record, key: str, where: str) -> Id:
    value = _get(record, key, where)
    if isinstance(value, int | str):
        return value
    raise DatasetError(f"{where}: {key!r} is {value!r}; it is a number or text")


def _text(record: Record, key: str, where: str) -> str:
    value = _get(record, key, where)
    if isinstance(value, str) and value.strip():
        return value
    raise DatasetError(f"{where}: {key!r} is {value!r}; it is text")


def _size(record: Record, key: str, where: str) -> int:
    value = _get(record, key, where)
    if isinstance(value, int | float) and 0 < value < 2**31 and value == int(value):
        return int(value)
    raise DatasetError(f"{where}: {key!r} is {value!r}; it is a number of pixels")
