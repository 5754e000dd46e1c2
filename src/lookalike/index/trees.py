"""Trees that are searched branch by branch, the most promising first.

- `KdTree`: halves at the median of the coordinate that varies most (J. L. Bentley,
  *Multidimensional Binary Search Trees Used for Associative Searching*, CACM 1975; J. H. Friedman,
  J. L. Bentley, R. A. Finkel, *An Algorithm for Finding Best Matches in Logarithmic Expected Time*,
  TOMS 1977), searched best bin first (J. S. Beis, D. G. Lowe, *Shape Indexing Using Approximate
  Nearest-Neighbour Search in High-Dimensional Spaces*, CVPR 1997).
- `KMeansTree`: k-means, and k-means within each cluster, down to small ones (K. Fukunaga, P. M.
  Narendra, *A Branch and Bound Algorithm for Computing k-Nearest Neighbors*, IEEE Transactions on
  Computers 1975; D. Nistér, H. Stewénius, *Scalable Recognition with a Vocabulary Tree*, CVPR
  2006), with a queue of the branches that were passed by (M. Muja, D. G. Lowe, *Scalable Nearest
  Neighbor Algorithms for High Dimensional Data*, PAMI 2014).
- `SciPyTree`: the KD-tree of SciPy, in C++, exact or within a factor of the true distances.

Both of the first stop when so many rows were compared, their effort. Without limit they are exact:
they leave out only branches that cannot hold anything nearer than what is found.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray
from scipy.spatial import cKDTree

from lookalike.arrays import Embeddings
from lookalike.index.classic import EVERYTHING

LEAF: Final = 32
"""Rows in a leaf, at most; comparing them takes about as long as one step down."""

BRANCHING: Final = 32
_ITERATIONS: Final = 11
"""Both as in FLANN."""

_TINY: Final = 1e-6
"""Squared distances of float32 unit rows are no more exact than this."""


class Branch(NamedTuple):
    """A part of a tree that is still to be looked at.

    Attributes:
        priority: The lower, the earlier.
        bound: Nothing in it is nearer to the query, as a squared distance.
        node: Its number.
        offsets: How far the query lies outside of it in each coordinate; KD-trees only.
    """

    priority: float
    bound: float
    node: int
    offsets: Float64[ndarray, " dim"] | None = None


class Nodes(NamedTuple):
    """The shape of a tree: leaves are slices of `order`, inner nodes have children.

    Attributes:
        order: Positions of the rows, leaf after leaf.
        starts: First place of each node in `order`.
        stops: Place after its last.
        children: Numbers of the children of each node, none of a leaf.
    """

    order: Int64[ndarray, " rows"]
    starts: list[int]
    stops: list[int]
    children: list[list[int]]

    def members(self, node: int) -> Int64[ndarray, " members"]:
        """Return the positions of the rows of a node."""
        return self.order[self.starts[node] : self.stops[node]]

    def add(self, start: int, stop: int) -> int:
        """Add a node without children; return its number."""
        self.starts.append(start)
        self.stops.append(stop)
        self.children.append([])
        return len(self.starts) - 1

    @property
    def n_bytes(self) -> int:
        """Memory, as a compact layout would need it: three numbers of 4 bytes for each node."""
        return self.order.nbytes + 12 * len(self.starts)


@final
@dataclass(frozen=True, slots=True, eq=False)
class KdTree:
    """A KD-tree searched best bin first.

    Attributes:
        rows: What it was built from.
        nodes: Its shape.
        axes: Coordinate that each inner node is halved by.
        cuts: Where; the first child lies at or below.
        effort: So many rows are compared, or all that need be.
    """

    rows: Embeddings
    nodes: Nodes
    axes: list[int]
    cuts: list[float]
    effort: int | float = EVERYTHING

    @classmethod
    def build(cls, rows: Embeddings, leaf: int = LEAF) -> "KdTree":
        """Build the tree of some rows, one or more."""
        tree = cls(rows, Nodes(np.arange(len(rows)), [], [], []), [], [])
        waiting = [tree._add(0, len(rows))]
        while waiting:
            node = waiting.pop()
            if len(tree.nodes.members(node)) > leaf:
                waiting.extend(tree._halve(node))
        return tree

    def _add(self, start: int, stop: int) -> int:
        self.axes.append(-1)
        self.cuts.append(0.0)
        return self.nodes.add(start, stop)

    def _halve(self, node: int) -> list[int]:
        start, stop = self.nodes.starts[node], self.nodes.stops[node]
        members = self.nodes.members(node)
        axis = int(self.rows[members].var(axis=0).argmax())
        middle = (stop - start) // 2
        order = np.argpartition(self.rows[members, axis], middle)
        self.nodes.order[start:stop] = members[order]
        self.axes[node] = axis
        self.cuts[node] = float(self.rows[self.nodes.order[start + middle], axis])
        children = [self._add(start, start + middle), self._add(start + middle, stop)]
        self.nodes.children[node].extend(children)
        return children

    @property
    def is_exact(self) -> bool:
        """Whether no limit is set."""
        return self.effort >= len(self.rows)

    @property
    def n_bytes(self) -> int:
        """Memory of everything but the rows."""
        return self.nodes.n_bytes + 8 * len(self.axes)

    def with_effort(self, effort: int | float) -> "KdTree":
        """Return the same tree, of which another number of rows is compared."""
        return replace(self, effort=effort)

    def candidates(self, query: Float32[ndarray, " dim"], k: int) -> Int64[ndarray, " candidates"]:
        """Return the positions of all rows that were compared."""
        root = Branch(0.0, 0.0, 0, np.zeros(len(query)))
        return best_first(self, query, k, root)

    def branches(self, query: Float32[ndarray, " dim"], branch: Branch) -> Iterator[Branch]:
        """Give the children of a branch that has some; both by the distance to their box."""
        near, far = self.nodes.children[branch.node]
        axis, offsets = self.axes[branch.node], branch.offsets
        beyond = float(query[axis]) - self.cuts[branch.node]
        if beyond > 0:
            near, far = far, near
        yield branch._replace(node=near)
        if offsets is not None:
            # The box of the far half is this much farther than the one around both halves (S. Arya,
            # D. M. Mount, *Algorithms for Fast Vector Quantization*, DCC 1993).
            bound = branch.bound - float(offsets[axis]) ** 2 + beyond**2
            moved = offsets.copy()
            moved[axis] = beyond
            yield Branch(bound, bound, far, moved)


@final
@dataclass(frozen=True, slots=True, eq=False)
class KMeansTree:
    """A hierarchy of k-means clusters.

    Attributes:
        rows: What it was built from.
        nodes: Its shape.
        centers: Mean of each node.
        radii: Distance of the farthest row from it.
        effort: So many rows are compared, or all that need be.
    """

    rows: Embeddings
    nodes: Nodes
    centers: Float32[ndarray, "nodes dim"]
    radii: Float64[ndarray, " nodes"]
    effort: int | float = EVERYTHING

    @classmethod
    def build(
        cls, rows: Embeddings, branching: int = BRANCHING, leaf: int = LEAF, seed: int = 0
    ) -> "KMeansTree":
        """Build the tree of some rows, one or more."""
        rng = np.random.default_rng(seed)
        nodes = Nodes(np.arange(len(rows)), [], [], [])
        waiting = [nodes.add(0, len(rows))]
        while waiting:
            node = waiting.pop()
            if len(nodes.members(node)) > max(leaf, branching):
                waiting.extend(_split(rows, nodes, node, branching, rng))
        every = [rows[nodes.members(node)] for node in range(len(nodes.starts))]
        centers = np.stack([part.mean(axis=0) for part in every])
        radii = [
            float(np.linalg.norm(part - center, axis=1).max())
            for part, center in zip(every, centers, strict=True)
        ]
        return cls(rows, nodes, centers, np.array(radii))

    @property
    def is_exact(self) -> bool:
        """Whether no limit is set."""
        return self.effort >= len(self.rows)

    @property
    def n_bytes(self) -> int:
        """Memory of everything but the rows."""
        return self.nodes.n_bytes + self.centers.nbytes + self.radii.nbytes

    def with_effort(self, effort: int | float) -> "KMeansTree":
        """Return the same tree, of which another number of rows is compared."""
        return replace(self, effort=effort)

    def candidates(self, query: Float32[ndarray, " dim"], k: int) -> Int64[ndarray, " candidates"]:
        """Return the positions of all rows that were compared."""
        return best_first(self, query, k, Branch(0.0, 0.0, 0))

    def branches(self, query: Float32[ndarray, " dim"], branch: Branch) -> Iterator[Branch]:
        """Give the children of a branch that has some, by the distance to their center."""
        children = self.nodes.children[branch.node]
        apart = np.linalg.norm(self.centers[children] - query, axis=1)
        bounds = np.maximum(apart - self.radii[children] - _TINY, 0.0) ** 2
        for child, distance, bound in zip(children, apart.tolist(), bounds.tolist(), strict=True):
            yield Branch(distance, bound, child)


@final
@dataclass(frozen=True, slots=True, eq=False)
class SciPyTree:
    """The KD-tree of SciPy.

    Attributes:
        tree: SciPy's.
        effort: Neighbors may be farther than the true ones by a factor of 1 / effort: 1 is exact,
            0.5 lets them be twice as far (`eps` is 1 / effort - 1).
    """

    tree: Any
    effort: int | float = 1.0

    @classmethod
    def build(cls, rows: Embeddings) -> "SciPyTree":
        """Build the tree of some rows."""
        return cls(cKDTree(rows, leafsize=LEAF))

    @property
    def is_exact(self) -> bool:
        """Whether true distances are asked for."""
        return self.effort >= 1

    @property
    def n_bytes(self) -> int:
        """Memory of its own copy of the rows, in double precision, their order, and its nodes."""
        return int(self.tree.data.nbytes + self.tree.indices.nbytes + 72 * self.tree.size)

    def with_effort(self, effort: int | float) -> "SciPyTree":
        """Return the same tree, searched within another factor."""
        return replace(self, effort=effort)

    def candidates(self, query: Float32[ndarray, " dim"], k: int) -> Int64[ndarray, " candidates"]:
        """Return the positions of the `k` nearest, within the factor."""
        _, found = self.tree.query(query, k=np.arange(1, k + 1), eps=1 / self.effort - 1)
        positions: ndarray = found.astype(np.int64)
        return positions


def best_first(
    tree: KdTree | KMeansTree, query: Float32[ndarray, " dim"], k: int, root: Branch
) -> Int64[ndarray, " compared"]:
    """Go down the most promising branch until enough rows are compared or none can be nearer."""
    queue: list[tuple[float, int, Branch]] = [(0.0, 0, root)]
    compared: list[Int64[ndarray, "_"]] = []
    nearest = np.full(k, np.inf)
    n_compared = n_pushed = 0
    while queue and n_compared < tree.effort:
        branch = heapq.heappop(queue)[2]
        if branch.bound > nearest[-1] + _TINY:
            continue
        if tree.nodes.children[branch.node]:
            for child in tree.branches(query, branch):
                n_pushed += 1
                heapq.heappush(queue, (child.priority, n_pushed, child))
            continue
        members = tree.nodes.members(branch.node)
        apart = ((tree.rows[members] - query) ** 2).sum(axis=1)
        nearest = np.sort(np.concatenate([nearest, apart]))[:k]
        compared.append(members)
        n_compared += len(members)
    return np.concatenate(compared)


def _split(
    rows: Embeddings, nodes: Nodes, node: int, branching: int, rng: np.random.Generator
) -> list[int]:
    """Cluster the rows of a node; equal rows, which cannot be, stay together as they are."""
    start = nodes.starts[node]
    members = nodes.members(node)
    clusters = _k_means(rows[members], branching, rng)
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters, minlength=branching)
    sizes = sizes[sizes > 0]
    if len(sizes) < 2:
        return []
    nodes.order[start : start + len(members)] = members[order]
    stops = start + np.cumsum(sizes)
    children = [
        nodes.add(int(stop - size), int(stop)) for stop, size in zip(stops, sizes, strict=True)
    ]
    nodes.children[node].extend(children)
    return children


def _k_means(
    rows: Embeddings, n_clusters: int, rng: np.random.Generator
) -> Int64[ndarray, " rows"]:
    """Return the cluster of each row after a few rounds of Lloyd's algorithm from random rows."""
    centers = rows[rng.choice(len(rows), n_clusters, replace=False)]
    for _ in range(_ITERATIONS):
        nearest = (2 * rows @ centers.T - (centers**2).sum(axis=1)).argmax(axis=1)
        sums = np.zeros_like(centers)
        np.add.at(sums, nearest, rows)
        sizes = np.bincount(nearest, minlength=n_clusters)
        filled = sizes > 0
        centers[filled] = sums[filled] / sizes[filled, None]
    clusters: ndarray = nearest.astype(np.int64)
    return clusters
