"""The commands by which a person says what pictures show, and lets it be said of all others."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lookalike.cli.root import app, show_result
from lookalike.errors import UsageError
from lookalike.options import SETTINGS, CollectionPath, Json, Seed, examples, option
from lookalike.terminal import Bars, say, show_table

label = typer.Typer(
    help="Say what pictures show, and let it be said of all others.",
    no_args_is_help=True,
    context_settings=SETTINGS,
    rich_markup_mode="rich",
)
app.add_typer(label, name="label")

Clustering = Annotated[
    str, option("--clusters", metavar="NAME", help="Name of the clusters; see `clusters`.")
]


@label.callback()
def _label() -> None:
    """Say what pictures show, and let it be said of all others."""


@label.command(
    "next",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike label next photos.lookalike --sheet next.png",
        "lookalike label next photos.lookalike --check 20   (pictures to calibrate by)",
    ),
)
def next_(
    collection: CollectionPath,
    clusters: Clustering = "content",
    n: Annotated[int, option("-n", min=1, max=100, help="Clusters to propose.")] = 3,
    exemplars: Annotated[
        int, option("--exemplars", min=1, max=100, help="Pictures of each to look at.")
    ] = 8,
    check: Annotated[
        int, option("--check", min=0, max=10_000, help="Propose so many pictures, at random.")
    ] = 0,
    sheet: Annotated[
        Path | None, option("--sheet", help="Also draw what is proposed into this PNG file.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Propose what to label next: the clusters that would tell most."""
    from lookalike.collection import Collection  # noqa: PLC0415
    from lookalike.knowing.browsing import draw_proposals  # noqa: PLC0415 - keeps --help fast
    from lookalike.search.labeling import check_pictures, next_clusters  # noqa: PLC0415

    with Collection.open(collection) as opened:
        if check:
            ids = check_pictures(opened.catalog, check, seed).tolist()
            content: dict[str, Any] = {"check": ids}
            rows = {"to be checked": ids}
        else:
            found = next_clusters(opened.catalog, clusters, n, n_exemplars=exemplars)
            content = {"clusters": [_cluster(each) for each in found]}
            rows = {f"cluster {each.cluster}": list(each.exemplars) for each in found}
        if sheet is not None:
            draw_proposals(opened, rows, sheet)
    show_result(as_json, content, lambda: _show_proposals(content))
    return 0


@label.command(
    "add",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike label add photos.lookalike beach sea --cluster 3 --not-id 17",
        "lookalike label add photos.lookalike beach --id 4 --id 9",
    ),
)
def add(
    collection: CollectionPath,
    words: Annotated[
        list[str], typer.Argument(metavar="LABEL…", help="All that the pictures show.")
    ],
    cluster: Annotated[
        int | None, option("--cluster", min=0, help="The pictures that `next` shows of it.")
    ] = None,
    ids: Annotated[list[int], option("--id", help="A picture that shows it.")] = [],  # noqa: B006
    not_ids: Annotated[list[int], option("--not-id", help="A picture that does not.")] = [],  # noqa: B006
    clusters: Clustering = "content",
    exemplars: Annotated[
        int, option("--exemplars", min=1, max=100, help="Pictures of the cluster that are meant.")
    ] = 8,
    as_json: Json = False,
) -> int:
    """Give pictures labels: those of a cluster that `next` shows, or single ones.

    Pictures that have been labeled are passed over the next time that `--cluster` is given.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.search.labeling import next_exemplars  # noqa: PLC0415
    from lookalike.storage.annotations import Statement  # noqa: PLC0415

    if cluster is None and not ids and not not_ids:
        raise UsageError("nothing is labeled; give --cluster, --id or --not-id")
    if both := sorted(set(ids) & set(not_ids)):
        raise UsageError(f"image {both[0]} is given by --id and by --not-id; give it once")
    with Collection.open(collection, writable=True) as opened:
        meant = list(ids)
        if cluster is not None:
            meant += next_exemplars(opened.catalog, clusters, cluster, exemplars).tolist()
        holds = dict.fromkeys(meant, True) | dict.fromkeys(not_ids, False)
        detail = {"labels": words, "cluster": cluster, "clusters": clusters}
        statements = [
            Statement(image_id, word, said) for image_id, said in holds.items() for word in words
        ]
        action = opened.catalog.knowledge.annotations.add("label", detail, statements)
    shown = [image_id for image_id, said in holds.items() if said]
    content = {
        "action": action,
        "labels": words,
        "ids": shown,
        "not_ids": [image_id for image_id, said in holds.items() if not said],
    }
    show_result(
        as_json,
        content,
        lambda: say(f"{', '.join(words)}: {len(shown)} pictures, not {len(holds) - len(shown)}"),
    )
    return 0


@label.command(
    "check",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike label check photos.lookalike 17 beach sun",
        "lookalike label check photos.lookalike 18   (shows nothing that has a label)",
    ),
)
def check(
    collection: CollectionPath,
    image: Annotated[int, typer.Argument(metavar="ID", help="A picture.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[LABEL]…", help="All that it shows.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Name everything that a picture shows; by such pictures probabilities are calibrated."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.storage.annotations import Statement  # noqa: PLC0415

    shown = list(dict.fromkeys(words or []))
    with Collection.open(collection, writable=True) as opened:
        annotations = opened.catalog.knowledge.annotations
        known = {s.label for s in annotations.statements()}
        others = sorted(known - set(shown))
        if not shown and not others:
            raise UsageError("no label is known yet of which the picture could have none")
        statements = [Statement(image, word, True, True) for word in shown]
        statements += [Statement(image, word, False, True) for word in others]
        action = annotations.add("check", {"id": image, "labels": shown}, statements)
    content = {"action": action, "id": image, "labels": shown, "not_labels": others}
    show_result(as_json, content, lambda: say(f"image {image}: {', '.join(shown) or 'nothing'}"))
    return 0


@label.command(
    "propagate",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike label propagate photos.lookalike",
        "lookalike label propagate photos.lookalike --plot reliability.png",
    ),
)
def propagate(
    collection: CollectionPath,
    clusters: Clustering = "content",
    alpha: Annotated[
        float | None,
        option("--alpha", show_default="chosen", help="Pictures of each word known beforehand."),
    ] = None,
    plot: Annotated[
        Path | None, option("--plot", help="Draw how far probabilities can be trusted (PNG).")
    ] = None,
    as_json: Json = False,
) -> int:
    """Give every picture the probability of every label, from what was said of others."""
    from lookalike.collection import Collection  # noqa: PLC0415
    from lookalike.knowing.browsing import draw_reliability  # noqa: PLC0415 - keeps --help fast
    from lookalike.search.annotation import propagate as carry  # noqa: PLC0415

    with Collection.open(collection, writable=True) as opened:
        learned = carry(opened.catalog, clusters, alpha=alpha, progress=Bars())
        if plot is not None:
            draw_reliability(learned.measured, plot)
        counts = opened.catalog.knowledge.annotations.counts()
    content = {**learned.to_json(), "likely": _likely(counts)}
    show_result(as_json, content, lambda: _show_propagation(content))
    return 0


@label.command(
    "find",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike label find photos.lookalike beach -k 20",
        "lookalike label find photos.lookalike beach --at-least 0.9 --json",
    ),
)
def find(
    collection: CollectionPath,
    word: Annotated[str, typer.Argument(metavar="LABEL", help="What the pictures show.")],
    k: Annotated[int, option("-k", min=1, help="Number of pictures.")] = 10,
    at_least: Annotated[
        float, option("--at-least", min=0.0, max=1.0, help="Smallest probability.")
    ] = 0.5,
    as_json: Json = False,
) -> int:
    """Find the pictures that show something, the most probable first."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.images.scanning import display_path  # noqa: PLC0415

    with Collection.open(collection) as opened:
        found = opened.catalog.knowledge.annotations.find(word, k, at_least)
        records = opened.images([image_id for image_id, _, _ in found])
    hits = [
        {
            "rank": rank,
            "id": image_id,
            "path": display_path(record.paths[0]),
            "score": probability,
            "provenance": provenance,
        }
        for rank, ((image_id, probability, provenance), record) in enumerate(
            zip(found, records, strict=True), start=1
        )
    ]
    show_result(as_json, {"label": word, "hits": hits}, lambda: _show_found(hits))
    return 0


