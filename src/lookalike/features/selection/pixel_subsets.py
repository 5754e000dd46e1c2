"""How well a few pixels tell a class: the first ones in reading order against random ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float, Float64, Int, Int64
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from lookalike.errors import UsageError
from lookalike.progress import SILENT, Progress

Order: TypeAlias = Literal["sequential", "random"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)

_STEPS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class SubsetCurve:
    """Accuracy against the number of pixels.

    Attributes:
        dims: Numbers of pixels, ascending.
        mean: Mean accuracy over the draws for each of them.
        sd: Standard deviation over the draws.
    """

    dims: tuple[int, ...]
    mean: Float64[ndarray, " sizes"]
    sd: Float64[ndarray, " sizes"]


def pixel_subset_curve(
    pixels: Float[ndarray, "items pixels"],
    labels: Int[ndarray, " items"],
    dims: Sequence[int],
    n_draws: int = 200,
    seed: int = 0,
    *,
    progress: Progress = SILENT,
) -> Mapping[Order, SubsetCurve]:
    """Measure softmax regression on subsets of pixels: `sequential` and `random`.

    In each draw half of the items, with the same shares of classes, are learned from and the other
    half judged. `sequential` takes the first `d` pixels, top row first; `random` takes `d` pixels
    by lot. Both see the same halves, so with all pixels both curves end in the same point. Weights
    carry scikit-learn's usual L2 penalty, `C = 1`.

    Args:
        pixels: Rows are pictures with their pixels in reading order, values in `[0, 1]`.
        labels: Class of each.
        dims: Numbers of pixels to look at.
        n_draws: How often items are halved and pixels drawn.
        seed: Same seed, same curves.
        progress: Told of each draw.

    Raises:
        UsageError: If a number of pixels or draws makes no sense, or a class has but one item.
    """
    sizes = tuple(sorted(set(dims)))
    _check(pixels, labels, sizes, n_draws)
    accuracy = np.empty((len(ORDERS), n_draws, len(sizes)))
    with progress.task("Pixel subsets", n_draws, unit="draws") as task:
        for draw in range(n_draws):
            accuracy[:, draw] = _draw(pixels, labels, sizes, seed, draw)
            task.advance()
    return {
        order: SubsetCurve(sizes, found.mean(axis=0), found.std(axis=0))
        for order, found in zip(ORDERS, accuracy, strict=True)
    }


def _draw(
    pixels: Float[ndarray, "items pixels"],
    labels: Int[ndarray, " items"],
    sizes: Sequence[int],
    seed: int,
    draw: int,
) -> Float64[ndarray, "orders sizes"]:
    rng = np.random.default_rng([seed, draw])
    learn, judged = train_test_split(
        np.arange(len(labels)),
        test_size=0.5,
        stratify=labels,
        random_state=int(rng.integers(2**31)),
    )
    orders = (np.arange(pixels.shape[1]), rng.permutation(pixels.shape[1]))
    found = np.empty((len(orders), len(sizes)))
    for row, order in zip(found, orders, strict=True):
        for place, size in enumerate(sizes):
            row[place] = _accuracy(pixels[:, np.sort(order[:size])], labels, learn, judged)
    return found


def _accuracy(
    pixels: Float[ndarray, "items pixels"],
    labels: Int[ndarray, " items"],
    learn: Int64[ndarray, " learned"],
    judged: Int64[ndarray, " judged"],
) -> float:
    model = LogisticRegression(max_iter=_STEPS).fit(pixels[learn], labels[learn])
    return float(model.score(pixels[judged], labels[judged]))


def _check(
    pixels: Float[ndarray, "items pixels"],
    labels: Int[ndarray, " items"],
    sizes: Sequence[int],
    n_draws: int,
) -> None:
    if not sizes or sizes[0] < 1 or sizes[-1] > pixels.shape[1] or n_draws < 1:
        raise UsageError(
            f"{n_draws} draws of {list(sizes)} out of {pixels.shape[1]} pixels cannot be made; "
            f"give numbers from 1 to {pixels.shape[1]} and at least one draw"
        )
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 2:
        raise UsageError(
            f"classes of {counts.tolist()} items cannot be told apart on two halves; "
            "give two classes or more, each of two items or more"
        )
