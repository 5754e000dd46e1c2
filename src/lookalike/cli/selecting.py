"""The command that shrinks collections."""

from pathlib import Path
from typing import Annotated

from lookalike.cli.root import app, show_result
from lookalike.errors import UsageError
from lookalike.features.selection.names import Aggregate, Method
from lookalike.options import SETTINGS, CollectionPath, Json, Level, Seed, examples, option
from lookalike.showing import show_selection
from lookalike.terminal import Bars


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike select photos.lookalike --dataset coco --method mrmr --dims 64",
        "lookalike select photos.lookalike --method pca --dims 64   (needs no labels)",
        "lookalike select photos.lookalike --method pca --dims 64 --in-place",
    ),
)
def select(
    collection: CollectionPath,
    method: Annotated[Method, option("--method", help="How to choose; see docs/selection.md.")],
    dims: Annotated[int, option("--dims", help="Dimensions to keep of `content`.")],
    dataset: Annotated[
        str | None,
        option("--dataset", help="Labeled pictures to choose by and to measure on."),
    ] = None,
    aggregate: Annotated[
        Aggregate | None,
        option("--aggregate", show_default="mean", help="Joins the scores of all labels."),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", show_default="COLLECTION-METHOD-DIMS", help="Collection to make."),
    ] = None,
    in_place: Annotated[
        bool, option("--in-place", help="Shrink COLLECTION itself; what is dropped is lost.")
    ] = False,
    level: Level = "names",
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Shrink a collection's `content` to its best dimensions; tell what it costs and saves.

    Two thirds of the labeled pictures choose, the others measure.
    """
    from lookalike.datasets import open_dataset  # noqa: PLC0415 - keeps --help fast
    from lookalike.selecting import select as shrink  # noqa: PLC0415

    if in_place and out is not None:
        raise UsageError("--out and --in-place exclude each other; give one of them")
    bars = Bars()
    report = shrink(
        collection,
        method,
        dims,
        out=None if in_place else out or _beside(collection, f"{method}-{dims}"),
        dataset=open_dataset(dataset, level=level, progress=bars) if dataset else None,
        how=aggregate,
        seed=seed,
        progress=bars,
    )
    show_result(as_json, report.to_json(), lambda: show_selection(report))
    return 0


def _beside(collection: Path, ending: str) -> Path:
    place = collection.absolute()
    return place.with_name(f"{place.stem}-{ending}{place.suffix}")
