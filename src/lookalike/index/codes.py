"""Compressed embeddings that a processor scans at a few nanoseconds each.

Two dimensions become four bits (product quantization; H. Jégou, M. Douze, C. Schmid, *Product
Quantization for Nearest Neighbor Search*, PAMI 2011), which are compared through tables held in
registers (fast scan; F. André, A.-M. Kermarrec, N. Le Scouarnec, *Cache locality is not enough*,
VLDB 2015). What they select is always compared again with the rows themselves. FAISS does the
work; rows of an odd dimension get a zero appended, which changes no inner product.
"""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, Final, final

import faiss as faiss_module
import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import DamagedCollectionError

faiss: Any = faiss_module
"""FAISS; the type stubs that come with it are far from what it takes in Python."""

_ALL_THREADS: Final[int] = faiss.omp_get_max_threads()
_WORTH_THREADS: Final = 20_000
"""Rows from which on training and compressing use several threads."""

_POINTS_PER_CLUSTER: Final = 64
"""Rows per k-means center that training looks at; more takes longer and gains nothing."""

_FEW_CLUSTERS: Final = 100

_MANY_CLUSTERS: Final = 1_000
"""From so many on, the nearest centers are found by codes of their own and then compared."""

_CENTER_REFINE: Final = 2
"""Centers compared exactly for each one wanted."""

_LENGTH: Final = 8
"""Bytes that tell the length of a part."""

_LEAST_TRAINING: Final = 64
"""Quantizers have 16 centers; smaller samples are repeated."""

_BLOCK: Final = 1 << 16
"""Rows compressed at once."""


def training_size(n: int, n_clusters: int) -> int:
    """Return how many of `n` rows training should see."""
    return min(n, max(1 << 14, _POINTS_PER_CLUSTER * n_clusters))


@final
class FlatCodes:
    """The codes of all rows in stored order, compared one after the other."""

    def __init__(self, index: Any) -> None:
        self.faiss_index = index

    @classmethod
    def train(cls, sample: Embeddings, seed: int) -> "FlatCodes":
        """Learn the quantizer; the codes are still to be added."""
        index = faiss.index_factory(
            _even(sample.shape[1]), _code_name(sample.shape[1]), faiss.METRIC_INNER_PRODUCT
        )
        _prepare(index.pq.cp, seed)
        use_threads(len(sample))
        index.train(_training_rows(sample))
        return cls(index)

    @classmethod
    def from_bytes(cls, content: UInt8[ndarray, " bytes"]) -> "FlatCodes":
        """Read what `to_bytes` gave; DamagedCollectionError if it is something else."""
        return cls(_deserialize(content, faiss.IndexPQFastScan))

    def to_bytes(self) -> bytes:
        """Return everything in FAISS's own format."""
        return bytes(faiss.serialize_index(self.faiss_index))

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    def add(self, rows: Embeddings) -> Iterator[int]:
        """Append the codes of `rows`; yields the number of rows done, block by block."""
        yield from _add(self.faiss_index, rows)

    def nearest(self, query: Float32[ndarray, " dim"], depth: int) -> Int64[ndarray, " found"]:
        """Return the positions of about the `depth` best rows, in no order."""
        row = _even_rows(query[None])
        use_threads(1)
        positions: ndarray = self.faiss_index.search(row, min(depth, len(self)))[1][0]
        return positions[positions >= 0]


