"""A collection judged by a labeled data set: what `evaluate` and the demo do."""

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids
from lookalike.collection import Collection
from lookalike.datasets import Dataset
from lookalike.datasets.base import palette
from lookalike.errors import DatasetError, UsageError
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.report import write_report
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.images.scanning import content_hash
from lookalike.index.base import Hits
from lookalike.index.kmeans import assign_clusters
from lookalike.progress import SILENT, Progress
from lookalike.search.queries import IdExample, Query


@dataclass(frozen=True, slots=True, eq=False)
class CollectionSystem:
    """A collection as something to evaluate: each query is one of its own images.

    Attributes:
        collection: What is searched.
        weights: Weight of each descriptor; `None` for the default mixture.
    """

    collection: Collection
    weights: Mapping[str, float] | None = None

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Return the `k` best images for each query image, without the query itself."""
        queries = [
            Query(positives=(IdExample(int(image_id)),), weights=self.weights)
            for image_id in query_ids
        ]
        return self.collection.search_all(queries, k)


@dataclass(frozen=True, slots=True, eq=False)
class Renamed:
    """A system whose images go by the ids that another collection gave to the same pictures.

    Attributes:
        system: The system.
        own: Its ids, ascending.
        known_as: What each is called outside, in the same order.
    """

    system: CollectionSystem
    own: Ids
    known_as: Ids

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Rank as the system does, ids translated on the way in and out."""
        order = np.argsort(self.known_as)
        asked = self.own[order[np.searchsorted(self.known_as[order], query_ids)]]
        hits = self.system.rank(asked, k)
        places = np.minimum(np.searchsorted(self.own, hits.ids), len(self.own) - 1)
        ids: Int64[ndarray, "queries k"] = np.where(
            self.own[places] == hits.ids, self.known_as[places], NO_ID
        )
        return replace(hits, ids=ids)


def ids_by_hash(collection: Collection, dataset: Dataset) -> dict[bytes, int]:
    """Find those pictures of a data set that a collection holds, by their content."""
    hashes = [content_hash(dataset[position].read_bytes()) for position in range(len(dataset))]
    return collection.catalog.image_ids(hashes)


def same_pictures(collection: Collection, truth: GroundTruth, named_by: Collection) -> Renamed:
    """Let a collection be judged by ground truth that speaks of another collection's ids.

    Raises:
        DatasetError: If the collection lacks some of the pictures.
    """
    records = named_by.images(truth.ids)
    own_ids = collection.catalog.image_ids([record.hash for record in records])
    n_lacking = sum(record.hash not in own_ids for record in records)
    if n_lacking:
        raise DatasetError(
            f"{collection.path} lacks {n_lacking} of the {len(records)} pictures that "
            f"{named_by.path} holds; index the same pictures into both"
        )
    pairs = sorted((own_ids[record.hash], record.id) for record in records)
    own, known_as = np.array(pairs, np.int64).reshape(-1, 2).T
    return Renamed(CollectionSystem(collection), own.copy(), known_as.copy())


