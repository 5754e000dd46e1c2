"""The commands that measure."""

from pathlib import Path
from typing import Annotated, Literal

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
from lookalike.showing import show_measures, show_reproduction
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


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike reproduce --quick",
        "lookalike reproduce --out paper --seeds 1,2,3   (again: what is missing)",
        "lookalike reproduce --dataset coco --level supercategories --out coco-paper",
        "lookalike reproduce --only figure3,table1 --device cuda",
    ),
)
def reproduce(
    dataset: Annotated[
        str | None,
        option("--dataset", show_default="scenes", help="Labeled pictures instead of scenes."),
    ] = None,
    gallery: Annotated[
        str | None,
        option("--gallery", show_default="a third", help="Labeled pictures to judge by."),
    ] = None,
    out: Annotated[Path, option("--out", help="Folder for everything it makes.")] = Path(
        "lookalike-reproduction"
    ),
    quick: Annotated[bool, option("--quick", help="A small version, in minutes.")] = False,
    seeds: Annotated[
        str | None,
        option("--seeds", show_default="1,2,3; quick: 1", help="Each model once with each."),
    ] = None,
    only: Annotated[
        str | None,
        option("--only", show_default="all", help="Parts: figure3,table1,figure4,table2,…"),
    ] = None,
    scenes: Annotated[
        int | None, option("--scenes", show_default="1000; quick: 400", help="To learn from.")
    ] = None,
    epochs: Annotated[
        int | None,
        option("--epochs", show_default="7; quick: 4", help="Passes over the pictures."),
    ] = None,
    self_encoder_epochs: Annotated[
        int | None,
        option(
            "--self-encoder-epochs", show_default="12; quick: 6", help="Passes over label maps."
        ),
    ] = None,
    image_size: Annotated[int, option("--image-size", help="Pixels of the networks' input.")] = 64,
    queries: Annotated[
        int | None, option("--queries", show_default="400; quick: 150", help="Of each ranking.")
    ] = None,
    level: Level = "names",
    without: Annotated[
        list[str], option("--without", help="A class that shall not count; repeatable.")
    ] = [],  # noqa: B006
    device: Annotated[
        Literal["auto", "cpu", "cuda"], option("--device", help="Where to compute.")
    ] = "auto",
    as_json: Json = False,
) -> int:
    """Repeat the experiments of the paper that the method comes from, and write a report.

    Every result is kept when it is found: the same command goes on where it was stopped.
    """
    from lookalike.reproduction import (  # noqa: PLC0415 - keeps --help fast
        full_plan,
        quick_plan,
        reproduce,
    )

    given = {
        "dataset": dataset,
        "gallery": gallery,
        "seeds": read_numbers(seeds, "--seeds", least=0) if seeds is not None else None,
        "sections": tuple(only.split(",")) if only is not None else None,
        "n_scenes": scenes,
        "epochs": epochs,
        "self_encoder_epochs": self_encoder_epochs,
        "image_size": image_size,
        "n_queries": queries,
        "level": level,
        "without": tuple(without),
        "device": device,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    plan = quick_plan(**changes) if quick else full_plan(**changes)
    result = reproduce(out, plan, progress=Bars())
    show_result(as_json, result.to_json(), lambda: show_reproduction(result))
    return 0
