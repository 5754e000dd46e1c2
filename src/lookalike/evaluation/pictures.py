"""Queries worth looking at, with their hits."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Pixels
from lookalike.errors import UsageError
from lookalike.evaluation.contact_sheet import SheetPicture, SheetQuery, SheetRow
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import GroundTruth

Picture: TypeAlias = Callable[[int], Pixels]
"""Gives the pixels of an image id, at a size fit to be shown."""


def example_queries(evaluation: Evaluation, n: int) -> Int64[ndarray, " examples"]:
    """Choose queries that show the whole range, from the best average precision to the worst.

    They are evenly spaced in the order of average precision, so nobody can pick the pretty ones.

    Returns:
        Image ids, best first; fewer than `n` if there are fewer queries.
    """
    values = evaluation.values[Measure("mean_average_precision")]
    order = np.lexsort((evaluation.query_ids, -values))
    places = np.unique(np.linspace(0, len(order) - 1, min(n, len(order))).round().astype(np.int64))
    ids: ndarray = evaluation.query_ids[order[places]]
    return ids


def show_examples(
    evaluations: Mapping[str, Evaluation],
    truth: GroundTruth,
    picture: Picture,
    query_ids: Sequence[int],
    n_hits: int,
) -> list[SheetQuery]:
    """Gather what a contact sheet shows of some queries: one row of hits for each system.

    Args:
        evaluations: By name of the system, all on the same queries.
        truth: What is known of the gallery.
        picture: Gives the pixels of an image.
        query_ids: Image ids of evaluated queries.
        n_hits: Hits to show; no more than the largest `k` evaluated.

    Raises:
        UsageError: If an id is not one of the evaluated queries.
    """
    return [
        SheetQuery(
            query=_known_picture(truth, picture, query_id),
            rows=tuple(
                SheetRow(
                    _hits(evaluation, truth, picture, query_id, n_hits),
                    name if len(evaluations) > 1 else "",
                )
                for name, evaluation in evaluations.items()
            ),
        )
        for query_id in query_ids
    ]


def _hits(
    evaluation: Evaluation, truth: GroundTruth, picture: Picture, query_id: int, n_hits: int
) -> tuple[SheetPicture, ...]:
    found = np.flatnonzero(evaluation.query_ids == query_id)
    if len(found) == 0:
        raise UsageError(
            f"image {query_id} is none of the {len(evaluation.query_ids)} evaluated queries; "
            "choose from query_ids"
        )
    row = int(found[0])
    ids = evaluation.hits.ids[row, :n_hits]
    return tuple(
        _known_picture(
            truth,
            picture,
            int(image_id),
            is_relevant=bool(evaluation.hit_relevant[row, rank]),
            caption=_caption(evaluation, row, rank),
        )
        for rank, image_id in enumerate(ids)
        if image_id != NO_ID
    )


def _known_picture(
    truth: GroundTruth,
    picture: Picture,
    image_id: int,
    *,
    is_relevant: bool | None = None,
    caption: str = "",
) -> SheetPicture:
    row = int(truth.positions(np.array([image_id]))[0])
    labels = [truth.classes[c] for c in np.flatnonzero(truth.labels[row])]
    return SheetPicture(
        pixels=picture(image_id),
        is_relevant=is_relevant,
        label_map=None if truth.label_maps is None else truth.label_maps[row],
        caption=caption,
        description=", ".join(labels) or "no label",
    )


def _caption(evaluation: Evaluation, row: int, rank: int) -> str:
    score = f"{evaluation.hits.scores[row, rank]:.2f}"
    if evaluation.hit_overlap is None:
        return score
    overlap = float(evaluation.hit_overlap[row, rank])
    return score if math.isnan(overlap) else f"{score} · IoU {overlap:.2f}"
