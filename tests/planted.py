"""Features of which a few tell the labels and the others are noise."""

import numpy as np

INFORMATIVE = (1, 4, 7)
N_DIMS = 12


def planted(rng: np.random.Generator, n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Features, all above 0, and three labels of differing frequency.

    Dimension 1, 4 and 7 each tell one label; 0 never varies; the others are noise.
    """
    labels = rng.random((n, 3)) < (0.5, 0.3, 0.2)
    features = rng.exponential(size=(n, N_DIMS))
    for label, dimension in enumerate(INFORMATIVE):
        features[:, dimension] = rng.exponential(size=n) * 0.5 + 3 * labels[:, label]
    features[:, 0] = 2.0
    return features.astype(np.float32), labels
