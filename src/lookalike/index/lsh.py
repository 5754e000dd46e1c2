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
        self, values: Float32[ndarray, " bits"]
    ) -> tuple[Int64[ndarray, " steps"], Int64[ndarray, " steps"], Float64[ndarray, " steps"]]:
        """Return the steps to neighboring buckets: which hash, by how much, at what cost.

        The cost is the squared distance to the border that is crossed.
        """
        places = np.arange(len(values))
        exact = values.astype(np.float64)
        if self.family == "hyperplanes":
            return places, np.where(exact > 0, -1, 1), exact**2
        below = exact - np.floor(exact)
        steps = np.repeat([-1, 1], len(values))
        return np.tile(places, 2), steps, np.concatenate([below, 1 - below]) ** 2


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
        codes = self.hashes.codes(values[None])[0]
        found: list[Int64[ndarray, "_"]] = []
        for table, row, code in zip(self.tables, values, codes, strict=True):
            found += table.rows_with(self._probed(row, code))
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def _probed(
        self, values: Float32[ndarray, " bits"], code: Int64[ndarray, " bits"]
    ) -> UInt64[ndarray, " probes"]:
        """Return the keys to look up in one table, the most likely first."""
        own = _keys(code[None], self.mixing)
        if self.effort <= 1:
            return own
        places, steps, costs = self.hashes.steps(values)
        order = np.argsort(costs, kind="stable")
        moves = self.mixing[places[order]] * steps[order].astype(np.uint64)
        shifts = [np.uint64(0)]
        for chosen in cheapest_sets(costs[order]):
            if len(set(places[order[chosen]].tolist())) == len(chosen):
                shifts.append(moves[chosen].sum(dtype=np.uint64))
            if len(shifts) >= self.effort:
                break
        return own + np.array(shifts)  # wraps around, as keys do


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
