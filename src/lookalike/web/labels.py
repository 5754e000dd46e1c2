"""What the page Label shows: what to label next, how sure it is, what was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.images.scanning import display_path
from lookalike.search.annotation import Propagation
from lookalike.search.annotation import undo as take_back
from lookalike.search.labeling import NextCluster, next_clusters
from lookalike.search.previewing import AT_LEAST, WordPreview, preview_propagation
from lookalike.storage.annotations import Action, Statement
from lookalike.web.models import HostedCollection
from lookalike.web.writing import writing

EXEMPLARS: Final = 12
UPCOMING: Final = 5
WAITING: Final = 8
"""Pictures shown after the one that is under review."""

MOST_WORDS: Final = 20
_SHOWN_ACTIONS: Final = 8
PROVENANCES: Final = ("person", "propagated", "data set", "model")


@dataclass(frozen=True, slots=True)
class Tile:
    """A small picture with a few words.

    Attributes:
        id: Of the image.
        name: Its file's name, fit to be shown.
        probability: Of the word in question; `None` where there is none.
        word: The word in question.
    """

    id: int
    name: str
    probability: float | None = None
    word: str = ""


def read_words(text: str) -> list[str]:
    """Read labels that are divided by commas.

    Raises:
        UsageError: If there is none, or too many.
    """
    words = list(dict.fromkeys(" ".join(each.split()) for each in text.split(",") if each.strip()))
    if not words:
        raise UsageError("name what the pictures show, such as beach, sea")
    if len(words) > MOST_WORDS:
        raise UsageError(f"{MOST_WORDS} labels at once are the most; give fewer")
    return words


def clusterings_of(collection: Collection, wanted: str) -> tuple[list[str], str]:
    """Return the names of all clusterings, and that of the one to go by; empty if there is none."""
    names = collection.catalog.knowledge.clusterings.names()
    if wanted in names:
        return names, wanted
    return names, "content" if "content" in names else next(iter(names), "")


def tiles(
    collection: Collection, ids: Sequence[int], told: Sequence[tuple[float, str]] = ()
) -> list[Tile]:
    """Return what is shown of images."""
    records = collection.images(ids)
    said: Sequence[tuple[float | None, str]] = told or [(None, "")] * len(ids)
    return [
        Tile(record.id, display_path(record.paths[0].rpartition(b"/")[2]), probability, word)
        for record, (probability, word) in zip(records, said, strict=True)
    ]


def proposal(collection: Collection, clustering: str, at: int) -> dict[str, Any]:
    """Return the cluster in place `at` of those to be labeled, with its pictures, and what follows.

    Clusters that are labeled whole come no more.
    """
    wanted = at + 1 + UPCOMING
    found = next_clusters(collection.catalog, clustering, wanted, n_exemplars=EXEMPLARS)
    left = [each for each in found if each.exemplars]
    chosen: NextCluster | None = left[at] if at < len(left) else None
    return {
        "proposed": chosen,
        "montage": tiles(collection, chosen.exemplars) if chosen else [],
        "upcoming": [
            {"at": at + place, "cluster": each, "picture": each.exemplars[0]}
            for place, each in enumerate(left[at + 1 :], start=1)
        ],
    }


def statements(words: Sequence[str], shown: Sequence[int], fits: Sequence[int]) -> list[Statement]:
    """Return what a person says who was shown some pictures and took out those that do not fit."""
    fitting = set(fits)
    return [Statement(image, word, image in fitting) for image in shown for word in words]


def say(
    hosted: HostedCollection, detail: dict[str, Any], said: Sequence[Statement], once: str = ""
) -> int:
    """Store what a person says; return the number of the action.

    Args:
        hosted: The collection.
        detail: What is remembered of the action: `labels`, `cluster`, `clusters`, `review`.
        said: The statements.
        once: Stands for this very action: what was stored under it is not stored again.

    Raises:
        UsageError: If nothing is said, or of pictures that are not there.
        CollectionLockedError: If another process writes.
    """
    if not said:
        raise UsageError("no picture was chosen; choose some")
    with writing(hosted) as collection:
        annotations = collection.catalog.knowledge.annotations
        if once:
            detail = {**detail, "once": once}
            for action in annotations.history():
                if action.detail.get("once") == once:
                    return action.id
        return annotations.add("label", detail, said)


def ready_to_propagate(collection: Collection, clusters: str) -> str:
    """Return the clusters that labels are propagated by.

    Raises:
        UsageError: If nothing was labeled yet, or there are no clusters.
    """
    _, chosen = clusterings_of(collection, clusters)
    if not chosen or not is_begun(collection):
        raise UsageError("label a cluster first; then that can be said of all others")
    return chosen


def undone(hosted: HostedCollection, action: int | None = None) -> dict[str, Any]:
    """Take back the last action whole, if it is the one that is meant.

    Raises:
        UsageError: If nothing was done, or something else was done since.
        CollectionLockedError: If another process writes.
    """
    with writing(hosted) as collection:
        done = collection.catalog.knowledge.annotations.history()
        if action is not None and (not done or done[0].id != action):
            raise UsageError(f"{action} is not the last action, which alone can be taken back")
        return take_back(collection.catalog)


def label_table(collection: Collection) -> list[dict[str, Any]]:
    """Return each label with the images that likely have it, by who says so.

    What a person has said comes first; what models alone see is much, and seldom sought.
    """
    table: dict[str, dict[str, int]] = {}
    for name, provenance, n in collection.catalog.knowledge.annotations.counts():
        table.setdefault(name, {})[provenance] = n
    rows = [
        {"label": name, "counts": [by.get(each, 0) for each in PROVENANCES]}
        for name, by in table.items()
    ]
    return sorted(rows, key=lambda row: not any(row["counts"][:2]))


def history(collection: Collection) -> list[dict[str, Any]]:
    """Return the last actions in words, the latest first."""
    actions = collection.catalog.knowledge.annotations.history()[:_SHOWN_ACTIONS]
    return [{"made": action.made, "text": _told(action)} for action in actions]


def _told(action: Action) -> str:
    if action.kind == "propagate":
        return "Propagated to all pictures"
    words = ", ".join(action.detail.get("labels", ())) or "nothing"
    n = action.n // max(1, len(action.detail.get("labels", ())))
    pictures = f"{n} picture{'' if n == 1 else 's'}"
    if action.kind == "check":
        return f"Named all of one picture: {words}"
    return f"{'Reviewed' if action.detail.get('review') else 'Labeled'} {words}: {pictures}"


def is_begun(collection: Collection) -> bool:
    """Tell whether a person has said of any picture what it shows."""
    return any(each.holds for each in collection.catalog.knowledge.annotations.statements())


def long_undo(collection: Collection) -> int | None:
    """Return the last action if taking it back takes long; `None` if that is done at once.

    It does where an earlier propagation has to be worked out again.
    """
    actions = collection.catalog.knowledge.annotations.history()
    propagated = [each.id for each in actions if each.kind == "propagate"]
    return propagated[0] if len(propagated) > 1 and propagated[0] == actions[0].id else None


def previews(collection: Collection, clustering: str) -> list[WordPreview]:
    """Return what propagating would say of which pictures, word by word.

    Raises:
        UsageError: If nothing was labeled yet, or there are no clusters.
    """
    return preview_propagation(collection.catalog, clustering)[1]


def previewed(collection: Collection, clustering: str) -> dict[str, Any]:
    """Return what propagating would give, with example pictures.

    Raises:
        UsageError: If nothing was labeled yet.
    """
    learned, found = preview_propagation(collection.catalog, clustering)
    return {
        "words": [_previewed(collection, each) for each in found],
        "at_least": [round(100 * each) for each in AT_LEAST],
        "trust": _trust(learned),
    }


def _previewed(collection: Collection, preview: WordPreview) -> dict[str, Any]:
    strips = {
        name: tiles(collection, [image for image, _ in ranked], [(p, "") for _, p in ranked])
        for name, ranked in (("surest", preview.surest), ("doubtful", preview.doubtful))
    }
    return {"word": preview.word, "said": preview.n_said, "counts": preview.counts, **strips}


def _trust(learned: Propagation) -> str:
    n = learned.calibrated_on["pictures"]
    if learned.measured is None:
        return "Probabilities are not calibrated yet; that takes 20 labeled pictures."
    return (
        f"Calibrated on {n} {learned.calibrated_on['kind']} pictures; probabilities were off by "
        f"{100 * learned.measured.error:.0f} percentage points on average."
    )


def under_review(collection: Collection, word: str, at: int) -> dict[str, Any]:
    """Return the picture in place `at` of those nearest to one half, and those after it."""
    annotations = collection.catalog.knowledge.annotations
    found = annotations.doubtful(1 + WAITING, label=word or None, offset=at)
    shown = tiles(collection, [image for image, _, _ in found], [(p, w) for _, w, p in found])
    return {"asked": shown[0] if shown else None, "waiting": shown[1:], "word": word, "at": at}
