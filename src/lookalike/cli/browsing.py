"""The commands that show a collection without a query: clusters, a map, subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from lookalike.cli.root import app, show_result
from lookalike.errors import UsageError
from lookalike.options import (
    SETTINGS,
    CollectionPath,
    Json,
    Seed,
    examples,
    option,
    read_numbers,
)
from lookalike.terminal import Bars, say, show_table

MOST_CLUSTERS = 4096


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike clusters photos.lookalike",
        "lookalike clusters photos.lookalike -k 20 --name twenty --sheet clusters.png",
        "lookalike clusters photos.lookalike --sweep 5,10,20,40",
        "lookalike clusters photos.lookalike --tree --json",
    ),
)
def clusters(
    collection: CollectionPath,
    descriptor: Annotated[
        str | None,
        option("--descriptor", show_default="content", help="What is compared."),
    ] = None,
    k: Annotated[
        int | None, option("-k", min=1, max=MOST_CLUSTERS, show_default="chosen", help="Clusters.")
    ] = None,
    sweep: Annotated[
        str | None, option("--sweep", help="Only try these numbers of clusters: 5,10,20,40.")
    ] = None,
    name: Annotated[
        str | None,
        option("--name", show_default="the descriptor's", help="Under which they are kept."),
    ] = None,
    anew: Annotated[
        bool, option("--anew", help="Make clusters anew that are there already.")
    ] = False,
    tree: Annotated[bool, option("--tree", help="Also join clusters into a tree.")] = False,
    sheet: Annotated[
        Path | None, option("--sheet", help="Also draw the clusters into this PNG file.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Group the pictures of a collection by k-means, and keep the groups under a name.

    Groups that are there already are shown; new pictures join the nearest.
    """
    from lookalike.browsing import draw_clusters  # noqa: PLC0415 - keeps --help fast
    from lookalike.collection import Collection  # noqa: PLC0415
    from lookalike.search import clusters as found  # noqa: PLC0415

    bars = Bars()
    if sweep is not None:
        numbers = read_numbers(sweep, "--sweep", least=2, most=MOST_CLUSTERS)
        with Collection.open(collection) as opened:
            rows = found.sweep(
                opened.catalog, descriptor or "content", numbers, seed=seed, progress=bars
            )
        show_result(as_json, {"sweep": [asdict(row) for row in rows]}, lambda: _show_sweep(rows))
        return 0
    with Collection.open(collection, writable=True) as opened:
        catalog, kept = opened.catalog, opened.catalog.knowledge.clusterings
        name = name or descriptor or "content"
        if anew or name not in kept.names():
            found.make_clusters(catalog, name, descriptor or "content", k, seed=seed, progress=bars)
        else:
            _check_same(kept.open(name).facts, kept.open(name).descriptor, name, k, descriptor)
            found.place_new(catalog, name)
        views = found.view_clusters(catalog, name)
        stored = found.open_clusters(catalog, name)
        content: dict[str, Any] = {
            "name": name,
            "descriptor": stored.descriptor,
            "k": len(stored.centers),
            "silhouette": stored.facts["silhouette"],
            "clusters": [view.to_json() for view in views],
        }
        if tree:
            content["tree"] = found.cluster_tree(stored, views)
        if sheet is not None:
            draw_clusters(opened, views, name, sheet)
    show_result(as_json, content, lambda: _show_clusters(content))
    return 0


def _check_same(
    facts: Mapping[str, Any], kept: str, name: str, k: int | None, descriptor: str | None
) -> None:
    if (k is not None and k != facts["k"]) or descriptor not in (None, kept):
        raise UsageError(
            f"the clusters {name!r} are there already, {facts['k']} of {kept}; "
            "give --anew to replace them, or another --name"
        )


def _show_sweep(rows: Sequence[Any]) -> None:
    show_table(
        ("clusters", "silhouette", "mean similarity", "largest", "smallest"),
        [(row.k, row.silhouette, row.similarity, row.largest, row.smallest) for row in rows],
    )


def _show_clusters(content: Mapping[str, Any]) -> None:
    rows = [
        (
            cluster["cluster"],
            cluster["size"],
            ", ".join(f"{n['label']} {n['share']:.0%}" for n in cluster["names"]),
            " ".join(map(str, cluster["nearest"][:5])),
        )
        for cluster in content["clusters"]
    ]
    show_table(("cluster", "pictures", "stands out", "nearest to the center"), rows)
    if "tree" in content:
        _show_tree(content["tree"], 0)
    say(f"{content['k']} clusters {content['name']!r} of {content['descriptor']}")


def _show_tree(node: Mapping[str, Any], depth: int) -> None:
    number = f"cluster {node['cluster']}" if "cluster" in node else f"at {node['distance']:.3f}"
    say(f"{'  ' * depth}{node['size']} pictures, {number}: {', '.join(node['names'])}")
    for child in node.get("children", ()):
        _show_tree(child, depth + 1)
