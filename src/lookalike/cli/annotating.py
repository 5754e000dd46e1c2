"""The commands that tell what is known of pictures, and change it."""

from typing import Annotated, Literal

import typer

from lookalike.cli.root import SOME_FAILED, app, show_result
from lookalike.errors import UsageError
from lookalike.options import SETTINGS, CollectionPath, Json, Level, examples, option, read_pairs
from lookalike.showing import show_annotated, show_described, show_filter_keys
from lookalike.terminal import Bars


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike annotate photos.lookalike --from captions.csv",
        "lookalike annotate gallery.lookalike --from 'coco#test'",
        "lookalike annotate photos.lookalike --id 17 --caption 'two dogs' --label dog",
        "lookalike annotate photos.lookalike --id 17 --set photographer=Anna",
        "lookalike annotate photos.lookalike --id 17 --remove-label cat",
    ),
)
def annotate(
    collection: CollectionPath,
    source: Annotated[
        str | None,
        option("--from", metavar="DATASET|FILE", help="Labeled pictures, or .csv, .tsv, .json."),
    ] = None,
    ids: Annotated[list[int], option("--id", help="Describe this picture; repeatable.")] = [],  # noqa: B006
    captions: Annotated[list[str], option("--caption", help="A sentence to add.")] = [],  # noqa: B006
    labels: Annotated[list[str], option("--label", help="A label to add.")] = [],  # noqa: B006
    values: Annotated[
        list[str], option("--set", metavar="KEY=VALUE", help="An attribute: taken=2024-05-31.")
    ] = [],  # noqa: B006
    remove_captions: Annotated[
        list[str], option("--remove-caption", help="A given caption to take away.")
    ] = [],  # noqa: B006
    remove_labels: Annotated[
        list[str], option("--remove-label", help="A given label to take away.")
    ] = [],  # noqa: B006
    unset: Annotated[list[str], option("--unset", help="An attribute to take away.")] = [],  # noqa: B006
    level: Level = "names",
    as_json: Json = False,
) -> int:
    """Store captions, labels and attributes of pictures, to be searched and filtered by.

    Kept by the pictures' content: they survive renaming, and deleting and adding again.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.knowing.noting import annotate_from, annotate_ids  # noqa: PLC0415

    changes = {
        "captions": tuple(captions),
        "labels": tuple(labels),
        "remove_captions": tuple(remove_captions),
        "remove_labels": tuple(remove_labels),
        "remove_attributes": tuple(unset),
    }
    attributes = read_pairs(values, "--set")
    if (source is None) == (not ids):
        raise UsageError("give either --from, or the pictures by --id")
    if source is not None and (attributes or any(changes.values())):
        raise UsageError("--from takes all from there; describe single pictures by --id")
    with Collection.open(collection, writable=True) as opened:
        if source is not None:
            report = annotate_from(opened, source, level=level, progress=Bars())
        else:
            report = annotate_ids(opened, ids, attributes=attributes, **changes)
    show_result(as_json, report.to_json(), lambda: show_annotated(report))
    return SOME_FAILED if report.unknown or report.ambiguous else 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples("lookalike describe photos.lookalike --id 17"),
)
def describe(
    collection: CollectionPath,
    ids: Annotated[list[int], option("--id", help="Of this picture; repeatable.")],
    as_json: Json = False,
) -> int:
    """Show all that is known of pictures, and who says so."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.knowing.noting import describe as look_up  # noqa: PLC0415

    with Collection.open(collection) as opened:
        found = look_up(opened, ids)
    show_result(as_json, {"images": found}, lambda: show_described(found))
    return 0


@app.command(name="help", context_settings=SETTINGS, epilog=examples("lookalike help filters"))
def show_help(
    topic: Annotated[Literal["filters"], typer.Argument(metavar="TOPIC", help="filters.")],
    as_json: Json = False,
) -> int:
    """Explain a topic: the language of filters, with an example for each key."""
    from dataclasses import asdict  # noqa: PLC0415 - keeps --help fast

    from lookalike.search.filter_keys import FILTER_KEYS  # noqa: PLC0415

    content = {str(topic): [asdict(key) for key in FILTER_KEYS]}
    show_result(as_json, content, lambda: show_filter_keys(FILTER_KEYS))
    return 0
