"""Locality-sensitive hashing: near rows fall into one bucket more often than distant ones.

Each of several tables has a key of several hashes; what shares a whole key with the query in any
table is a candidate. With hashes that collide with probability `p`, `K` to a key and `L` tables, a
row is found with probability `1 - (1 - p^K)^L` (P. Indyk, R. Motwani, *Approximate Nearest
Neighbors: Towards Removing the Curse of Dimensionality*, STOC 1998). Two families of hashes:

- hyperplanes, `sign(a·x)`: `p = 1 - θ/π` for the angle `θ` (M. S. Charikar, *Similarity Estimation
  Techniques from Rounding Algorithms*, STOC 2002);
- 2-stable, `⌊(a·x + b) / w⌋` for Euclidean distance (M. Datar et al., *Locality-Sensitive Hashing
  Scheme Based on p-Stable Distributions*, SCG 2004).

Beside its own bucket a query may probe those next to it, the most likely first (Q. Lv et al.,
*Multi-Probe LSH: Efficient Indexing for High-Dimensional Similarity Search*, VLDB 2007): that is
the effort, buckets for each table.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from statistics import NormalDist
from typing import Final, Literal, NamedTuple, TypeAlias, final

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt64
from numpy import ndarray

from lookalike.arrays import Embeddings

Family: TypeAlias = Literal["hyperplanes", "stable"]

_BLOCK: Final = 1 << 14
"""Rows hashed at once."""


class Hashes(NamedTuple):
    """Random hashes of one family, `tables` times `bits` of them.

    Attributes:
        family: Which.
        directions: `a`; divided by the width `w` for the family `stable`.
        shifts: `b / w`; zeros for hyperplanes.
        tables: Number of tables.
    """

    family: Family
    directions: Float32[ndarray, "dim hashes"]
    shifts: Float32[ndarray, " hashes"]
    tables: int

    @classmethod
    def draw(
        cls, family: Family, dim: int, *, tables: int, bits: int, width: float, seed: int
    ) -> "Hashes":
        """Draw hashes; the width is that of a bucket of the family `stable`."""
        rng = np.random.default_rng(seed)
        directions = rng.standard_normal((dim, tables * bits)).astype(np.float32)
        shifts = np.zeros(tables * bits, np.float32)
        if family == "stable":
            directions /= np.float32(width)
            shifts = rng.random(tables * bits).astype(np.float32)
        return cls(family, directions, shifts, tables)

    def project(self, rows: Embeddings) -> Float32[ndarray, "items tables bits"]:
        """Return where rows lie: beside each hyperplane, or in units of buckets."""
        values = rows @ self.directions + self.shifts
        table: ndarray = values.reshape(len(rows), self.tables, -1)
        return table

    def codes(
        self, values: Float32[ndarray, "items tables bits"]
    ) -> Int64[ndarray, "items tables bits"]:
        """Return the hashes of projected rows."""
        if self.family == "hyperplanes":
            codes: ndarray = (values > 0).astype(np.int64)
        else:
            codes = np.floor(values).astype(np.int64)
        return codes

    def steps(
        self, values: Float32[ndarray, "tables bits"]
    ) -> tuple[Int64[ndarray, "tables steps"], Int64[ndarray, "tables steps"]]:
        """Return the steps to neighboring buckets, the cheapest first: which hash, by how much.

        The cost is the distance to the border that is crossed.
        """
        if self.family == "hyperplanes":
            costs, steps = np.abs(values), np.where(values > 0, -1, 1)
        else:
            below = values - np.floor(values)
            costs = np.concatenate([below, 1 - below], axis=1)
            steps = np.repeat([[-1, 1]], len(values), axis=0).repeat(values.shape[1], axis=1)
        order = costs.argsort(axis=1, kind="stable")
        return order % values.shape[1], np.take_along_axis(steps, order, axis=1)


class Table(NamedTuple):
    """Rows by key.

    Attributes:
        keys: Distinct keys, ascending.
        starts: Where the rows of each begin in `order`; one more than keys.
        order: Positions of the rows.
    """

    keys: UInt64[ndarray, " keys"]
    starts: Int64[ndarray, " starts"]
    order: Int64[ndarray, " rows"]

    @classmethod
    def of(cls, keys: UInt64[ndarray, " rows"]) -> "Table":
        """Sort rows by their keys."""
        order = np.argsort(keys, kind="stable")
        distinct, starts = np.unique(keys[order], return_index=True)
        return cls(distinct, np.append(starts, len(keys)), order)

    def rows_with(self, keys: UInt64[ndarray, " wanted"]) -> list[Int64[ndarray, "_"]]:
        """Return the positions of the rows with each key that there is."""
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return [
            self.order[self.starts[at] : self.starts[at + 1]]
            for at in places[self.keys[places] == keys].tolist()
        ]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Lsh:
    """Hash tables of rows.

    Attributes:
        hashes: The functions.
        mixing: Odd numbers that make one key of several hashes; other keys collide with
            probability below one in a trillion.
        tables: One for each key.
        effort: Buckets that are looked into in each table, the query's own among them.
    """

    hashes: Hashes
    mixing: UInt64[ndarray, " bits"]
    tables: tuple[Table, ...]
    effort: int | float = 1

    @classmethod
    def build(
        cls,
        rows: Embeddings,
        family: Family = "hyperplanes",
        *,
        tables: int = 8,
        bits: int = 12,
        width: float = 1.0,
        seed: int = 0,
    ) -> "Lsh":
        """Build the tables of some rows.

        Args:
            rows: Unit rows, one or more.
            family: Of hashes.
            tables: More find more and take more memory.
            bits: Hashes in a key: more make buckets smaller.
            width: Of a bucket, in units of distance, for the family `stable`.
            seed: Of everything that is drawn.
        """
        hashes = Hashes.draw(
            family, rows.shape[1], tables=tables, bits=bits, width=width, seed=seed
        )
        draw = np.random.default_rng(seed + 1).integers(0, 1 << 63, bits, np.uint64)
        mixing = draw * np.uint64(2) + np.uint64(1)
        keys = np.concatenate(
            [
                _keys(hashes.codes(hashes.project(rows[start : start + _BLOCK])), mixing)
                for start in range(0, len(rows), _BLOCK)
            ]
        )
        return cls(hashes, mixing, tuple(Table.of(column) for column in keys.T))

    @property
    def is_exact(self) -> bool:
        """Never: near rows may share no bucket."""
        return False

    @property
    def n_bytes(self) -> int:
        """Memory of everything but the rows."""
        return self.hashes.directions.nbytes + sum(
            part.nbytes for table in self.tables for part in table
        )

    def with_effort(self, effort: int | float) -> "Lsh":
        """Return the same tables, in each of which another number of buckets is looked into."""
        return replace(self, effort=effort)

    def candidates(self, query: Float32[ndarray, " dim"], k: int) -> Int64[ndarray, " candidates"]:
        """Return the positions of all rows in the buckets that were looked into."""
        values = self.hashes.project(query[None])[0]
        found = [
            rows
            for table, keys in zip(self.tables, self._probed(values), strict=True)
            for rows in table.rows_with(keys)
        ]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def _probed(self, values: Float32[ndarray, "tables bits"]) -> UInt64[ndarray, "tables probes"]:
        """Return the keys to look up in each table, the most likely first."""
        own = _keys(self.hashes.codes(values[None])[0], self.mixing)[:, None]
        if self.effort <= 1:
            return own
        places, steps = self.hashes.steps(values)
        moves = self.mixing[places] * steps.astype(np.uint64)
        none = np.zeros((len(moves), 1), np.uint64)
        sets = probe_sets(self.hashes.family, values.shape[1], int(self.effort) - 1)
        shifts = np.hstack([moves, none])[:, sets].sum(axis=2, dtype=np.uint64)
        return np.hstack([own, own + shifts])  # wraps around, as keys do


@lru_cache(maxsize=64)
def probe_sets(family: Family, bits: int, n: int) -> Int64[ndarray, "sets most"]:
    """Return the `n` sets of steps that are most likely cheapest, for any query.

    Steps are numbered by their cost for the query; only the expected cost of the first, the second,
    … is needed to order the sets (Lv et al., section 4.5). A set that takes one hash both ways is
    left out. Rows are filled up with the number of steps, which stands for none.
    """
    n_steps = bits if family == "hyperplanes" else 2 * bits
    chosen = [
        one
        for one in islice(cheapest_sets(_expected_costs(family, bits)), 8 * n)
        if family == "hyperplanes" or not any(n_steps - 1 - step in one for step in one)
    ][:n]
    most = max((len(one) for one in chosen), default=0)
    rows = [one + [n_steps] * (most - len(one)) for one in chosen]
    return np.array(rows, np.int64).reshape(len(rows), most)


def _expected_costs(family: Family, bits: int) -> Float64[ndarray, " steps"]:
    """Return the mean squared distance of the nearest border, of the second nearest, …."""
    rank = np.arange(1, bits + 1)
    if family == "hyperplanes":
        inverse = NormalDist().inv_cdf
        return np.array([inverse(0.5 + place / (2 * bits + 2)) ** 2 for place in rank.tolist()])
    near = rank * (rank + 1) / (4 * (bits + 1) * (bits + 2))
    return np.concatenate([near, (1 - rank / (bits + 1) + near)[::-1]])


def cheapest_sets(costs: Float64[ndarray, " items"]) -> Iterator[list[int]]:
    """Give all sets of items but the empty one, by ascending sum of costs, which ascend.

    Each set follows from a cheaper one: its last item is exchanged for the next one, or the next
    one joins it (Lv et al., section 4.4).
    """
    if len(costs) == 0:
        return
    queue: list[tuple[float, list[int]]] = [(float(costs[0]), [0])]
    while queue:
        cost, chosen = heapq.heappop(queue)
        yield chosen
        following = chosen[-1] + 1
        if following < len(costs):
            more = float(costs[following])
            heapq.heappush(queue, (cost + more, [*chosen, following]))
            shifted = cost - float(costs[chosen[-1]]) + more
            heapq.heappush(queue, (shifted, [*chosen[:-1], following]))


def _keys(
    codes: Int64[ndarray, "*items bits"], mixing: UInt64[ndarray, " bits"]
) -> UInt64[ndarray, "*items"]:
    # Wraps around, on purpose, also for negative hashes.
    keys: ndarray = (codes.astype(np.uint64) * mixing).sum(axis=-1, dtype=np.uint64)
    return keys