@label.command(
    "list", context_settings=SETTINGS, epilog=examples("lookalike label list photos.lookalike")
)
def list_(collection: CollectionPath, as_json: Json = False) -> int:
    """Show all labels: how many pictures have them, and who says so."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast

    with Collection.open(collection) as opened:
        counts = opened.catalog.knowledge.annotations.counts()
        history = [asdict(action) for action in opened.catalog.knowledge.annotations.history()]
    content = {
        "labels": [{"label": name, "by": by, "pictures": n} for name, by, n in counts],
        "actions": history,
    }
    show_result(as_json, content, lambda: show_table(("label", "said by", "pictures"), counts))
    return 0


@label.command(
    "undo", context_settings=SETTINGS, epilog=examples("lookalike label undo photos.lookalike")
)
def undo(collection: CollectionPath, as_json: Json = False) -> int:
    """Take back the latest `add`, `check` or `propagate` whole."""
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.search.annotation import undo as take_back  # noqa: PLC0415

    with Collection.open(collection, writable=True) as opened:
        undone = take_back(opened.catalog, progress=Bars())
    show_result(as_json, undone, lambda: say(f"undone: {undone['kind']} {undone['detail']}"))
    return 0


def _cluster(each: Any) -> dict[str, Any]:
    words = [{"label": name, "probability": share} for name, share in each.words]
    return {**asdict(each), "words": words, "exemplars": list(each.exemplars)}


def _likely(counts: Sequence[tuple[str, str, int]]) -> dict[str, int]:
    return {name: n for name, provenance, n in counts if provenance == "propagated"}


def _show_proposals(content: Mapping[str, Any]) -> None:
    if "check" in content:
        say(f"name all that they show (label check): {' '.join(map(str, content['check']))}")
        return
    show_table(
        ("cluster", "pictures", "labeled", "entropy", "known", "look at"),
        [
            (
                each["cluster"],
                each["size"],
                each["n_labeled"],
                each["entropy"],
                ", ".join(f"{w['label']} {w['probability']:.2f}" for w in each["words"]),
                " ".join(map(str, each["exemplars"])),
            )
            for each in content["clusters"]
        ],
    )


def _show_propagation(content: Mapping[str, Any]) -> None:
    likely = content["likely"]
    show_table(
        ("label", "pictures that likely show it"),
        [(word, likely.get(word, 0)) for word in content["words"]],
    )
    error, on = content["expected_calibration_error"], content["calibrated_on"]
    if error is None:
        say("not calibrated: label or check at least 20 pictures")
    else:
        say(f"expected calibration error {error:.3f}, on {on['pictures']} {on['kind']} pictures")


def _show_found(hits: Sequence[Mapping[str, Any]]) -> None:
    show_table(
        ("rank", "id", "probability", "said by", "path"),
        [(h["rank"], h["id"], h["score"], h["provenance"], h["path"]) for h in hits],
    )
