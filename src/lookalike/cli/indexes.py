"""The command that compares kinds of index."""

from pathlib import Path
from typing import Annotated

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, CollectionPath, Json, Seed, examples, option
from lookalike.showing import show_indexes
from lookalike.terminal import Bars


@app.command(
    "compare-indexes",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike compare-indexes photos.lookalike",
        "lookalike compare-indexes photos.lookalike --descriptor layout --queries 500",
    ),
)
def compare_indexes(
    collection: CollectionPath,
    descriptor: Annotated[str, option("--descriptor", help="Whose embeddings.")] = "content",
    queries: Annotated[int, option("--queries", help="Images that are searched for.")] = 200,
    images: Annotated[
        int, option("--images", help="Images drawn from the collection, held in memory.")
    ] = 20_000,
    runs: Annotated[int, option("--runs", help="Times that each query is timed.")] = 3,
    out: Annotated[
        Path | None,
        option("--out", show_default="COLLECTION-indexes", help="Folder of the report."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Compare kinds of index on a collection's embeddings: recall, time, memory, building.

    KD-trees, k-means tree, locality-sensitive hashing, PQ, IVF and HNSW beside exact search.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.comparing_indexes import compare_indexes as compare  # noqa: PLC0415
    from lookalike.evaluation.index_report import (  # noqa: PLC0415
        make_folder,
        write_index_report,
    )

    place = collection.absolute()
    folder = out or place.with_name(f"{place.stem}-indexes")
    with Collection.open(collection) as opened:
        make_folder(folder)
        compared = compare(
            opened,
            descriptor,
            n_queries=queries,
            n_images=images,
            runs=runs,
            seed=seed,
            progress=Bars(),
        )
    report = write_index_report(folder, compared, title=f"Indexes of {place.name}: {descriptor}")
    content = {**compared.to_json(), "report": str(report)}
    show_result(as_json, content, lambda: show_indexes(compared, report))
    return 0
