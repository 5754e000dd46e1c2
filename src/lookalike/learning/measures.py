"""Figures measured while and after learning, on pictures kept out of training."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import VOID


@dataclass(slots=True)
class OverlapCounter:
    """Overlap of predicted and true label maps, added up over batches.

    `IoU_c = |A_c ∩ B_c| / |A_c ∪ B_c|`. Background is no class; void cells of the true map are
    ignored.

    Attributes:
        n_values: Number of label map values: background and the classes.
        per_picture: For each picture the mean IoU of the classes present in either map; pictures
            with background alone are left out.
        intersection: Cells per value, summed over pictures.
        union: The same.
    """

    n_values: int
    per_picture: list[float] = field(default_factory=list)
    intersection: Int64[ndarray, " values"] = field(init=False)
    union: Int64[ndarray, " values"] = field(init=False)

    def __post_init__(self) -> None:
        self.intersection = np.zeros(self.n_values, np.int64)
        self.union = np.zeros(self.n_values, np.int64)

    def add(
        self,
        predicted: UInt8[ndarray, "batch height width"],
        true: UInt8[ndarray, "batch height width"],
    ) -> None:
        """Count a batch."""
        for predicted_map, true_map in zip(predicted, true, strict=True):
            known = true_map != VOID
            pairs = predicted_map[known].astype(np.int64) * self.n_values + true_map[known]
            table = np.bincount(pairs, minlength=self.n_values**2)
            table = table.reshape(self.n_values, self.n_values)
            both = np.diagonal(table)
            either = table.sum(axis=0) + table.sum(axis=1) - both
            self.intersection += both
            self.union += either
            present = either[1:] > 0
            if present.any():
                self.per_picture.append(float((both[1:][present] / either[1:][present]).mean()))

    def picture_miou(self) -> float:
        """Mean over pictures of the mean IoU of their classes; nan without pictures."""
        return float(np.mean(self.per_picture)) if self.per_picture else float("nan")

    def class_iou(self) -> Float[ndarray, " classes"]:
        """IoU of each class over all cells of all pictures; nan for classes never seen."""
        union = self.union[1:]
        iou: ndarray = np.full(len(union), np.nan)
        np.divide(self.intersection[1:], union, out=iou, where=union > 0)
        return iou

    def class_miou(self) -> float:
        """Mean over classes of `class_iou`; nan if none was seen."""
        iou = self.class_iou()
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")


def label_mean_average_precision(
    probabilities: Float[ndarray, "items classes"], labels: Bool[ndarray, "items classes"]
) -> float:
    """Mean over classes of the average precision of ranking all pictures by that class.

    `AP = (1/R) Σ_i rel_i · precision@i` over the whole ranking. Classes that no picture has are
    left out; nan if that leaves none. Equal probabilities keep the order of the pictures.

    Example:
        >>> one_class = np.array([[0.9], [0.8], [0.7]])
        >>> label_mean_average_precision(one_class, np.array([[True], [False], [True]]))
        0.8333333333333333
    """
    order = np.argsort(-probabilities, axis=0, kind="stable")
    relevant = np.take_along_axis(labels, order, axis=0)
    n_relevant = relevant.sum(axis=0)
    if not n_relevant.any():
        return float("nan")
    precision = relevant.cumsum(axis=0) / np.arange(1, len(relevant) + 1)[:, None]
    total = (precision * relevant).sum(axis=0)
    return float((total[n_relevant > 0] / n_relevant[n_relevant > 0]).mean())


def label_f(
    probabilities: Float[ndarray, "items classes"],
    labels: Bool[ndarray, "items classes"],
    is_single_label: bool,
) -> float:
    """F over all picture–label pairs: `2·TP / (2·TP + FP + FN)`; nan without any pair.

    A label counts as predicted from a probability of 0.5; where labels exclude each other, the
    most probable one is, and F is the share of pictures labeled right.
    """
    if is_single_label:
        predicted = np.zeros_like(labels)
        predicted[np.arange(len(labels)), probabilities.argmax(axis=1)] = True
    else:
        predicted = probabilities >= 0.5
    pairs = int(predicted.sum() + labels.sum())
    return float(2 * (predicted & labels).sum() / pairs) if pairs else float("nan")
