"""What FAISS offers, to be compared with the classic ways on equal terms: one query, one thread.

Every row compared (`flat`), product quantization (H. Jégou, M. Douze, C. Schmid, *Product
Quantization for Nearest Neighbor Search*, PAMI 2011), inverted lists of k-means clusters (J. Sivic,
A. Zisserman, *Video Google*, ICCV 2003), and a navigable graph (Y. A. Malkov, D. A. Yashunin,
*Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World
Graphs*, PAMI 2020).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, final

import faiss as faiss_module
import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.index.building import default_clusters

faiss: Any = faiss_module

FaissKind: TypeAlias = Literal["flat", "pq", "ivf", "hnsw"]

_DIMS_PER_CODE: Final = 4
_LINKS: Final = 32
_CONSTRUCTION: Final = 200


@final
@dataclass(frozen=True, slots=True, eq=False)
class FaissKindIndex:
    """One of FAISS's indexes as a proposer.

    Attributes:
        kind: Which.
        index: FAISS's.
        effort: `pq`: candidates for each hit; `ivf`: clusters visited; `hnsw`: length of the list
            that is kept while the graph is walked; `flat`: nothing.
        n_bytes: Memory of everything but the rows.
    """

    kind: FaissKind
    index: Any
    n_bytes: int
    effort: int | float = 1

    @classmethod
    def build(cls, rows: Embeddings, kind: FaissKind) -> "FaissKindIndex":
        """Build the index of some rows."""
        index = _empty(kind, rows.shape[1], len(rows))
        for trained in (index, getattr(index, "pq", index)):
            if hasattr(trained, "cp"):
                trained.cp.min_points_per_centroid = 1  # or FAISS complains on standard error
        padded = _padded(rows, index.d)
        index.train(padded)
        index.add(padded)
        # All but codes hold the rows, which are counted elsewhere.
        held = 0 if kind == "pq" else padded.nbytes
        return cls(kind, index, int(faiss.serialize_index(index).nbytes) - held)

    @property
    def is_exact(self) -> bool:
        """Whether every row is compared, or every cluster visited."""
        return self.kind == "flat" or (self.kind == "ivf" and self.effort >= self.index.nlist)

    def with_effort(self, effort: int | float) -> "FaissKindIndex":
        """Return the same index, searched with another effort."""
        return replace(self, effort=effort)

    def candidates(self, query: Float32[ndarray, " dim"], k: int) -> Int64[ndarray, " candidates"]:
        """Return the positions of what FAISS finds."""
        effort = int(self.effort)
        depth = min(k * effort, self.index.ntotal) if self.kind == "pq" else k
        parameters = None
        if self.kind == "ivf":
            parameters = faiss.SearchParametersIVF(nprobe=effort)
        elif self.kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=max(effort, k))
        row = _padded(query[None], self.index.d)
        found: ndarray = self.index.search(row, depth, params=parameters)[1][0]
        return found[found >= 0]


@contextmanager
def one_thread() -> Iterator[None]:
    """Have FAISS use one thread meanwhile."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _empty(kind: FaissKind, dim: int, n: int) -> Any:
    if kind == "flat":
        return faiss.IndexFlatIP(dim)
    if kind == "hnsw":
        graph = faiss.IndexHNSWFlat(dim, _LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = _CONSTRUCTION
        return graph
    if kind == "ivf":
        lists = default_clusters(n)
        return faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    codes = -(-dim // _DIMS_PER_CODE)
    bits = max(1, min(8, n.bit_length() - 1))
    return faiss.IndexPQ(codes * _DIMS_PER_CODE, codes, bits, faiss.METRIC_INNER_PRODUCT)


def _padded(rows: Embeddings, dim: int) -> Float32[ndarray, "items padded"]:
    """Append zeros, which change no inner product."""
    return np.pad(rows, ((0, 0), (0, dim - rows.shape[1]))) if rows.shape[1] < dim else rows
