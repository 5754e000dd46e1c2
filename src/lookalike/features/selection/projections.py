"""Projections: fewer dimensions, each made of all. They need no labels and keep no single one."""

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray
from sklearn.decomposition import PCA

from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import Features

ITQ_STEPS = 50


def pca(features: Features, n: int) -> Float32[ndarray, "dims_and_offset n"]:
    """Principal components: the `n` directions in which the items differ most.

    Returns:
        An affine map as `lookalike.dimensions` describes it; the offset takes the mean away.

    Raises:
        UsageError: If there are fewer items than dimensions wanted.

    References:
        K. Pearson, *On Lines and Planes of Closest Fit to Systems of Points in Space*, 1901.
    """
    if len(features) < n:
        raise UsageError(f"{len(features)} pictures have no {n} principal components; give more")
    found = PCA(n, svd_solver="full").fit(features.astype(np.float64))
    return _affine(found.mean_, found.components_.T)


def itq(features: Features, n: int, seed: int) -> Float32[ndarray, "dims_and_offset n"]:
    """Principal components turned so that the signs of the numbers stand for them best.

    Minimizes `||sign(V R) - V R||` over rotations `R` by 50 alternations. A rotation changes no
    angle, so rankings are those of `pca`; what it gives is a binary code, the signs, that loses
    less, and dimensions that carry about equally much.

    Raises:
        UsageError: If there are fewer items than dimensions wanted.

    References:
        Y. Gong, S. Lazebnik, *Iterative Quantization: A Procrustean Approach to Learning Binary
        Codes*, CVPR 2011.
    """
    components = pca(features, n).astype(np.float64)
    projected = features @ components[:-1] + components[-1]
    rotation = quantizing_rotation(projected, seed)
    turned: ndarray = (components @ rotation).astype(np.float32)
    return turned


def quantizing_rotation(
    projected: Float64[ndarray, "items n"], seed: int, *, steps: int = ITQ_STEPS
) -> Float64[ndarray, "n n"]:
    """The rotation of `itq`, from a random start that the seed decides."""
    n = projected.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    for _ in range(steps):
        signs = np.where(projected @ rotation >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(projected.T @ signs)
        rotation = left @ right
    return rotation


def _affine(
    mean: Float64[ndarray, " dims"], directions: Float64[ndarray, "dims n"]
) -> Float32[ndarray, "dims_and_offset n"]:
    return np.concatenate([directions, -(mean @ directions)[None]]).astype(np.float32)
