"""The commands that keep searches, join results and hand them to other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lookalike.cli.root import SOME_FAILED, app, show_result
from lookalike.errors import UsageError
from lookalike.options import LARGEST_RANK, SETTINGS, CollectionPath, Json, examples, option
from lookalike.showing import MOST_SHOWN, show_hits
from lookalike.terminal import Bars, say, show_table, write_bytes

saved = typer.Typer(
    help="Searches that were kept.",
    no_args_is_help=True,
    context_settings=SETTINGS,
    rich_markup_mode="rich",
)
app.add_typer(saved, name="saved")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the search.")]


@saved.callback()
def _saved() -> None:
    """Searches that were kept."""


@saved.command(
    "list", context_settings=SETTINGS, epilog=examples("lookalike saved list photos.lookalike")
)
def list_(collection: CollectionPath, as_json: Json = False) -> int:
    """List the searches that were kept with `search --save-as`."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        searches = opened.catalog.knowledge.searches.all()
    content = {
        "searches": [
            {"name": each.name, "k": each.k, "query": dict(each.query)} for each in searches
        ]
    }
    rows = [(each.name, each.k, str(dict(each.query))) for each in searches]
    show_result(as_json, content, lambda: show_table(("name", "hits", "query"), rows))
    return 0


@saved.command(
    "show",
    context_settings=SETTINGS,
    epilog=examples("lookalike saved show photos.lookalike beach --json"),
)
def show(collection: CollectionPath, name: Name, as_json: Json = False) -> int:
    """Show one search as JSON knows it."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        found = opened.catalog.knowledge.searches.open(name)
    content = {"name": found.name, "k": found.k, "query": dict(found.query)}
    rows = [(key, str(value)) for key, value in content.items()]
    show_result(as_json, content, lambda: show_table(("", ""), rows))
    return 0


@saved.command(
    "run",
    context_settings=SETTINGS,
    epilog=examples("lookalike saved run photos.lookalike beach -k 20"),
)
def run(
    collection: CollectionPath,
    name: Name,
    k: Annotated[
        int | None,
        option("-k", min=1, max=LARGEST_RANK, show_default="as kept", help="Number of hits."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Ask a search again; new pictures are found too."""
    from lookalike.asking.saved import run_saved  # noqa: PLC0415
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        found = run_saved(opened, name, k)
    show_result(as_json, found, lambda: show_hits(found))
    return 0


@saved.command(
    "delete",
    context_settings=SETTINGS,
    epilog=examples("lookalike saved delete photos.lookalike beach"),
)
def delete(collection: CollectionPath, name: Name, as_json: Json = False) -> int:
    """Forget a search."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection, writable=True) as opened:
        opened.catalog.knowledge.searches.delete(name)
    show_result(as_json, {"deleted": name}, lambda: say(f"{name} is forgotten"))
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike combine photos.lookalike 'saved:beach minus saved:dogs'",
        "lookalike combine photos.lookalike '(saved:a or saved:b) and hits.json'",
    ),
)
def combine(
    collection: CollectionPath,
    expression: Annotated[
        str, typer.Argument(metavar="EXPRESSION", help="saved:NAME and files, joined.")
    ],
    k: Annotated[
        int | None, option("-k", min=1, show_default="all", help="Number of hits.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Join results by `and`, `or` and `minus`; see docs/knowledge.md.

    Of two scores a picture keeps the larger with `or` and the smaller with `and`.
    """
    from lookalike.asking.saved import combine as join  # noqa: PLC0415
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        found = join(opened, expression, k)
    show_result(as_json, found, lambda: show_hits(found))
    if found["gone"] and not as_json:
        say(f"{found['gone']} more pictures are no longer in the collection")
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike export photos.lookalike --to paths --saved beach",
        "lookalike export photos.lookalike --saved beach --to zip --out beach.zip",
        "lookalike export photos.lookalike --to npy --out embeddings.npy",
    ),
)
def export(
    collection: CollectionPath,
    to: Annotated[
        Literal["paths", "csv", "json", "zip", "npy", "parquet"],
        option("--to", help="Lists, originals (zip), or embeddings (npy, parquet)."),
    ],
    out: Annotated[
        Path | None, option("--out", show_default="standard output", help="File to write.")
    ] = None,
    result: Annotated[
        Path | None, option("--from", help="Only the hits in this JSON of a search.")
    ] = None,
    search: Annotated[
        str | None, option("--saved", metavar="NAME", help="Only what a saved search finds.")
    ] = None,
    ids: Annotated[list[int], option("--id", help="Only this picture; repeatable.")] = [],  # noqa: B006
    descriptor: Annotated[str, option("--descriptor", help="Whose embeddings.")] = "content",
    null: Annotated[bool, option("--null", help="End paths with a zero byte.")] = False,
    as_json: Json = False,
) -> int:
    """Hand pictures to other programs: lists of them, originals, or embeddings."""
    from lookalike.asking.saved import select_for_export  # noqa: PLC0415
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.knowing.exporting import export as write  # noqa: PLC0415

    if out is None and as_json:
        raise UsageError("--json tells what was written; name a file with --out")
    with Collection.open(collection) as opened:
        selected = select_for_export(opened, result=result, saved=search, ids=ids)
        report = write(
            opened,
            selected,
            to,
            write_bytes if out is None else out,
            descriptor=descriptor,
            is_null=null,
            progress=Bars(),
        )
    for _, path, reason in report.missing[:MOST_SHOWN]:
        say(f"missing: {path}: {reason}")
    if out is not None:
        show_result(
            as_json,
            report.to_json(),
            lambda: say(f"{report.pictures - len(report.missing)} pictures in {out}"),
        )
    return SOME_FAILED if report.missing else 0