@final
class ClusteredCodes:
    """The codes in k-means lists: an inverted file (J. Sivic, A. Zisserman, *Video Google*, 2003).

    Centers are unit vectors found by spherical k-means, started like k-means++ (O. Bachem et al.,
    *Fast and Provably Good Seedings for k-Means*, NIPS 2016); codes hold the difference to the
    center.
    """

    def __init__(self, index: Any, center_codes: Any) -> None:
        self.faiss_index = index
        self._center_codes = center_codes

    @classmethod
    def train(cls, sample: Embeddings, n_clusters: int, seed: int) -> "ClusteredCodes":
        """Learn clusters and quantizer; the codes are still to be added."""
        name = f"IVF{n_clusters},{_code_name(sample.shape[1])}r"
        index = faiss.index_factory(_even(sample.shape[1]), name, faiss.METRIC_INNER_PRODUCT)
        _prepare(index.cp, seed)
        index.cp.spherical = True
        index.cp.max_points_per_centroid = _POINTS_PER_CLUSTER
        index.cp.init_method = faiss.ClusteringInitMethod_AFK_MC2
        # Where it costs nothing, keep the best of several runs.
        index.cp.nredo = 5 if n_clusters < _FEW_CLUSTERS else 1
        _prepare(index.pq.cp, seed)
        use_threads(len(sample))
        index.train(_training_rows(sample))
        return cls(index, _center_codes(index, seed) if n_clusters >= _MANY_CLUSTERS else None)

    @classmethod
    def from_bytes(cls, content: UInt8[ndarray, " bytes"]) -> "ClusteredCodes":
        """Read what `to_bytes` gave; DamagedCollectionError if it is something else."""
        size = int.from_bytes(content[:_LENGTH].tobytes(), "little")
        end = _LENGTH + size
        codes = _deserialize(content[end:], faiss.IndexIVFPQFastScan)
        if not size:
            return cls(codes, None)
        return cls(codes, _deserialize(content[_LENGTH:end], faiss.IndexPQFastScan))

    def to_bytes(self) -> bytes:
        """Return everything in FAISS's own format: length and codes of the centers, the rest."""
        centers = b""
        if self._center_codes is not None:
            centers = bytes(faiss.serialize_index(self._center_codes))
        length = len(centers).to_bytes(_LENGTH, "little")
        return length + centers + bytes(faiss.serialize_index(self.faiss_index))

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    def add(self, rows: Embeddings) -> Iterator[int]:
        """Append the codes of `rows`; yields the number of rows done, block by block."""
        yield from _add(self.faiss_index, rows)

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.faiss_index.nlist)

    @cached_property
    def sizes(self) -> Int64[ndarray, " clusters"]:
        """Members of each cluster."""
        lists = self.faiss_index.invlists
        return np.array([lists.list_size(i) for i in range(self.n_clusters)], np.int64)

    @cached_property
    def cluster_of(self) -> Int32[ndarray, " stored"]:
        """Cluster of each row."""
        clusters = np.empty(len(self), np.int32)
        for cluster in range(self.n_clusters):
            clusters[self.members(cluster)] = cluster
        return clusters

    def members(self, cluster: int) -> Int64[ndarray, " members"]:
        """Return the positions in a cluster in the order in which it holds them, ascending."""
        size = int(self.sizes[cluster])
        if size == 0:
            return np.empty(0, np.int64)
        # A copy, since the memory belongs to FAISS.
        return np.array(faiss.rev_swig_ptr(self.faiss_index.invlists.get_ids(cluster), size))

    def nearest_clusters(
        self, query: Float32[ndarray, " dim"], count: int
    ) -> tuple[Int64[ndarray, " found"], Float32[ndarray, " found"]]:
        """Return about the `count` clusters nearest to the query, nearest first, and how near.

        All of them in their exact order if `count` is their number. Nearness is the inner product
        with the center.
        """
        row = _even_rows(query[None])
        use_threads(1)
        if self._center_codes is None or count >= self.n_clusters:
            nearness, clusters = self.faiss_index.quantizer.search(row, min(count, self.n_clusters))
        else:
            nearness, clusters = self._refined_centers.search(row, count)
        return clusters[0], nearness[0]

    @cached_property
    def _refined_centers(self) -> Any:
        centers = self.faiss_index.quantizer.reconstruct_n(0, self.n_clusters)
        refined = faiss.IndexRefineFlat(self._center_codes, faiss.swig_ptr(centers))
        refined.k_factor = _CENTER_REFINE
        return refined

    def nearest(
        self,
        query: Float32[ndarray, " dim"],
        clusters: Int64[ndarray, " probed"],
        nearness: Float32[ndarray, " probed"],
        depth: int,
        passing: Any = None,
    ) -> Int64[ndarray, " found"]:
        """Return the positions of about the `depth` best rows of the `clusters`, in no order.

        Args:
            query: A unit row.
            clusters: Which to visit.
            nearness: Inner product of the query with their centers.
            depth: How many rows are wanted.
            passing: What `selector` gave; `None` if everything passes.
        """
        row = _even_rows(query[None])
        use_threads(1)
        found, scores = np.empty(depth, np.int64), np.empty(depth, np.float32)
        parameters = _probing(len(clusters))
        if passing is not None:
            parameters = faiss.SearchParametersIVF(nprobe=len(clusters), sel=passing)
        pointers = [faiss.swig_ptr(a) for a in (clusters, nearness, scores, found)]
        self.faiss_index.search_preassigned_c(
            1, faiss.swig_ptr(row), depth, *pointers, False, parameters
        )
        # Where it finds fewer, FAISS fills up the end.
        return found if found[-1] >= 0 else found[found >= 0]

    def selector(self, positions: Int64[ndarray, " passing"]) -> Any:
        """Return a filter that lets only the rows at `positions` pass."""
        mask = np.zeros(len(self), bool)
        mask[positions] = True
        return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _center_codes(index: Any, seed: int) -> Any:
    """Compress the centers too: finding the nearest among thousands takes most of a query."""
    codes = faiss.index_factory(index.d, _code_name(index.d), faiss.METRIC_INNER_PRODUCT)
    _prepare(codes.pq.cp, seed)
    centers = index.quantizer.reconstruct_n(0, index.nlist)
    codes.train(centers)
    codes.add(centers)
    return codes


