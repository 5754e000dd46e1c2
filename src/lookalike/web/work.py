"""What jobs do, by their kind; a worker calls it, and the pages check here what they ask for."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.progress import Progress
from lookalike.search import annotation, clusters, maps
from lookalike.storage.annotations import PROPAGATED
from lookalike.storage.integrity import verify
from lookalike.web import atlases, backups, duplicates, evaluating, server_backups, trainings
from lookalike.web.models import Job, JobKind, LearningRun, ServerBackupJob

Work: TypeAlias = Callable[[Any, Progress], dict[str, Any]]

MOST_CLUSTERS: Final = 500


def grouping_options(sent: Mapping[str, str], collection: Collection) -> dict[str, Any]:
    """Return the options of a job of kind `clusters` or `map` out of a form.

    Args:
        sent: `descriptor`, what is compared, under whose name the result is kept; or `name` of what
            is there already and is to take in new pictures; `k` clusters, empty for a number that
            fits.
        collection: The one to be worked on.

    Raises:
        UsageError: If there is no such descriptor or the number makes no sense.
    """
    if sent.get("name"):
        return {"name": sent["name"], "anew": False}
    descriptor = sent.get("descriptor") or "content"
    if descriptor not in collection.catalog.descriptors:
        known = ", ".join(collection.catalog.descriptors)
        raise UsageError(f"there is no descriptor {descriptor[:40]!r}; this collection has {known}")
    k = _number_of_clusters(sent.get("k", "").strip(), len(collection))
    return {"name": descriptor, "descriptor": descriptor, "k": k, "anew": True}


def _number_of_clusters(text: str, n_images: int) -> int | None:
    if not text:
        return None
    most = min(MOST_CLUSTERS, n_images - 1)
    # `int` takes digits of every script, and a number may be thousands of them long.
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 2 <= int(text) <= most):
        raise UsageError(f"{text[:20]!r} is no number of clusters; give one from 2 to {most}")
    return int(text)


def _index(job: Job, progress: Progress) -> dict[str, Any]:
    # Only what makes a collection names a model; one that is there keeps its own.
    model = job.options.get("model")
    with Collection.open_or_create(job.collection.folder, model=model) as collection:
        report = collection.add(*job.options["sources"], progress=progress).to_json()
    with Collection.open(job.collection.folder) as collection:
        duplicates.follow_indexing(job.collection, collection)
    return report


def _cluster(job: Job, progress: Progress) -> dict[str, Any]:
    options = job.options
    found = None
    if options["anew"]:
        # Looking for them takes long and needs no lock, so that people go on labeling meanwhile.
        with Collection.open(job.collection.folder) as collection:
            name, descriptor, k = options["name"], options["descriptor"], options["k"]
            found = clusters.find_clusters(
                collection.catalog, name, descriptor, k, progress=progress
            )
    with Collection.open(job.collection.folder, writable=True) as collection:
        catalog = collection.catalog
        if found is not None:
            catalog.knowledge.clusterings.save(*found)
        n_placed = clusters.place_new(catalog, options["name"])
        made = catalog.knowledge.clusterings.open(options["name"])
    return {"name": made.name, "clusters": len(made.centers), "placed": n_placed}


def _map(job: Job, progress: Progress) -> dict[str, Any]:
    options = job.options
    with Collection.open(job.collection.folder, writable=True) as collection:
        catalog = collection.catalog
        if options["anew"]:
            maps.make_map(catalog, options["name"], options["descriptor"], progress=progress)
        n_placed = maps.place_new(catalog, options["name"], progress=progress)
        _, facts = catalog.knowledge.maps.facts(options["name"])
    # Small pictures are read, which needs no lock.
    with Collection.open(job.collection.folder) as collection:
        drawn = atlases.prepare(job.collection, collection, options["name"])
        atlases.make_all(job.collection, collection, drawn, progress)
    return {"name": options["name"], "placed": n_placed, "pictures": len(drawn.ids), **facts}


def _find_duplicates(job: Job, progress: Progress) -> dict[str, Any]:
    kept = duplicates.kept_groups(job.collection)
    with Collection.open(job.collection.folder) as collection:
        if job.options["anew"]:
            kept.search(collection, progress)
        else:
            kept.take_in(collection, progress)
    n_groups, n_removable = kept.count()
    return {"groups": n_groups, "removable": n_removable}


def _propagate(job: Job, progress: Progress) -> dict[str, Any]:
    clustering, name = job.options["clusters"], str(job.pk)
    with Collection.open(job.collection.folder, writable=True) as collection:
        catalog = collection.catalog
        annotations = catalog.knowledge.annotations
        # A worker may have died between doing it and telling so.
        if not any(each.detail.get("job") == name for each in annotations.history()):
            clusters.place_new(catalog, clustering)
            annotation.propagate(catalog, clustering, job=name, progress=progress)
        words = sorted({label for label, by, _ in annotations.counts() if by == PROPAGATED})
    return {"name": clustering, "labels": words}


def _undo(job: Job, progress: Progress) -> dict[str, Any]:
    with Collection.open(job.collection.folder, writable=True) as collection:
        annotations = collection.catalog.knowledge.annotations
        last = next(iter(annotations.history()), None)
        if last is not None and last.id == job.options["action"]:
            annotations.undo()
        annotation.propagate_again(collection.catalog, progress)
    return {"action": job.options["action"]}


def _verify(job: Job, progress: Progress) -> dict[str, Any]:
    found = verify(job.collection.folder, progress=progress)
    # Who may see the collection need not know where the server keeps it.
    folder = f"{job.collection.folder}{os.sep}"
    with Collection.open(job.collection.folder) as collection:
        status = collection.status()
    indexes = [
        {name: each[name] for name in ("descriptor", "kind", "n", "newer", "measured_recall")}
        for each in status["indexes"]
    ]
    return {
        "clean": found.is_clean,
        "problems": [
            {"kind": each.kind, "detail": each.detail.replace(folder, "")}
            for each in found.problems
        ],
        "checked": dict(found.checked),
        "leftovers": [each.replace(folder, "") for each in found.leftovers],
        "indexes": indexes,
        "bytes": status["bytes"],
        "bytes_of": status["bytes_of"],
    }


WORK: Final[Mapping[str, Work]] = {
    JobKind.INDEX: _index,
    JobKind.CLUSTERS: _cluster,
    JobKind.MAP: _map,
    JobKind.PROPAGATE: _propagate,
    JobKind.UNDO: _undo,
    JobKind.DUPLICATES: _find_duplicates,
    JobKind.VERIFY: _verify,
    JobKind.BACKUP: backups.make,
    JobKind.RESTORE: backups.restore,
    JobKind.EVALUATE: evaluating.evaluate,
    ServerBackupJob.kind: server_backups.make,
    LearningRun.kind: trainings.learn,
}
