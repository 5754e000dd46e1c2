"""Wrappers: searches for the dimensions on which a model does best, and their honest score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from lookalike.features.selection.aggregation import Features, Labels, aggregate, standardized
from lookalike.features.selection.filters import correlation
from lookalike.features.selection.names import Aggregate
from lookalike.features.selection.objective import (
    Objective,
    explained_share,
    make_fold,
    objective,
    parts,
)
from lookalike.features.selection.sequential import backward, forward

Search = Callable[[Objective, int, int], Int64[ndarray, " n"]]
"""An objective, the number of dimensions wanted and a seed to dimensions."""

N_OUTER: Final = 3
"""Parts of the items for the honest score."""


@dataclass(frozen=True, slots=True, eq=False)
class Wrapped:
    """What a search found.

    Attributes:
        dims: The dimensions, ascending.
        searched: `J` of these dimensions in the cross-validation that was searched. Too good: the
            search kept what scored well there, by luck too.
        nested: `J` on items that took no part in the search: the search is made anew on two thirds
            of the items, three times, and judged on the rest.
    """

    dims: Int64[ndarray, " n"]
    searched: float
    nested: float


def wrap(
    search: Search, features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> Wrapped:
    """Search on all items, and say honestly how well the search does.

    Raises:
        UsageError: If there are too few items for the parts.
    """
    judge = objective(features, labels, how, seed=seed)
    dims = np.sort(search(judge, n, seed))
    nested = nested_score(search, features, labels, n, how, seed)
    return Wrapped(dims, float(judge.scores(dims[None])[0]), nested)


def nested_score(
    search: Search, features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> float:
    """`J` of a search, measured on items that it did not see.

    References:
        G. C. Cawley, N. L. C. Talbot, *On Over-fitting in Model Selection and Subsequent Selection
        Bias in Performance Evaluation*, JMLR 11, 2010.
    """
    scaled, truth = standardized(features), labels.astype(np.float64)
    errors = np.zeros(labels.shape[1])
    for learn, judged in parts(len(features), N_OUTER, seed + 1):
        inner = objective(features[learn], labels[learn], how, seed=seed)
        dims = search(inner, n, seed)
        errors += make_fold(scaled, truth, learn, judged).errors(dims[None])[:, 0]
    variance = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return float(aggregate(explained_share(errors[:, None], variance), labels, how)[0])


def genetic(
    judge: Objective,
    n: int,
    seed: int,
    *,
    population: int = 40,
    generations: int = 40,
    crossover: float = 0.8,
    elite: int = 2,
) -> Int64[ndarray, " n"]:
    """Breed sets of dimensions: the better of random pairs mate, the best survive.

    A chromosome is a mask of exactly `n` ones, so no penalty for size is needed. A child keeps what
    both parents chose and draws the rest from what one of them did; each of its dimensions is
    exchanged for another with probability `1 / n`.

    Args:
        judge: Scores a set.
        n: Dimensions of a set.
        seed: Same seed, same answer.
        population: Sets in a generation.
        generations: How often they are replaced.
        crossover: Share of children with two parents.
        elite: Best sets that live on unchanged.

    References:
        W. Siedlecki, J. Sklansky, *A Note on Genetic Algorithms for Large-scale Feature Selection*,
        Pattern Recognition Letters 10, 1989.
    """
    rng = np.random.default_rng(seed)
    masks = _top(rng.random((population, judge.n_dims)), n)
    for _ in range(generations):
        scores = judge.scores(_dims(masks))
        best = masks[np.argsort(-scores, kind="stable")[:elite]]
        children = _children(rng, masks, scores, population - elite, crossover)
        masks = np.concatenate([best, _mutated(rng, children)])
    found: ndarray = _dims(masks)[int(np.argmax(judge.scores(_dims(masks))))]
    return found


def ant_colony(
    judge: Objective,
    n: int,
    seed: int,
    *,
    ants: int = 30,
    rounds: int = 40,
    trail: float = 1.0,
    heuristic: float = 1.0,
    evaporation: float = 0.15,
) -> Int64[ndarray, " n"]:
    """Let ants gather dimensions, led by what others found good and by a filter.

    Each ant draws `n` dimensions one by one with probability proportional to
    `tau^trail * eta^heuristic`, `eta` being the correlation filter on the items of the objective.
    Then `tau <- (1 - evaporation) tau + sum over ants of their deposits`; an ant leaves
    `max(J, 0) / ants` on each dimension that it chose, and the best so far is strengthened once
    more. No trail falls below a hundredth, so nothing is ever lost for good.

    Args:
        judge: Scores a set.
        n: Dimensions of a set.
        seed: Same seed, same answer.
        ants: Sets in a round.
        rounds: How often the trail is renewed.
        trail: The exponent alpha.
        heuristic: The exponent beta.
        evaporation: The share rho.

    References:
        M. Dorigo, T. Stützle, *Ant Colony Optimization*, MIT Press, 2004. M. H. Aghdam, N.
        Ghasem-Aghaee, M. E. Basiri, *Text Feature Selection Using Ant Colony Optimization*, Expert
        Systems with Applications 36, 2009.
    """
    rng = np.random.default_rng(seed)
    eta = _heuristic(judge) ** heuristic
    tau = np.ones(judge.n_dims)
    best, best_score = np.zeros(judge.n_dims, bool), -np.inf
    for _ in range(rounds):
        # The largest of log-weights with Gumbel noise are a draw without replacement, one by one.
        noise = rng.gumbel(size=(ants, judge.n_dims))
        masks = _top(np.log(tau**trail * eta) + noise, n)
        scores = judge.scores(_dims(masks))
        if scores.max() > best_score:
            best, best_score = masks[int(np.argmax(scores))], float(scores.max())
        deposits = np.maximum(scores, 0) @ masks / ants + max(best_score, 0.0) * best
        tau = np.maximum((1 - evaporation) * tau + deposits, 0.01)
    return np.flatnonzero(best).astype(np.int64)


SEARCHES: Final[Mapping[str, Search]] = {
    "forward": forward,
    "backward": backward,
    "genetic": genetic,
    "ant-colony": ant_colony,
}


def _top(keys: Float64[ndarray, "sets dims"], n: int) -> Bool[ndarray, "sets dims"]:
    """Mark the `n` largest keys of each row."""
    masks = np.zeros(keys.shape, bool)
    np.put_along_axis(masks, np.argsort(-keys, axis=1, kind="stable")[:, :n], True, axis=1)
    return masks


def _dims(masks: Bool[ndarray, "sets dims"]) -> Int64[ndarray, "sets chosen"]:
    return np.nonzero(masks)[1].reshape(len(masks), -1).astype(np.int64)


def _children(
    rng: np.random.Generator,
    masks: Bool[ndarray, "sets dims"],
    scores: Float64[ndarray, " sets"],
    n_children: int,
    crossover: float,
) -> Bool[ndarray, "children dims"]:
    """What both parents chose first, then what one of them did, by lot."""
    rivals = rng.integers(0, len(masks), (2, n_children, 2))
    parents = np.take_along_axis(rivals, np.argmax(scores[rivals], axis=2)[..., None], axis=2)
    first, second = masks[parents[..., 0]]
    second = np.where(rng.random((n_children, 1)) < crossover, second, first)
    lots = rng.random(first.shape)
    return _top(lots + 2.0 * first + 2.0 * second, int(masks[0].sum()))


def _mutated(
    rng: np.random.Generator, masks: Bool[ndarray, "children dims"]
) -> Bool[ndarray, "children dims"]:
    """Exchange each dimension of a child with probability `1 / n` for one it has not, by lot."""
    n = int(masks[0].sum())
    leaves = masks & (rng.random(masks.shape) < 1 / n)
    return _top(rng.random(masks.shape) + 2.0 * (masks & ~leaves) - 2.0 * leaves, n)


def _heuristic(judge: Objective) -> Float64[ndarray, " dims"]:
    """The correlation filter; every item is judged on in one fold, so all are looked at."""
    features = np.concatenate([fold.features for fold in judge.folds])
    labels = np.concatenate([fold.labels for fold in judge.folds]) > 0
    scores = aggregate(correlation(features, labels, 0), labels, judge.how)
    floored: ndarray = np.maximum(scores, 1e-3)
    return floored