def judge(
    collection: Collection,
    dataset: Dataset,
    *,
    n_queries: int | None = None,
    at: Sequence[int] = (2, 5, 8, 10),
    weights: Mapping[str, float] | None = None,
    without: AnyOf[str] = (),
    n_clusters: int = 20,
    seed: int = 0,
    report: Path | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure how well a collection answers, and write a report of it.

    Args:
        collection: What is searched; the data set's pictures are found in it by content.
        dataset: The truth.
        n_queries: Pictures that are asked with; all by default.
        at: The numbers of hits at which is measured.
        weights: Weight of each descriptor; `None` for the default mixture.
        without: Classes that shall not make pictures relevant to each other.
        n_clusters: Clusters for the pairwise clustering measure.
        seed: Seed of queries, clusters and intervals.
        report: Folder of the report; `None` writes none.
        progress: Told of every step.

    Raises:
        DatasetError: If the collection holds no picture of the data set, or none relevant to
            another.
        UsageError: If an option makes no sense.
    """
    truth = truth_of_dataset(collection, dataset, without=without, progress=progress)
    evaluation = judge_by(
        collection,
        truth,
        n_queries=n_queries,
        at=at,
        weights=weights,
        n_clusters=n_clusters,
        seed=seed,
        progress=progress,
    )
    if report is not None:
        _report(collection, evaluation, truth, dataset.name, report)
    return evaluation


def truth_of_dataset(
    collection: Collection,
    dataset: Dataset,
    *,
    without: AnyOf[str] = (),
    progress: Progress = SILENT,
) -> GroundTruth:
    """Return what a data set says of the pictures that a collection holds, found by content.

    Raises:
        DatasetError: If the collection holds none of them.
        UsageError: If `without` names an unknown class or leaves none.
    """
    known = ids_by_hash(collection, dataset)
    truth = ground_truth(dataset, known, without=without, progress=progress)
    return replace(truth, n_unknown=len(collection) - len(truth.ids))


def truth_of_labels(collection: Collection, *, without: AnyOf[str] = ()) -> GroundTruth:
    """Return what the labels that were given to a collection's own pictures say of them.

    Labels of data sets and persons count; what a model predicts, or follows from other labels, does
    not: a model must not be judged by itself. Pictures without any such label are unknown.

    Args:
        collection: The collection.
        without: Labels that shall not make pictures relevant to each other.

    Raises:
        DatasetError: If no picture has a label.
        UsageError: If `without` names a label that no picture has, or leaves none.
    """
    given = collection.catalog.knowledge.annotations.given()
    if not given:
        raise DatasetError(
            f"no picture of {collection.path.name} was given a label; label some, or judge it by a "
            "labeled data set"
        )
    classes = tuple(sorted({label for _, label in given}))
    unknown = sorted(set(without) - set(classes))
    if unknown or set(without) == set(classes):
        raise UsageError(
            f"no picture has the label {unknown[0]!r}; leave it out"
            if unknown
            else "without these labels none is left to be relevant; leave out fewer"
        )
    ids = np.unique(np.array([image_id for image_id, _ in given], np.int64))
    column = {label: n for n, label in enumerate(classes)}
    labels = np.zeros((len(ids), len(classes)), bool)
    rows = np.searchsorted(ids, [image_id for image_id, _ in given])
    labels[rows, [column[label] for _, label in given]] = True
    return GroundTruth(
        ids=ids,
        labels=labels,
        label_maps=None,
        classes=classes,
        relevant_classes=frozenset(column[label] for label in classes if label not in without),
        palette=palette(len(classes)),
        names=tuple(str(image_id) for image_id in ids),
        n_unknown=len(collection) - len(ids),
    )


def judge_by(
    collection: Collection,
    truth: GroundTruth,
    *,
    n_queries: int | None = None,
    at: Sequence[int] = (2, 5, 8, 10),
    weights: Mapping[str, float] | None = None,
    n_clusters: int = 20,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure how well a collection answers by what is known of its pictures; see `judge`.

    Raises:
        DatasetError: If no picture is relevant to another.
        UsageError: If an option makes no sense.
    """
    return evaluate(
        CollectionSystem(collection, weights),
        truth,
        n_queries=n_queries,
        at=at,
        seed=seed,
        clusters=assign_clusters(
            collection.vectors(truth.ids, "content"), min(n_clusters, len(truth.ids)), seed=seed
        ),
        progress=progress,
    )


def _report(
    collection: Collection, evaluation: Evaluation, truth: GroundTruth, name: str, folder: Path
) -> Path:
    n_queries, n_gallery = len(evaluation.query_ids), evaluation.n_gallery
    return write_report(
        folder,
        evaluation,
        truth,
        collection.picture,
        title=f"{collection.path.name} judged by {name}",
        subtitle=f"{n_queries} queries among {n_gallery} pictures, model {collection.card.id}",
    )
