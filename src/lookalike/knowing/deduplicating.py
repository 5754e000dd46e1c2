"""The near-duplicates of a collection: found, decided about, listed, drawn."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast, get_args

from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation.contact_sheet import (
    SheetPicture,
    SheetQuery,
    SheetRow,
    draw_contact_sheet,
    sheet_png,
)
from lookalike.images.scanning import display_path
from lookalike.progress import SILENT, Progress
from lookalike.search.duplicates import DuplicateFinder, DuplicateGroup, DuplicateOptions
from lookalike.storage.duplicates import Verdict
from lookalike.storage.records import ImageRecord

MOST_DRAWN: Final = 30
"""Groups on a sheet."""

_MOST_ACROSS: Final = 6


def duplicate_finder(
    collection: Collection,
    options: DuplicateOptions = DuplicateOptions(),  # noqa: B008 - frozen
) -> DuplicateFinder:
    """Return what finds near-duplicates in a collection as it is now.

    Raises:
        UsageError: If the collection has no descriptor `content`.
    """
    indexes = collection.gallery.indexes
    if "content" not in indexes:
        raise UsageError("near-duplicates are confirmed by 'content', which this collection lacks")
    return DuplicateFinder(collection.catalog.duplicates, indexes["content"], options)


def find_duplicates(
    collection: Collection,
    options: DuplicateOptions = DuplicateOptions(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> list[DuplicateGroup]:
    """Return the groups of near-duplicates of a collection, the largest first.

    Nothing is deleted, neither here nor anywhere else: a group says which copy is the best and
    which could go.

    Args:
        collection: Open; images added since its index was built are compared too.
        options: When two pictures are near-duplicates.
        progress: Told about every chain of pictures that is looked at.
    """
    return duplicate_finder(collection, options).groups(progress)


def decide(collection: Collection, verdict: str, ids: Sequence[int]) -> None:
    """Store what a person decided about images; it holds for their contents, for good.

    Args:
        collection: Open for writing.
        verdict: `keep`: each of these is to be kept. `same`, `different`: these are copies of each
            other, or are not, whatever is measured. `forget`: decide nothing about them.
        ids: Images.

    Raises:
        UsageError: If there is no such verdict or image, or one image alone is called `same`.
    """
    if verdict not in get_args(Verdict):
        raise UsageError(
            f"{verdict!r} cannot be decided; choose among {', '.join(get_args(Verdict))}"
        )
    records = collection.images(ids)
    contents = [record.hash for record in records]
    collection.catalog.duplicates.decide(cast(Verdict, verdict), contents)


def read_decision(text: str) -> tuple[str, list[int]]:
    """Read `keep=17` or `different=3,5,9`.

    Raises:
        UsageError: If the text is something else.
    """
    verdict, _, numbers = text.partition("=")
    try:
        return verdict, [int(number) for number in numbers.split(",")]
    except ValueError:
        raise UsageError(
            f"--decide {text!r} is not VERDICT=ID,…, such as keep=17 or different=3,5"
        ) from None


def removable_paths(collection: Collection, groups: Sequence[DuplicateGroup]) -> list[bytes]:
    """Return the files of all copies that could go, ascending; none of an image to be kept."""
    kept = {group.keep for group in groups}
    ids = sorted({id_ for group in groups for id_ in group.removable if id_ not in kept})
    return sorted(path for record in collection.images(ids) for path in record.paths)


def write_list(file: Path, paths: Sequence[bytes]) -> None:
    """Write paths, as they are, one on each line.

    Raises:
        UsageError: If a path contains a line break, which would make it two, or `file` is a folder.
        EnvironmentFault: If the file cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"the list cannot be written into {file}, a folder; name a file")
    for path in paths:
        if b"\n" in path:
            raise UsageError(
                f"{display_path(path)} has a line break in its name and cannot be listed; rename it"
            )
    write_atomically(file, b"".join(path + b"\n" for path in paths))


def to_json(collection: Collection, groups: Sequence[DuplicateGroup]) -> dict[str, Any]:
    """Return groups as plain values, with files and sizes."""
    paths = removable_paths(collection, groups)
    shown = [_group(collection, group) for group in groups]
    return {
        "groups": shown,
        "n_images": len(collection),
        "n_without_fingerprint": len(collection.catalog.duplicates.lacking()),
        "n_removable_files": len(paths),
        "removable_bytes": sum(
            member["n_bytes"] * len(member["paths"])
            for group in shown
            for member in group["members"]
            if member["is_removable"]
        ),
    }


def _group(collection: Collection, group: DuplicateGroup) -> dict[str, Any]:
    records = collection.images(group.ids)
    compared: list[dict[str, Any]] = [{"bits": 0, "score": None, "is_decided": False}]
    compared += [
        {"bits": copy.bits, "score": round(copy.score, 3), "is_decided": copy.is_decided}
        for copy in group.copies
    ]
    return {
        "kind": group.kind,
        "keep": group.keep,
        "reason": group.reason,
        "members": [
            {**_image(record), **measured, "is_removable": record.id in group.removable}
            for record, measured in zip(records, compared, strict=True)
        ],
    }


def _image(record: ImageRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "paths": [display_path(path) for path in record.paths],
        "width": record.width,
        "height": record.height,
        "n_bytes": record.n_bytes,
        "format": record.format,
    }


def draw_duplicates(collection: Collection, groups: Sequence[DuplicateGroup], file: Path) -> None:
    """Draw the first groups into a PNG file: what to keep on the left, its copies to the right.

    Raises:
        UsageError: If there is no group, or `file` is a folder.
        EnvironmentFault: If the file cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"the sheet cannot be drawn into {file}, a folder; name a PNG file")
    rows = [row for group in groups[:MOST_DRAWN] if (row := _row(collection, group)) is not None]
    if not rows:
        raise UsageError("there are no near-duplicates to draw; leave --sheet out")
    sheet = draw_contact_sheet(
        rows,
        title="Near-duplicates",
        subtitle=f"{len(groups)} groups in {collection.path.name}",
        headings=("Keep", "Copies, best first"),
    )
    write_atomically(file, sheet_png(sheet))


def _row(collection: Collection, group: DuplicateGroup) -> SheetQuery | None:
    first, *others = [_shown(collection, record) for record in collection.images(group.ids)]
    found = tuple(picture for picture in others[:_MOST_ACROSS] if picture is not None)
    if first is None or not found:
        return None
    left_out = len(others) - _MOST_ACROSS
    more = f", {left_out} more" if left_out > 0 else ""
    return SheetQuery(first, (SheetRow(found, f"{group.kind}{more}; kept: {group.reason}"),))


def _shown(collection: Collection, record: ImageRecord) -> SheetPicture | None:
    try:
        pixels = collection.picture(record.id)
    except ImageError:
        return None
    name = os.path.basename(display_path(record.paths[0]))  # noqa: PTH119 - display text
    caption = f"{record.width}×{record.height} {record.format}"
    return SheetPicture(pixels, caption=caption, description=name)
