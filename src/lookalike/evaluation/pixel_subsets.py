"""Figure 3 of the published experiments: a classifier that sees some of the pixels.

The paper does not name its pictures. Its curve for pixels taken in order, flat to about 100
dimensions and near 1 above 400, is what handwritten digits of 28 × 28 pixels with a blank margin
give, so such digits are used here: those that come with scikit-learn, enlarged and centered as
MNIST's are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.progress import SILENT, Progress

_SIDE: Final = 28
_INNER: Final = 20
_ITERATIONS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class SubsetCurve:
    """Accuracy on held-out pictures against the number of pixels.

    Attributes:
        dims: Numbers of pixels, ascending.
        sequential: Accuracy with the first pixels, row by row from the upper left.
        random_mean: Mean accuracy with pixels drawn at random.
        random_deviation: Standard deviation over the draws.
        n_draws: Draws of each number of pixels.
    """

    dims: tuple[int, ...]
    sequential: Float64[ndarray, " dims"]
    random_mean: Float64[ndarray, " dims"]
    random_deviation: Float64[ndarray, " dims"]
    n_draws: int


def pixel_subset_curve(
    pixels: Float64[ndarray, "pictures dim"],
    labels: Int64[ndarray, " pictures"],
    dims: Sequence[int],
    *,
    n_draws: int = 200,
    n_learned: int = 400,
    seed: int = 0,
    progress: Progress = SILENT,
) -> SubsetCurve:
    """Accuracy of softmax regression on the first `d` pixels, and on `d` pixels drawn at random.

    `p(y = c) ∝ exp(w_c · x + b_c)`, fitted with an L2 penalty of weight 1 on the sum of losses, on
    pixels divided by their common largest value. With all pixels the two are the same set, so both
    curves must end in the same point; that the paper's end at 1 and at 0.75 cannot be.

    Args:
        pixels: One flattened picture per row, values of at least 0.
        labels: Class of each picture.
        dims: Numbers of pixels.
        n_draws: Random subsets of each number; one will do where all pixels are taken.
        n_learned: Pictures to learn from, drawn once; accuracy is measured on all others.
        seed: Of the division and the subsets.
        progress: Told of each fit.

    Raises:
        UsageError: If a number of pixels is out of range, or no picture is left to measure on.
    """
    dim = pixels.shape[1]
    if not dims or min(dims) < 1 or max(dims) > dim or not 1 <= n_learned < len(pixels):
        raise UsageError(
            f"dims {list(dims)} and n_learned {n_learned} do not fit {len(pixels)} pictures of "
            f"{dim} pixels; take 1 to {dim} pixels and learn from fewer pictures than there are"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pixels))
    scaled = pixels[order] / max(float(pixels.max()), 1e-12)
    split = (scaled[:n_learned], labels[order[:n_learned]], scaled[n_learned:],
             labels[order[n_learned:]])  # fmt: skip
    ascending = sorted(set(dims))
    sequential, means, deviations = [], [], []
    with progress.task("Fitting pixel subsets", len(ascending) * n_draws, unit="fits") as task:
        for d in ascending:
            sequential.append(_accuracy(split, np.arange(d)))
            draws = []
            for _ in range(n_draws if d < dim else 1):
                draws.append(_accuracy(split, rng.permutation(dim)[:d]))
                task.advance()
            means.append(float(np.mean(draws)))
            deviations.append(float(np.std(draws)))
    return SubsetCurve(
        tuple(ascending), np.array(sequential), np.array(means), np.array(deviations), n_draws
    )


def framed_digits() -> tuple[Float64[ndarray, "pictures dim"], Int64[ndarray, " pictures"]]:
    """Return the 1,797 digits of scikit-learn, 8 × 8, enlarged to 20 × 20 inside 28 × 28 pixels.

    Nothing is downloaded. Enlarged bilinearly, values from 0 to 16; the margin of four pixels is
    blank, so the first 112 pixels in order tell nothing.

    References:
        E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning
        Repository, 1998.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 - a second that only this needs

    digits = load_digits()
    places = np.clip((np.arange(_INNER) + 0.5) * 8 / _INNER - 0.5, 0, 7)
    low = np.minimum(places.astype(np.int64), 6)
    weights = np.zeros((_INNER, 8))
    weights[np.arange(_INNER), low] = 1 - (places - low)
    weights[np.arange(_INNER), low + 1] = places - low
    framed = np.zeros((len(digits.images), _SIDE, _SIDE))
    margin = (_SIDE - _INNER) // 2
    inner = slice(margin, margin + _INNER)
    framed[:, inner, inner] = weights @ digits.images @ weights.T
    return framed.reshape(len(framed), -1), digits.target.astype(np.int64)


def _accuracy(split: tuple[ndarray, ndarray, ndarray, ndarray], chosen: ndarray) -> float:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    learned, its_labels, measured, true = split
    # A sorted subset makes the same fit of the same set, in whatever order it was drawn.
    columns = np.sort(chosen)
    model = LogisticRegression(max_iter=_ITERATIONS, tol=1e-3)
    model.fit(learned[:, columns], its_labels)
    return float((model.predict(measured[:, columns]) == true).mean())
