"""The command line: one short function per command. Each parses, calls the library and shows."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.exceptions import TyperException

from lookalike import __version__
from lookalike.errors import EnvironmentFault, LookalikeError, UsageError
from lookalike.terminal import Bars, say, show_error, show_json, show_table

SOME_FAILED: Final = 1
INTERRUPTED: Final = 130

app = typer.Typer(
    help="Finds pictures by what is in them and where it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

# Every option can also be given in the environment: --image-size as LOOKALIKE_IMAGE_SIZE.
SETTINGS: Final = {"auto_envvar_prefix": "LOOKALIKE", "help_option_names": ["-h", "--help"]}

CollectionPath = Annotated[Path, typer.Argument(metavar="COLLECTION", help="Folder of the collection.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn at random.")]
Level = Annotated[
    str, typer.Option("--level", help="COCO classes by their 'names' or their 'supercategories'.")
]
Weights = Annotated[
    list[str],
    typer.Option("--weight", metavar="NAME=VALUE", help="Weight of a descriptor: content=2, layout=0."),
]


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in lines)


@app.callback(invoke_without_command=True)
def _global(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"lookalike {__version__}\n")
        raise typer.Exit


@app.command(
    context_settings=SETTINGS,
    epilog=_examples(
        "lookalike index photos.lookalike ~/Pictures --model my-model",
        "lookalike index photos.lookalike ~/Pictures        (again: only what is new or changed)",
        "lookalike index gallery.lookalike 'coco#test' --model my-model",
    ),
)
def index(
    collection: CollectionPath,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Folders, files or data sets.")
    ],
    model: Annotated[
        Path | None, typer.Option("--model", help="Model folder; needed for a new collection.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Decoding processes. [default: all cores]")
    ] = None,
    kind: Annotated[
        str, typer.Option("--index", help="auto, exact, pq or clusters (k-means lists).")
    ] = "auto",
    recall: Annotated[
        float, typer.Option("--recall", help="Share of true neighbors an index must find.")
    ] = 0.98,
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", help="Larger pictures are refused.")
    ] = 64.0,
    max_megabytes: Annotated[
        float, typer.Option("--max-megabytes", help="Larger files are refused.")
    ] = 256.0,
    seconds_per_file: Annotated[
        float, typer.Option("--seconds-per-file", help="Longest time to decode one, tried twice.")
    ] = 2.4,
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="Forget the pictures of folders now empty.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Bring a collection up to date with folders; makes it if it is new.

    Files are read and never changed. Every file ends as indexed, failed or skipped, with the reason.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.images.decoding import DecodeLimits  # noqa: PLC0415

    limits = DecodeLimits(int(max_megabytes * 2**20), int(max_megapixels * 1_000_000))
    with Collection.open_or_create(collection, model=model) as opened:
        report = opened.add(
            *sources,
            workers=workers,
            limits=limits,
            seconds_per_file=seconds_per_file,
            remove_missing=remove_missing,
            kind=kind,
            recall_target=recall,
            progress=Bars(),
        )
    _show(as_json, report.to_json(), lambda: _show_ingest(report.to_json()))
    return SOME_FAILED if report.failed else 0


def _show_ingest(report: Mapping[str, Any]) -> None:
    troubles = [("failed", t) for t in report["failed"]] + [("skipped", t) for t in report["skipped"]]
    for kind, trouble in troubles[:20]:
        say(f"{kind}: {trouble['path']}: {trouble['reason']}")
    if len(troubles) > 20:
        say(f"… and {len(troubles) - 20} more; --json lists all")
    say(
        f"{report['indexed']} indexed, {report['unchanged']} unchanged, {report['removed']} removed, "
        f"{len(report['failed'])} failed, {len(report['skipped'])} skipped "
        f"in {report['seconds']:.1f} s"
    )


@app.command(
    context_settings=SETTINGS,
    epilog=_examples(
        "lookalike search photos.lookalike --image holiday.jpg",
        "lookalike search photos.lookalike --id 17 --id 42 --not-id 5 -k 20",
        "lookalike search photos.lookalike --image plan.png --weight layout=3 --sheet hits.png",
    ),
)
def search(
    collection: CollectionPath,
    images: Annotated[
        list[Path], typer.Option("--image", help="Find pictures like this file; repeatable.")
    ] = [],  # noqa: B006 - read only, and Typer wants a list
    ids: Annotated[
        list[int], typer.Option("--id", help="Find pictures like this one of the collection.")
    ] = [],  # noqa: B006
    not_images: Annotated[
        list[Path], typer.Option("--not-image", help="… and unlike this file.")
    ] = [],  # noqa: B006
    not_ids: Annotated[
        list[int], typer.Option("--not-id", help="… and unlike this one of the collection.")
    ] = [],  # noqa: B006
    weights: Weights = [],  # noqa: B006
    k: Annotated[int, typer.Option("-k", help="Number of hits.")] = 10,
    order: Annotated[
        str, typer.Option("--order", help="ranked, or list (as published: cluster by cluster).")
    ] = "ranked",
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Also draw the hits into this PNG file.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find the pictures of a collection that are most like the given ones.

    The score says how rare such a similarity is in this collection: 3 means that one random pair of
    pictures in a thousand is as similar.
    """
    from lookalike.asking import draw_sheet, found, make_query  # noqa: PLC0415 - keeps --help fast
    from lookalike.collection import Collection  # noqa: PLC0415

    query = make_query(images, ids, not_images, not_ids, _weights(weights), order)
    with Collection.open(collection) as opened:
        answer = found(opened, query, k)
        if sheet is not None:
            draw_sheet(opened, query, answer, sheet)
    _show(as_json, answer, lambda: _show_hits(answer))
    return 0


def _show_hits(answer: Mapping[str, Any]) -> None:
    names = list(answer["hits"][0]["scores"]) if answer["hits"] else []
    rows = [
        (hit["rank"], hit["id"], hit["score"], *(hit["scores"][n] for n in names), hit["path"])
        for hit in answer["hits"]
    ]
    show_table(("rank", "id", "score", *names, "path"), rows)


def _weights(texts: Sequence[str]) -> dict[str, float] | None:
    """Read `content=2` and `layout=0.5` into a mapping; nothing given is `None`."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f"--weight {text!r} is not NAME=VALUE, such as content=2") from None
    return weights or None


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--at {text!r} is no list of numbers, such as 2,5,8,10") from None
    if min(numbers) < 1:
        raise UsageError(f"--at {text!r} contains a number below 1; ranks are counted from 1")
    return numbers


def _show(as_json: bool, content: Mapping[str, Any], show: Callable[[], None]) -> None:
    if as_json:
        show_json(content)
    else:
        show()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run(words))


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _run(words: list[str]) -> int:
    try:
        return int(app(words, prog_name="lookalike", standalone_mode=False) or 0)
    except TyperException as error:
        return _fail(error.format_message(), error.exit_code, words)
    except LookalikeError as error:
        return _fail(str(error), error.exit_code, words)
    except BrokenPipeError:
        # The reader of our output has gone, as in `… | head`; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror}", 3, words)
    except MemoryError:
        return _fail("the machine has no memory left for this", EnvironmentFault.exit_code, words)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; run the same command again to go on", INTERRUPTED, words)


def _fail(message: str, code: int, words: Sequence[str]) -> int:
    if "--json" in words:
        show_json({"error": message, "exit_code": code})
    show_error(message)
    return code
