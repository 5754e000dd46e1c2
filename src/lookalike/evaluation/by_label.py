"""How well queries of each label are answered."""

from dataclasses import dataclass

import numpy as np

from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.metrics import mean_of_defined
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import GroundTruth


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Means over the queries that show a label.

    Attributes:
        label: Its name.
        n_pictures: Pictures of the gallery that show it.
        n_queries: Queries that show it.
        average_precision: Mean average precision of these, over all that is relevant to them:
            pictures that share any of their labels.
        precision: Mean precision at the largest `k`, likewise.
        chance: Share of the gallery that shows the label.
    """

    label: str
    n_pictures: int
    n_queries: int
    average_precision: float
    precision: float
    chance: float


def by_label(evaluation: Evaluation, truth: GroundTruth) -> list[LabelFigures]:
    """Return figures for each label that counts and that some query shows, best first.

    A query with several labels counts for each of them.
    """
    rows = truth.positions(evaluation.query_ids)
    averages = evaluation.values[Measure("mean_average_precision")]
    precisions = evaluation.values[Measure("precision_at_k", evaluation.at[-1])]
    found = []
    for column in sorted(truth.relevant_classes):
        shows = truth.labels[rows, column]
        if not shows.any():
            continue
        n_pictures = int(truth.labels[:, column].sum())
        found.append(
            LabelFigures(
                label=truth.classes[column],
                n_pictures=n_pictures,
                n_queries=int(shows.sum()),
                average_precision=mean_of_defined(averages[shows]),
                precision=mean_of_defined(precisions[shows]),
                chance=n_pictures / max(1, len(truth)),
            )
        )
    order = np.argsort([-each.average_precision for each in found], kind="stable")
    return [found[place] for place in order]
