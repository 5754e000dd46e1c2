"""The commands that show a collection without a query: clusters, a map, subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

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
    from lookalike.collection import Collection  # noqa: PLC0415
    from lookalike.knowing.browsing import draw_clusters  # noqa: PLC0415 - keeps --help fast
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


@app.command(
    "map",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike map photos.lookalike --sheet map.png",
        "lookalike map photos.lookalike --descriptor layout --sheet layout.png",
        "lookalike map photos.lookalike --json   (places of all pictures)",
    ),
)
def map_(
    collection: CollectionPath,
    descriptor: Annotated[
        str | None,
        option("--descriptor", show_default="content", help="What is compared."),
    ] = None,
    name: Annotated[
        str | None,
        option("--name", show_default="the descriptor's", help="Under which it is kept."),
    ] = None,
    anew: Annotated[bool, option("--anew", help="Make a map anew that is there already.")] = False,
    sheet: Annotated[Path | None, option("--sheet", help="Draw it into this PNG file.")] = None,
    cells: Annotated[
        int | None,
        option("--cells", min=2, max=150, show_default="by size", help="Across and down."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Lay the pictures of a collection on a plane, alike ones beside each other.

    A map that is there already is kept; new pictures are placed and move no other.
    """
    from lookalike.collection import Collection  # noqa: PLC0415
    from lookalike.knowing.browsing import draw_map  # noqa: PLC0415 - keeps --help fast
    from lookalike.search import maps  # noqa: PLC0415

    bars = Bars()
    with Collection.open(collection, writable=True) as opened:
        catalog, kept = opened.catalog, opened.catalog.knowledge.maps
        name = name or descriptor or "content"
        if anew or name not in kept.names():
            maps.make_map(catalog, name, descriptor or "content", seed=seed, progress=bars)
        elif descriptor not in (None, kept.facts(name)[0]):
            raise UsageError(
                f"the map {name!r} is there already, of {kept.facts(name)[0]}; "
                "give --anew to replace it, or another --name"
            )
        else:
            maps.place_new(catalog, name, progress=bars)
        if sheet is not None:
            draw_map(opened, name, sheet, cells=cells)
        of, facts = kept.facts(name)
        held = kept.points(name)
    content = {
        "name": name,
        "descriptor": of,
        **facts,
        "points": [
            {"id": image_id, "x": x, "y": y, "fixed": fixed}
            for image_id, (x, y), fixed in zip(
                held.ids.tolist(), held.points.tolist(), held.is_fixed.tolist(), strict=True
            )
        ],
    }
    show_result(as_json, content, lambda: _show_map(content))
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike subjects photos.lookalike",
        "lookalike subjects photos.lookalike animal -k 20",
        "lookalike subjects photos.lookalike --tree subjects.txt",
        "lookalike subjects photos.lookalike --place zebra=animal --propose",
    ),
)
def subjects(
    collection: CollectionPath,
    subject: Annotated[
        str | None, typer.Argument(metavar="[SUBJECT]", help="Look beneath this one.")
    ] = None,
    tree: Annotated[
        Path | None, option("--tree", help="Keep the tree of this file: indented lines or JSON.")
    ] = None,
    place: Annotated[
        list[str], option("--place", metavar="LABEL=SUBJECT", help="Put a label beneath another.")
    ] = [],  # noqa: B006
    propose: Annotated[
        bool, option("--propose", help="Also propose places for labels that have none.")
    ] = False,
    only: Annotated[
        Path | None, option("--from", help="Count only the hits in this JSON of a search.")
    ] = None,
    k: Annotated[int, option("-k", min=0, help="Pictures of SUBJECT to list.")] = 10,
    at_least: Annotated[
        float, option("--at-least", min=0.01, max=1.0, help="Smallest probability of a label.")
    ] = 0.5,
    as_json: Json = False,
) -> int:
    """Browse a collection by subject: a tree over labels, with the number of pictures of each."""
    from lookalike.asking.saved import read_hits, read_text  # noqa: PLC0415
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.images.scanning import display_path  # noqa: PLC0415
    from lookalike.search import subjects as found  # noqa: PLC0415

    ids = None if only is None else read_hits(only).ids
    with Collection.open(collection, writable=bool(tree or place)) as opened:
        catalog = opened.catalog
        taxonomy = found.taxonomy_of(catalog)
        if tree is not None:
            taxonomy = found.Taxonomy.read(read_text(tree))
        for text in place:
            taxonomy = taxonomy.placed(*_read_place(text))
        if tree or place:
            catalog.knowledge.subjects.replace(taxonomy.nodes)
        facets, total = found.count_facets(catalog, taxonomy, subject, ids=ids, least=at_least)
        content: dict[str, Any] = {
            "subject": subject,
            "pictures": total,
            "children": [asdict(facet) for facet in facets],
            "tree": [{"name": name, "parent": parent} for name, parent in taxonomy.nodes],
        }
        if subject is not None:
            hits = found.pictures_of(catalog, taxonomy, subject, k, ids=ids, least=at_least)
            records = opened.images([image_id for image_id, _ in hits])
            content["hits"] = [
                {"id": r.id, "path": display_path(r.paths[0]), "score": probability}
                for r, (_, probability) in zip(records, hits, strict=True)
            ]
        if propose:
            content["proposals"] = [
                asdict(each) for each in found.propose_places(catalog, taxonomy, least=at_least)
            ]
    show_result(as_json, content, lambda: _show_subjects(content))
    return 0


def _read_place(text: str) -> tuple[str, str]:
    name, _, parent = text.partition("=")
    if not name.strip() or not parent.strip():
        raise UsageError(f"--place {text!r} is not LABEL=SUBJECT, such as zebra=animal")
    return name.strip(), parent.strip()


def _show_map(content: Mapping[str, Any]) -> None:
    trusted = content["trustworthiness"]
    show_table(
        ("", ""),
        [
            ("map", f"{content['name']} of {content['descriptor']}"),
            ("pictures", len(content["points"])),
            ("embedded together", content["together"]),
            ("trustworthiness of these", trusted["together"] or "too few to tell"),
            ("trustworthiness of all", trusted["all"] or "too few to tell"),
        ],
    )


def _show_subjects(content: Mapping[str, Any]) -> None:
    show_table(
        ("subject", "pictures", "beneath"),
        [(each["name"], each["pictures"], each["n_children"]) for each in content["children"]],
    )
    if content.get("hits"):
        show_table(
            ("id", "probability", "path"),
            [(hit["id"], hit["score"], hit["path"]) for hit in content["hits"]],
        )
    if "proposals" in content:
        show_table(
            ("label", "put beneath", "like", "similarity"),
            [
                (p["label"], p["parent"] or "?", p["like"] or "?", p["similarity"])
                for p in content["proposals"]
            ],
        )
    say(f"{content['pictures']} pictures of {content['subject'] or 'any subject'}")


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
