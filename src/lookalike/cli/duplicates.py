"""The command that finds near-duplicates."""

from pathlib import Path
from typing import Annotated

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, CollectionPath, Json, examples, option
from lookalike.showing import show_duplicates
from lookalike.terminal import Bars


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike duplicates photos.lookalike",
        "lookalike duplicates photos.lookalike --sheet copies.png",
        "lookalike duplicates photos.lookalike --decide keep=17 --decide different=3,5",
        "lookalike duplicates photos.lookalike --write-list copies.txt",
    ),
)
def duplicates(
    collection: CollectionPath,
    threshold: Annotated[
        int, option("--threshold", help="Bits of 128 that may differ, 0 to 23.")
    ] = 20,
    min_score: Annotated[
        float, option("--min-score", help="Least score in content of two copies.")
    ] = 2.0,
    decisions: Annotated[
        list[str],
        option(
            "--decide",
            metavar="VERDICT=ID,…",
            help="First: keep=17, same=3,5, different=3,5 or forget=3; repeatable.",
        ),
    ] = [],  # noqa: B006 - read only, and Typer wants a list
    sheet: Annotated[
        Path | None, option("--sheet", help="Also draw the groups into this PNG file.")
    ] = None,
    write_list: Annotated[
        Path | None, option("--write-list", help="Also list the files that could go, in this file.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find near-duplicates: encoded anew, scaled, cropped a little, brightened, mirrored.

    Tells which of them to keep. Nothing is ever deleted; what is decided holds for good.
    """
    from lookalike.collection import Collection  # noqa: PLC0415
    from lookalike.knowing import deduplicating  # noqa: PLC0415 - keeps --help fast
    from lookalike.search.duplicates import DuplicateOptions  # noqa: PLC0415

    options = DuplicateOptions(threshold, min_score)
    wanted = [deduplicating.read_decision(text) for text in decisions]
    with Collection.open(collection, writable=bool(wanted)) as opened:
        for verdict, ids in wanted:
            deduplicating.decide(opened, verdict, ids)
        groups = deduplicating.find_duplicates(opened, options, Bars())
        if write_list is not None:
            paths = deduplicating.removable_paths(opened, groups)
            deduplicating.write_list(write_list, paths)
        if sheet is not None:
            deduplicating.draw_duplicates(opened, groups, sheet)
        found = deduplicating.to_json(opened, groups)
    show_result(as_json, found, lambda: show_duplicates(found))
    return 0
