"""The commands that keep collections: fill them, tell what they hold, check them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from lookalike.cli.root import SOME_FAILED, app, show_result
from lookalike.options import (
    SETTINGS,
    CollectionPath,
    Json,
    examples,
    more_than_nothing,
    option,
)
from lookalike.showing import show_ingest, show_problems, show_status
from lookalike.terminal import Bars


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike index photos.lookalike ~/Pictures",
        "lookalike index photos.lookalike ~/Pictures   (again: what is new or changed)",
        "lookalike index gallery.lookalike 'coco#test' --model my-model",
        "lookalike index photos.lookalike ~/Pictures --descriptors color,texture,aspect",
        "lookalike index photos.lookalike ~/Pictures --regions",
    ),
)
def index(
    collection: CollectionPath,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Folders, files or data sets.")
    ],
    model: Annotated[
        Path | None, option("--model", show_default="the one that ships", help="Model folder.")
    ] = None,
    workers: Annotated[
        int | None,
        option("--workers", min=0, show_default="all cores", help="Decoding processes."),
    ] = None,
    kind: Annotated[
        Literal["auto", "exact", "pq", "clusters", "hamming"],
        option("--index", help="Kind of index; clusters are k-means lists, hamming is bits."),
    ] = "auto",
    recall: Annotated[
        float, option("--recall", help="Share of true neighbors an index must find.")
    ] = 0.98,
    max_megapixels: Annotated[
        float, option("--max-megapixels", help="Larger pictures are refused.")
    ] = 64.0,
    max_megabytes: Annotated[
        float, option("--max-megabytes", help="Larger files are refused.")
    ] = 256.0,
    seconds_per_file: Annotated[
        float, option("--seconds-per-file", help="Longest time to decode one, tried twice.")
    ] = 2.4,
    descriptors: Annotated[
        str | None,
        option(
            "--descriptors",
            show_default="as it has; new: color,color_layout,texture,shape",
            help="What to extract beside the model's: names, all or none.",
        ),
    ] = None,
    regions: Annotated[
        bool,
        option("--regions", help="Also index parts of pictures; takes several times as long."),
    ] = False,
    remove_missing: Annotated[
        bool, option("--remove-missing", help="Forget the pictures of folders now empty.")
    ] = False,
    annotations: Annotated[
        bool,
        option("--annotations/--no-annotations", help="Store captions and labels of data sets."),
    ] = True,
    as_json: Json = False,
) -> int:
    """Bring a collection up to date with folders; makes it if it is new.

    Files are read, never changed. Each ends as indexed, failed or skipped, with the reason.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.features.descriptors import read_names  # noqa: PLC0415
    from lookalike.images.decoding import DecodeLimits  # noqa: PLC0415

    names = None if descriptors is None else read_names(descriptors)
    limits = DecodeLimits(
        max_bytes=int(more_than_nothing("--max-megabytes", max_megabytes) * 2**20),
        max_pixels=int(more_than_nothing("--max-megapixels", max_megapixels) * 1_000_000),
    )
    with Collection.open_or_create(collection, model=model, descriptors=names) as opened:
        report = opened.add(
            *sources,
            workers=workers,
            limits=limits,
            seconds_per_file=more_than_nothing("--seconds-per-file", seconds_per_file),
            remove_missing=remove_missing,
            regions=regions,
            kind=kind,
            recall_target=recall,
            annotations=annotations,
            progress=Bars(),
        )
    show_result(as_json, report.to_json(), lambda: show_ingest(report))
    return SOME_FAILED if report.has_failed else 0


@app.command(context_settings=SETTINGS, epilog=examples("lookalike status photos.lookalike"))
def status(collection: CollectionPath, as_json: Json = False) -> int:
    """Show what a collection holds and how accurate its indexes were measured to be."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        content = opened.status()
    show_result(as_json, content, lambda: show_status(content))
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike verify photos.lookalike",
        "lookalike verify photos.lookalike --repair   (then: lookalike index …)",
    ),
)
def verify(
    collection: CollectionPath,
    repair: Annotated[
        bool,
        option("--repair", help="Delete what is damaged and can be made again by `index`."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Read a whole collection and tell whether it is sound."""
    from lookalike.storage.integrity import verify as check  # noqa: PLC0415 - keeps --help fast

    report = check(collection, repair=repair, progress=Bars())
    show_result(
        as_json, {"clean": report.is_clean, **asdict(report)}, lambda: show_problems(report)
    )
    return 0 if report.is_clean else SOME_FAILED
