"""A made-up gallery of which everything is known."""

import numpy as np

from lookalike.evaluation.truth import GroundTruth


def random_truth(
    seed: int,
    n: int = 30,
    n_classes: int = 5,
    *,
    density: float = 0.3,
    n_unknown: int = 0,
    with_maps: bool = True,
) -> GroundTruth:
    """Pictures with random labels, ids with gaps, and maps on which each label is one column."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n, n_classes)) < density
    maps = np.where(labels, np.arange(1, n_classes + 1), 0).astype(np.uint8)
    return GroundTruth(
        ids=np.sort(rng.choice(10 * n, n, replace=False)).astype(np.int64),
        labels=labels,
        label_maps=np.repeat(maps[:, None], n_classes, axis=1) if with_maps else None,
        classes=tuple(f"class {c}" for c in range(n_classes)),
        relevant_classes=frozenset(range(n_classes - 1)),
        palette=tuple((40 * c, 90, 250 - 40 * c) for c in range(n_classes + 1)),
        names=tuple(f"picture {i}" for i in range(n)),
        n_unknown=n_unknown,
    )
