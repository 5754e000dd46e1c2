"""A second look at the first hits: query expansion, and re-ranking by what they have in common.

Expansion moves the query to its own first hits, taken for relevant, and searches again:

- `average` (O. Chum, J. Philbin, J. Sivic, M. Isard, A. Zisserman, *Total Recall: Automatic Query
  Expansion with a Generative Feature Model for Object Retrieval*, ICCV 2007):
  `q' = q + sum_i x_i`, scaled to unit length;
- `alpha` (F. Radenović, G. Tolias, O. Chum, *Fine-tuning CNN Image Retrieval with No Human
  Annotation*, TPAMI 2019): `q' = q + sum_i max(0, q·x_i)^alpha x_i`.

Re-ranking compares the first hits with each other:

- `reciprocal` (Z. Zhong, L. Zheng, D. Cao, S. Li, *Re-ranking Person Re-identification with
  k-reciprocal Encoding*, CVPR 2017): two pictures are alike if they have the same neighbors, each
  among the nearest of the other;
- `diffusion` (A. Iscen, G. Tolias, Y. Avrithis, T. Furon, O. Chum, *Efficient Diffusion on Region
  Manifolds*, CVPR 2017): similarity spreads from the query over a graph of mutual neighbors,
  `f = (I - alpha S)^-1 y`.

Nothing is known of the first hits but their embeddings, so both can lead away from what is sought.
"""

from typing import Any, Final, get_args

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize
from lookalike.errors import UsageError
from lookalike.search.names import Expansion, Reranking

N_EXPANDED: Final = 5
"""Hits that an expansion takes for relevant."""

ALPHA: Final = 3.0

N_RERANKED: Final = 500
"""So many first hits are compared with each other; the others stay where they are."""

RECIPROCAL_NEIGHBORS: Final = 40
LOCAL_NEIGHBORS: Final = 6
OWN_SHARE: Final = 0.3
"""k1, k2 and lambda of Zhong et al.: neighbors, neighbors averaged, and the weight of the own
distance beside that of neighborhoods."""

DIFFUSION_NEIGHBORS: Final = 50
DIFFUSION_ALPHA: Final = 0.9
DIFFUSION_GAMMA: Final = 1.0
"""Neighbors in the graph, share that is passed on, and power of similarities."""


def check_expansion(value: Any) -> None:
    """Refuse what is no expansion.

    Raises:
        UsageError: If it is neither `None` nor one of them.
    """
    if value is not None and value not in get_args(Expansion):
        raise UsageError(f"unknown expansion {value!r}; choose 'average' or 'alpha'")


def check_reranking(value: Any) -> None:
    """Refuse what is no re-ranking.

    Raises:
        UsageError: If it is neither `None` nor one of them.
    """
    if value is not None and value not in get_args(Reranking):
        raise UsageError(f"unknown re-ranking {value!r}; choose 'reciprocal' or 'diffusion'")


def expand(
    point: Float32[ndarray, " dim"], rows: Embeddings, expansion: Expansion
) -> Float32[ndarray, " dim"]:
    """Move a unit point to the unit rows of its first hits; see above.

    Example:
        >>> expand(np.array([1, 0], np.float32), np.array([[0, 1]], np.float32), "average").round(2)
        array([0.71, 0.71], dtype=float32)
    """
    weights = np.ones(len(rows))
    if expansion == "alpha":
        weights = np.maximum(np.vecdot(rows, point), 0.0) ** ALPHA
    moved: Float32[ndarray, " dim"] = normalize(point + weights @ rows)
    return moved


def rerank(
    own: Float64[ndarray, " hits"], pairs: Float64[ndarray, "hits hits"], reranking: Reranking
) -> Int64[ndarray, " hits"]:
    """Return the new order of the first hits, as positions; equal ones keep their order.

    Args:
        own: Similarity of each hit to the query, from 0 to 1.
        pairs: Similarities of hits to each other, from 0 to 1; 1 on the diagonal.
        reranking: How.
    """
    nodes = np.ones((len(own) + 1, len(own) + 1))
    nodes[0, 1:] = nodes[1:, 0] = own
    nodes[1:, 1:] = pairs
    similar = reciprocal(nodes) if reranking == "reciprocal" else diffuse(nodes)
    # Rounded, so that what is equal but for the order of sums counts as equal.
    order: Int64[ndarray, " hits"] = np.argsort(-np.round(similar, 9), kind="stable")
    return order


def reciprocal(
    nodes: Float64[ndarray, "nodes nodes"],
    *,
    k1: int = RECIPROCAL_NEIGHBORS,
    k2: int = LOCAL_NEIGHBORS,
    own_share: float = OWN_SHARE,
) -> Float64[ndarray, " others"]:
    """Return how alike the first node and each other are by their k-reciprocal neighbors.

    `(1 - own_share) J + own_share s`, with the Jaccard index J of the two nodes' neighbors, each
    with weight `exp(s - 1)`, averaged over the `k2` nearest, and the similarity s.
    """
    distances = 1.0 - nodes
    np.fill_diagonal(distances, -1.0)  # every node is its own nearest, whatever equals it
    order = np.argsort(distances, axis=1, kind="stable")
    near, nearer = _mutual(order, k1 + 1), _mutual(order, k1 // 2 + 1)
    weights = np.where(_widened(near, nearer), np.exp(nodes - 1.0), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    averaged = weights[order[:, :k2]].mean(axis=1)
    common = np.minimum(averaged[:1], averaged[1:]).sum(axis=1)
    result: Float64[ndarray, " others"] = common / (2.0 - common) * (1 - own_share)
    return result + own_share * nodes[0, 1:]


def diffuse(
    nodes: Float64[ndarray, "nodes nodes"],
    *,
    k: int = DIFFUSION_NEIGHBORS,
    alpha: float = DIFFUSION_ALPHA,
    gamma: float = DIFFUSION_GAMMA,
) -> Float64[ndarray, " others"]:
    """Return what arrives at each other node when similarity spreads from the first one."""
    pairs = nodes[1:, 1:].copy()
    np.fill_diagonal(pairs, 0.0)
    is_edge = _mutual(np.argsort(-pairs, axis=1, kind="stable"), k)
    graph = np.where(is_edge, pairs**gamma, 0.0)
    degrees = graph.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degrees > 0, degrees, 1.0))
    spread = alpha * graph * scale[:, None] * scale
    own = nodes[0, 1:]
    source = np.where(np.arange(len(own)) < k, own**gamma, 0.0)
    arrived: Float64[ndarray, " others"] = np.linalg.solve(np.eye(len(own)) - spread, source)
    return arrived


def _mutual(order: Int64[ndarray, "nodes nodes"], k: int) -> Bool[ndarray, "nodes nodes"]:
    """Tell which nodes are among the `k` first of each other."""
    is_near = np.zeros(order.shape, bool)
    np.put_along_axis(is_near, order[:, :k], True, axis=1)
    mutual: Bool[ndarray, "nodes nodes"] = is_near & is_near.T
    return mutual


def _widened(
    near: Bool[ndarray, "nodes nodes"], nearer: Bool[ndarray, "nodes nodes"]
) -> Bool[ndarray, "nodes nodes"]:
    """Add the nearer neighbors of each neighbor where two thirds of them are neighbors anyway."""
    common = near.astype(np.float64) @ nearer.T.astype(np.float64)
    is_inside = near & (common >= 2 / 3 * nearer.sum(axis=1))
    added = is_inside.astype(np.float64) @ nearer.astype(np.float64)
    widened: Bool[ndarray, "nodes nodes"] = near | (added > 0)
    return widened