def exact_neighbors(
    rows: Embeddings, queries: Float32[ndarray, "queries dim"], k: int
) -> Int64[ndarray, "queries k"]:
    """Return the positions of the `k` best rows of each query, as fast as it can be done exactly.

    Near ties may be in another order than an index would give, since whole matrices are multiplied.
    """
    use_threads(len(rows))
    neighbors: ndarray = faiss.knn(queries, rows, k, metric=faiss.METRIC_INNER_PRODUCT)[1]
    return neighbors


@lru_cache(maxsize=1024)
def _probing(n_clusters: int) -> Any:
    """Return parameters of a call; those of the index would be shared by all threads."""
    return faiss.SearchParametersIVF(nprobe=n_clusters)


def use_threads(n_rows: int) -> None:
    """Let FAISS use all threads for much work, and one for a query.

    A query takes less time than threads need to meet, the more so on a busy machine; several
    queries are answered by several threads of the caller. The setting is one of the calling
    thread, so it is made anew each time; that takes less than a microsecond.
    """
    faiss.omp_set_num_threads(_ALL_THREADS if n_rows >= _WORTH_THREADS else 1)


def _prepare(clustering: Any, seed: int) -> None:
    clustering.seed = seed
    # Small collections are fine: without this FAISS writes a warning to standard error.
    clustering.min_points_per_centroid = 1


def _code_name(dim: int) -> str:
    return f"PQ{_even(dim) // 2}x4fs"


def _even(dim: int) -> int:
    return dim + dim % 2


def _even_rows(rows: Float32[ndarray, "items dim"]) -> Float32[ndarray, "items even_dim"]:
    if rows.shape[1] % 2 == 0:
        return np.ascontiguousarray(rows)
    padded = np.zeros((len(rows), rows.shape[1] + 1), np.float32)
    padded[:, :-1] = rows
    return padded


def _training_rows(sample: Embeddings) -> Float32[ndarray, "repeated even_dim"]:
    rows = _even_rows(sample)
    return np.resize(rows, (max(len(rows), _LEAST_TRAINING), rows.shape[1]))


def _add(index: Any, rows: Embeddings) -> Iterator[int]:
    for start in range(0, len(rows), _BLOCK):
        # At each step, since the caller may search in between.
        use_threads(len(rows))
        block = rows[start : start + _BLOCK]
        index.add(_even_rows(block))
        yield len(block)


def _deserialize(content: UInt8[ndarray, " bytes"], kind: type) -> Any:
    try:
        index = faiss.deserialize_index(content)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise DamagedCollectionError(f"the codes of an index cannot be read: {reason}") from error
    if not isinstance(index, kind):
        raise DamagedCollectionError(
            f"the codes of an index are of the kind {type(index).__name__}, not {kind.__name__}"
        )
    return index
