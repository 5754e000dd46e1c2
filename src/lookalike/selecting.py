"""A collection shrunk to its best dimensions, and what that costs and saves: what `select` does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, normalize, top_k
from lookalike.collection import Collection
from lookalike.datasets import Dataset
from lookalike.dimensions import Selection
from lookalike.errors import IndexUnavailableError, UsageError
from lookalike.evaluation.measurements import Comparison, Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.features.selection.choosing import Choice, check_request, choose
from lookalike.features.selection.names import UNLABELED, Aggregate
from lookalike.index.base import Hits
from lookalike.index.files import read_card
from lookalike.judging import ids_by_hash
from lookalike.progress import SILENT, Progress
from lookalike.storage.folder import CollectionFolder
from lookalike.storage.shrinking import CONTENT, Shrinking, shrink_in_place, write_shrunken

MOST_PICTURES: Final = 20_000
"""Methods look at so many pictures at most, those of lowest content hash; more change little."""

MAP: Final = Measure("mean_average_precision")

_BYTES_PER_NUMBER: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class RowSystem:
    """Embeddings of a few pictures, each compared with all others by the cosine.

    Attributes:
        ids: Image ids, ascending.
        rows: Their embeddings, scaled to length 1.
    """

    ids: Ids
    rows: Embeddings

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Return the `k` best images for each query image, without the query itself."""
        places = np.searchsorted(self.ids, query_ids)
        scores = self.rows[places] @ self.rows.T
        scores[np.arange(len(places)), places] = -np.inf
        return Hits(*top_k(scores, self.ids, min(k, len(self.ids) - 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Embeddings to choose dimensions from, and others to measure on what the choice costs.

    Attributes:
        rows: Embeddings that the method sees.
        labels: Which classes that count each of them shows; `None` without a data set.
        judged: Ground truth of the pictures that the method does not see.
        judged_rows: Embeddings of those.
    """

    rows: Embeddings
    labels: Bool[ndarray, "items labels"] | None
    judged: GroundTruth | None = None
    judged_rows: Float32[ndarray, "judged dim"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Cost:
    """The `content` of pictures that the method did not see, before and after."""

    before: Evaluation
    after: Evaluation
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """Mean average precision with intervals, and the paired difference, after minus before."""
        difference = self.comparison.differences[MAP]
        estimates = {"before": self.before, "after": self.after}
        return {
            "n_queries": len(self.before.query_ids),
            "mean_average_precision": {
                name: found.estimates[MAP].mean for name, found in estimates.items()
            },
            "intervals": {
                name: [found.estimates[MAP].low, found.estimates[MAP].high]
                for name, found in estimates.items()
            },
            "random_order": self.before.random[MAP],
            "difference": difference.difference.mean,
            "difference_interval": [difference.difference.low, difference.difference.high],
            "p_value": difference.p_value,
        }


@dataclass(frozen=True, slots=True, eq=False)
class SelectReport:
    """What `select` did.

    Attributes:
        path: The shrunken collection.
        model: Id of its model.
        facts: How the dimensions were chosen, as the model's card has it.
        columns: Which are kept; `None` for projections.
        n_bytes: Bytes of embeddings and index of `content`, each before and after.
    """

    path: Path
    model: str
    facts: Mapping[str, Any]
    columns: tuple[int, ...] | None
    n_bytes: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        columns = None if self.columns is None else list(self.columns)
        n_bytes = {
            name: {"before": before, "after": after}
            for name, (before, after) in self.n_bytes.items()
        }
        return {
            "collection": str(self.path),
            "model": self.model,
            **self.facts,
            "columns": columns,
            "bytes": n_bytes,
        }


def select(
    path: Path,
    method: str,
    dims: int,
    *,
    out: Path | None,
    dataset: Dataset | None = None,
    how: Aggregate | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> SelectReport:
    """Shrink the `content` of a collection to `dims` dimensions, and measure what it costs.

    Two thirds of the labeled pictures, parted by content hash, are for the method; the others are
    queries and gallery of the measurement. The shrunken collection holds all pictures, under the
    same ids.

    Args:
        path: The collection.
        method: One of `features.selection.names.METHODS`.
        dims: Dimensions wanted.
        out: Where to make the shrunken collection; `None` puts it in the place of the old one,
            whose other dimensions are lost then.
        dataset: The truth; methods that need no labels do without, and measure nothing then.
        how: Aggregate over labels; `mean` if not given.
        seed: Of everything that is drawn at random.
        progress: Told of every step.

    Raises:
        UsageError: If an option makes no sense, labels are missing, the collection is shrunken
            already, or something is at `out`.
        DatasetError: If the collection holds no picture of the data set, or none relevant to
            another.
    """
    with Collection.open(path) as opened:
        _check(opened, method, dims, dataset, out)
        material = gather(opened, dataset, progress)
        with progress.task("Choosing dimensions", 1, unit="methods") as task:
            choice = choose(method, material.rows, material.labels, dims, how=how, seed=seed)
            task.advance()
        cost = measure_cost(material, choice.selection, seed=seed, progress=progress)
        facts = _facts(method, how, dataset, material, choice, cost, seed)
        shrinking = Shrinking(opened.manifest.model_checksum, choice.selection, facts)
        before = _n_bytes(opened)
        kind, recall = _index_options(opened)
    if out is None:
        shrink_in_place(opened.path, shrinking)
    else:
        write_shrunken(opened.path, out, shrinking)
    with Collection.open(out or opened.path, writable=True) as shrunken:
        shrunken.build_indexes(kind=kind, recall_target=recall, progress=progress)
        after = _n_bytes(shrunken)
        return SelectReport(
            shrunken.path,
            shrunken.card.id,
            shrunken.card.selection,
            choice.selection.columns,
            {name: (before[name], after[name]) for name in before},
        )


def gather(collection: Collection, dataset: Dataset | None, progress: Progress) -> Material:
    """Collect embeddings to choose from and to measure on; see `select`.

    Raises:
        DatasetError: If the collection holds no picture of the data set.
    """
    if dataset is None:
        ids = collection.catalog.ids()
        ids = ids[np.sort(_lowest_hashes(collection, ids)[:MOST_PICTURES])]
        return Material(normalize(collection.vectors(ids, CONTENT)), None)
    truth = ground_truth(dataset, ids_by_hash(collection, dataset), progress=progress)
    order = _lowest_hashes(collection, truth.ids)
    is_judged = np.array(
        [record.hash[-1] % 3 == 0 for record in collection.images(truth.ids)], bool
    )
    seen = np.sort(order[~is_judged[order]][:MOST_PICTURES])
    judged = np.flatnonzero(is_judged)
    return Material(
        normalize(collection.vectors(truth.ids[seen], CONTENT)),
        truth.relevant_labels[seen],
        _part(truth, judged),
        normalize(collection.vectors(truth.ids[judged], CONTENT)),
    )


def measure_cost(
    material: Material, selection: Selection, *, seed: int = 0, progress: Progress = SILENT
) -> Cost | None:
    """Compare rankings by all dimensions and by the selection; `None` without ground truth.

    Raises:
        DatasetError: If no two pictures that are measured on are relevant to each other.
    """
    if material.judged is None or material.judged_rows is None:
        return None
    ids, rows = material.judged.ids, material.judged_rows
    before, after = (
        evaluate(
            RowSystem(ids, embeddings), material.judged, at=(10,), seed=seed, progress=progress
        )
        for embeddings in (rows, selection.apply(rows))
    )
    return Cost(before, after, compare(after, before))


def _lowest_hashes(collection: Collection, ids: Ids) -> ndarray:
    """Order of images by content hash: a draw that is the same wherever it is made."""
    hashes = [record.hash for record in collection.images(ids)]
    return np.array(sorted(range(len(hashes)), key=hashes.__getitem__), np.int64)


def _part(truth: GroundTruth, rows: ndarray) -> GroundTruth:
    """Ground truth of some of the pictures; label maps are of no concern here."""
    return replace(
        truth,
        ids=truth.ids[rows],
        labels=truth.labels[rows],
        label_maps=None,
        names=tuple(truth.names[row] for row in rows),
    )


def _facts(
    method: str,
    how: Aggregate | None,
    dataset: Dataset | None,
    material: Material,
    choice: Choice,
    cost: Cost | None,
    seed: int,
) -> dict[str, Any]:
    wrapped = choice.wrapped
    return {
        "method": method,
        "dims": choice.selection.dims,
        "of": choice.selection.of,
        "aggregate": None if method in UNLABELED else how or "mean",
        "dataset": None if dataset is None else dataset.name,
        "n_pictures": len(material.rows),
        "seed": seed,
        "explained": wrapped and {"searched": wrapped.searched, "nested": wrapped.nested},
        "measured": cost and cost.to_json(),
    }


def _check(
    collection: Collection, method: str, dims: int, dataset: Dataset | None, out: Path | None
) -> None:
    facts = collection.card.selection
    if facts:
        raise UsageError(
            f"{collection.path} is shrunken already, by {facts['method']} to {facts['dims']} of "
            f"{facts['of']} dimensions; select from the collection that it was made of"
        )
    check_request(method, collection.card.content_dim, dims)
    if len(collection) == 0:
        raise UsageError(f"{collection.path} holds no picture; index some first")
    if dataset is None and method not in UNLABELED:
        raise UsageError(
            f"{method} learns from labels; give --dataset, or choose {', '.join(UNLABELED)}"
        )
    if out is not None and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out} exists already and is no empty folder; choose another name")


def _index_options(collection: Collection) -> tuple[str, float]:
    [state] = [s for s in collection.status()["indexes"] if s["descriptor"] == CONTENT]
    return state["kind"] or "auto", state["recall_target"] or 0.98


def _n_bytes(collection: Collection) -> dict[str, int]:
    dim = collection.catalog.descriptors[CONTENT]
    try:
        card = read_card(CollectionFolder(collection.path).index, CONTENT)
        of_index = sum(record.size for record in card.files.values())
    except IndexUnavailableError:
        of_index = 0
    return {"embeddings": _BYTES_PER_NUMBER * dim * len(collection), "index": of_index}
