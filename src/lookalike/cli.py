"""The command line: one short function per command. Each parses, calls the library and shows."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from lookalike import __version__
from lookalike.errors import UsageError
from lookalike.options import (
    SETTINGS,
    CollectionPath,
    Json,
    Level,
    Seed,
    Weights,
    examples,
    more_than_nothing,
    option,
)
from lookalike.showing import (
    show_card,
    show_demo,
    show_hits,
    show_ingest,
    show_measures,
    show_problems,
    show_status,
)
from lookalike.terminal import Bars, show_json

SOME_FAILED: Final = 1

LARGEST_RANK: Final = 10_000
"""Nobody looks further; and so many hits of each query are kept."""

app = typer.Typer(
    help="Finds pictures by what is in them and where it is.",
    epilog="Every option is also read from the environment: LOOKALIKE_K=3, LOOKALIKE_JSON=1.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _global(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"lookalike {__version__}\n")
        raise typer.Exit


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike index photos.lookalike ~/Pictures --model my-model",
        "lookalike index photos.lookalike ~/Pictures   (again: what is new or changed)",
        "lookalike index gallery.lookalike 'coco#test' --model my-model",
    ),
)
def index(
    collection: CollectionPath,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Folders, files or data sets.")
    ],
    model: Annotated[
        Path | None, option("--model", help="Model folder; needed for a new collection.")
    ] = None,
    workers: Annotated[
        int | None,
        option("--workers", min=0, show_default="all cores", help="Decoding processes."),
    ] = None,
    kind: Annotated[
        Literal["auto", "exact", "pq", "clusters"],
        option("--index", help="Kind of index; clusters are k-means lists."),
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
    remove_missing: Annotated[
        bool, option("--remove-missing", help="Forget the pictures of folders now empty.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Bring a collection up to date with folders; makes it if it is new.

    Files are read, never changed. Each ends as indexed, failed or skipped, with the reason.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.images.decoding import DecodeLimits  # noqa: PLC0415

    limits = DecodeLimits(
        max_bytes=int(more_than_nothing("--max-megabytes", max_megabytes) * 2**20),
        max_pixels=int(more_than_nothing("--max-megapixels", max_megapixels) * 1_000_000),
    )
    with Collection.open_or_create(collection, model=model) as opened:
        report = opened.add(
            *sources,
            workers=workers,
            limits=limits,
            seconds_per_file=more_than_nothing("--seconds-per-file", seconds_per_file),
            remove_missing=remove_missing,
            kind=kind,
            recall_target=recall,
            progress=Bars(),
        )
    _show(as_json, report.to_json(), lambda: show_ingest(report))
    return SOME_FAILED if report.failed else 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike search photos.lookalike --image holiday.jpg",
        "lookalike search photos.lookalike --id 17 --id 42 --not-id 5 -k 20",
        "lookalike search photos.lookalike --image plan.png --weight layout=3",
        "lookalike search photos.lookalike --id 17 --sheet hits.png",
    ),
)
def search(
    collection: CollectionPath,
    images: Annotated[
        list[Path], option("--image", help="Find pictures like this file; repeatable.")
    ] = [],  # noqa: B006 - read only, and Typer wants a list
    ids: Annotated[
        list[int], option("--id", help="Find pictures like this one of the collection.")
    ] = [],  # noqa: B006
    not_images: Annotated[list[Path], option("--not-image", help="… and unlike this file.")] = [],  # noqa: B006
    not_ids: Annotated[
        list[int], option("--not-id", help="… and unlike this one of the collection.")
    ] = [],  # noqa: B006
    weights: Weights = [],  # noqa: B006
    k: Annotated[int, option("-k", help="Number of hits.")] = 10,
    order: Annotated[
        Literal["ranked", "list"],
        option("--order", help="list: cluster by cluster, as published."),
    ] = "ranked",
    sheet: Annotated[
        Path | None, option("--sheet", help="Also draw the hits into this PNG file.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find the pictures of a collection that are most like the given ones.

    A score says how rare such a similarity is: 3 stands for one random pair in a thousand.
    """
    from lookalike.asking import answer, draw_answer, make_query  # noqa: PLC0415 - --help is fast
    from lookalike.collection import Collection  # noqa: PLC0415

    query = make_query(images, ids, not_images, not_ids, _weights(weights), order)
    with Collection.open(collection) as opened:
        found = answer(opened, query, k)
        if sheet is not None:
            draw_answer(opened, query, found, sheet)
    _show(as_json, found, lambda: show_hits(found))
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike evaluate gallery.lookalike --dataset 'coco#test'",
        "lookalike evaluate gallery.lookalike --dataset coco --without person --at 1,10",
        "lookalike evaluate gallery.lookalike --dataset scenes:600:2 --weight layout=0",
    ),
)
def evaluate(
    collection: CollectionPath,
    dataset: Annotated[str, option("--dataset", help="Labeled pictures; see docs/datasets.md.")],
    queries: Annotated[
        int | None, option("--queries", show_default="all", help="Pictures to ask with.")
    ] = None,
    at: Annotated[str, option("--at", help="Numbers of hits at which is measured.")] = "2,5,8,10",
    without: Annotated[
        list[str], option("--without", help="A class that shall not count; repeatable.")
    ] = [],  # noqa: B006
    clusters: Annotated[
        int, option("--clusters", help="k-means clusters for the clustering measure.")
    ] = 20,
    weights: Weights = [],  # noqa: B006
    level: Level = "names",
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        option("--out", show_default="COLLECTION-evaluation", help="Folder of the report."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Measure how well a collection answers, against a labeled data set that it holds.

    Every query is a picture of the collection, searched among all others. Writes a report.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.datasets import open_dataset  # noqa: PLC0415
    from lookalike.judging import judge  # noqa: PLC0415

    folder = out or collection.absolute().with_name(f"{collection.absolute().stem}-evaluation")
    bars = Bars()
    with Collection.open(collection) as opened:
        found = judge(
            opened,
            open_dataset(dataset, level=level, progress=bars),
            n_queries=queries,
            at=_numbers(at),
            weights=_weights(weights),
            without=without,
            n_clusters=clusters,
            seed=seed,
            report=folder,
            progress=bars,
        )
    content = {**found.to_json(), "report": str(folder / "report.html")}
    _show(as_json, content, lambda: show_measures({collection.name: found}, folder))
    return 0


@app.command(context_settings=SETTINGS, epilog=examples("lookalike status photos.lookalike"))
def status(collection: CollectionPath, as_json: Json = False) -> int:
    """Show what a collection holds and how accurate its indexes were measured to be."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        content = opened.status()
    _show(as_json, content, lambda: show_status(content))
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
    _show(as_json, {"clean": report.is_clean, **asdict(report)}, lambda: show_problems(report))
    return 0 if report.is_clean else SOME_FAILED


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike learn scenes:2000:7 --out scenes-model",
        "lookalike learn 'coco#train' --level supercategories --out coco-model",
        "lookalike learn photos --out plain-model --code-weight 0   (no self-encoding)",
        "lookalike learn coco --out coco-model --resume   (after an interruption)",
    ),
)
def learn(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Labeled pictures.")],
    out: Annotated[Path, option("--out", metavar="MODEL", help="Model folder to write.")],
    validate: Annotated[
        str | None, option("--validate", show_default="a tenth", help="Pictures to measure on.")
    ] = None,
    backbone: Annotated[
        Literal["residual"], option("--backbone", help="The network.")
    ] = "residual",
    self_encoder: Annotated[
        Literal["convolutional", "dense"],
        option("--self-encoder", help="Kind of self-encoder; dense as published."),
    ] = "convolutional",
    map_input: Annotated[
        Literal["embedding", "one-hot"],
        option("--map-input", help="How a class enters the self-encoder."),
    ] = "embedding",
    code_weight: Annotated[
        float, option("--code-weight", help="λ, weight of the code; 0: no self-encoding.")
    ] = 1.0,
    code_dim: Annotated[int, option("--code-dim", help="Length of the layout code.")] = 128,
    epochs: Annotated[
        int | None, option("--epochs", show_default="by size", help="Passes over the pictures.")
    ] = None,
    self_encoder_epochs: Annotated[
        int | None,
        option("--self-encoder-epochs", show_default="by size", help="Passes over label maps."),
    ] = None,
    image_size: Annotated[int, option("--image-size", help="Pixels of the network's input.")] = 96,
    batch_size: Annotated[int, option("--batch-size", help="Pictures per step.")] = 64,
    learning_rate: Annotated[float, option("--learning-rate", help="Largest of the run.")] = 2e-3,
    level: Level = "names",
    seed: Seed = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], option("--device", help="Where to compute.")
    ] = "auto",
    resume: Annotated[bool, option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Json = False,
) -> int:
    """Learn features from labeled pictures by image self-encoding, and write a model folder."""
    from lookalike.datasets import open_dataset  # noqa: PLC0415 - keeps --help fast
    from lookalike.learning import recipes  # noqa: PLC0415

    recipe = recipes.Recipe(
        image_size=image_size,
        code_dim=code_dim,
        backbone=backbone,
        self_encoder=self_encoder,
        map_input=map_input,
        code_weight=code_weight,
        epochs=epochs,
        self_encoder_epochs=self_encoder_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
    )
    bars = Bars()
    pictures = open_dataset(dataset, level=level, progress=bars)
    held_out = open_dataset(validate, level=level, progress=bars) if validate else None
    card = recipes.learn(pictures, out, recipe, validate=held_out, resume=resume, progress=bars)
    _show(
        as_json,
        {"model": card.id, "folder": str(out), "measured": dict(card.measured)},
        lambda: show_card(card, out),
    )
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples("lookalike demo --quick", "lookalike demo --out demo"),
)
def demo(
    out: Annotated[Path, option("--out", help="Folder for everything it makes.")] = Path(
        "lookalike-demo"
    ),
    quick: Annotated[bool, option("--quick", help="A small version, in 90 seconds.")] = False,
    serve: Annotated[
        bool, option("--serve/--no-serve", help="Open the report in the browser when done.")
    ] = True,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Show the whole idea on generated scenes: learn with and without self-encoding, compare."""
    from lookalike.demo import run_demo  # noqa: PLC0415 - keeps --help fast

    result = run_demo(out, quick=quick, seed=seed, progress=Bars())
    _show(as_json, result.to_json(), lambda: show_demo(result))
    if serve and not as_json and sys.stdout.isatty():
        typer.launch(str(result.report))
    return 0


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
    if max(numbers) > LARGEST_RANK:
        raise UsageError(f"--at {text!r} contains a number above {LARGEST_RANK}; give smaller ones")
    return numbers


def _show(as_json: bool, content: Mapping[str, Any], show: Callable[[], None]) -> None:
    if as_json:
        show_json(content)
    else:
        show()
