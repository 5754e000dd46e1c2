"""The commands that measure."""

from pathlib import Path
from typing import Annotated

from lookalike.cli.root import app, show_result
from lookalike.options import (
    SETTINGS,
    CollectionPath,
    Json,
    Level,
    Seed,
    Weights,
    examples,
    option,
    read_numbers,
    read_weights,
)
from lookalike.showing import show_measures
from lookalike.terminal import Bars


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
            at=read_numbers(at),
            weights=read_weights(weights),
            without=without,
            n_clusters=clusters,
            seed=seed,
            report=folder,
            progress=bars,
        )
    content = {**found.to_json(), "report": str(folder / "report.html")}
    show_result(as_json, content, lambda: show_measures({collection.name: found}, folder))
    return 0
