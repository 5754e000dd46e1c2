"""What jobs do, by their kind; a worker calls it, and the pages check here what they ask for."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.progress import Progress
from lookalike.search import clusters, maps
from lookalike.web import atlases, evaluating, trainings
from lookalike.web.models import Job, JobKind, LearningRun

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
        return collection.add(*job.options["sources"], progress=progress).to_json()


def _cluster(job: Job, progress: Progress) -> dict[str, Any]:
    options = job.options
    with Collection.open(job.collection.folder, writable=True) as collection:
        catalog = collection.catalog
        if options["anew"]:
            name, descriptor = options["name"], options["descriptor"]
            clusters.make_clusters(catalog, name, descriptor, options["k"], progress=progress)
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


WORK: Final[Mapping[str, Work]] = {
    JobKind.INDEX: _index,
    JobKind.CLUSTERS: _cluster,
    JobKind.MAP: _map,
    JobKind.EVALUATE: evaluating.evaluate,
    LearningRun.kind: trainings.learn,
}
