"""A painted layout: what is to be where, drawn as a label map or as labeled boxes.

The painting becomes a code by the model's self-encoder, which finds the images whose predicted
layout is nearest. The best of these are compared cell by cell: the label map that the model saw in
each (`lookalike.search.kept_maps`) overlaps with the painting more or less. Cells that are not
painted say nothing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, NO_ID, VOID, Ids, normalize
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.errors import UsageError
from lookalike.model_folder import ModelCard
from lookalike.search.calibration import Calibration, fit_similarities
from lookalike.search.kept_maps import KeptMaps, painted_overlap
from lookalike.search.layouts import PaintedLayout, class_value
from lookalike.search.parts import Context, Proposal
from lookalike.search.queries import Query

SHORTLIST: Final = 300
"""Images whose label maps are compared; others have no evidence. Of an image that came since maps
were kept it has to be decoded, which takes milliseconds."""

_SAMPLE: Final = 400
"""Random images that tell how common an overlap is."""

_PAIRS: Final = 2_000
_PAIRS_OF_ONE: Final = 40


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """The painted layout of one query.

    Attributes:
        context: The collection.
        target: The painting on the model's grid; void where nothing is painted.
        code: Its code, a unit row.
        calibration: Turns agreements into scores.
        name: Of the part.
    """

    context: Context
    target: UInt8[ndarray, "grid grid"]
    code: Float32[ndarray, "1 dim"]
    calibration: Calibration
    name: str = "painting"

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the `SHORTLIST` images that are compared cell by cell, whatever `n` is."""
        index = self.context.index("layout")
        hits = index.search(self.code, SHORTLIST, allowed=allowed)
        probed = 0 if hits.probed_clusters is None else int(hits.probed_clusters[0])
        return Proposal(hits.ids[0][hits.ids[0] != NO_ID], probed, hits.is_exact)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the rarity of each agreement; 0 for codes not among the nearest of `ids`."""
        scores = np.zeros(len(ids))
        at = self._shortlist(ids)
        overlaps = painted_overlap(self.target, maps_of(self.context, ids[at]))
        nearness = self.context.index("layout").similarities(self.code, ids[at])[0]
        scores[at] = self.calibration.scores(agreement(self.target, overlaps, nearness))
        return scores

    def _shortlist(self, ids: Ids) -> Int64[ndarray, " shortlisted"]:
        similarities = self.context.index("layout").similarities(self.code, ids)[0]
        nearest = np.lexsort((ids, -np.nan_to_num(similarities, nan=-np.inf)))[:SHORTLIST]
        kept: ndarray = nearest[~np.isnan(similarities[nearest])]
        return kept


def painting(query: Query, context: Context) -> list[Painting]:
    """Return the painted layout of a query, if it has one.

    Raises:
        UsageError: If the model knows no layout or not a label, or nothing is painted.
    """
    if query.layout is None:
        return []
    model = context.model()
    target = on_grid(query.layout, model.card)
    code = normalize(model.encode_label_maps(target[None]))
    calibration = fit_similarities(_agreements_of_pairs(target, context))
    return [Painting(context, target, code, calibration)]


def on_grid(layout: PaintedLayout, card: ModelCard) -> UInt8[ndarray, "grid grid"]:
    """Return a painting on the grid of a model, in its values; void where nothing is painted.

    A map is shrunk by majority; of a box those cells are painted whose middle lies in it, or the
    one that holds its middle. Boxes lie on the map, later ones on earlier ones.

    Raises:
        UsageError: If the model knows no layout or not a label, or nothing is painted.
    """
    if not card.has_layout:
        raise UsageError(
            f"model {card.id} was learned without self-encoding and knows no layout, so that none "
            "can be painted; learn one from pictures with label maps"
        )
    grid = np.full((card.grid, card.grid), VOID, np.uint8)
    if layout.map is not None:
        values = np.full(256, VOID, np.uint8)
        values[BACKGROUND] = BACKGROUND
        for at, label in enumerate(layout.map.labels):
            values[at + 1] = class_value(label, card.classes)
        grid = shrink_label_maps(values[layout.map.label_map][None], card.grid)[0]
    for box in layout.boxes:
        grid[_cells(box.y0, box.y1, card.grid), _cells(box.x0, box.x1, card.grid)] = class_value(
            box.label, card.classes
        )
    if (grid == VOID).all():
        raise UsageError("nothing is painted in the layout; paint at least one cell")
    return grid


def agreement(
    target: UInt8[ndarray, "grid grid"],
    overlaps: Float64[ndarray, " items"],
    nearness: Float32[ndarray, " items"],
) -> Float64[ndarray, " items"]:
    """Return how well images agree with a painting, by cells and by codes, at most 1.

    With overlap `o`, cosine `c` of the codes and the painted share `s` of the cells it is

        (o + s² c) / (1 + s²):

    a code stands for a whole map, and tells more than blurred cells do if all is painted, but
    little if most is open.

    Example:
        >>> whole = np.ones((2, 2), np.uint8)
        >>> agreement(whole, np.array([0.5]), np.array([1.0], np.float32))
        array([0.75])
    """
    weight = float((target != VOID).mean()) ** 2
    mixed: ndarray = (overlaps + weight * nearness.astype(np.float64)) / (1 + weight)
    return mixed


def maps_of(context: Context, ids: Ids) -> KeptMaps:
    """Return the label maps that the model saw in images.

    Raises:
        UsageError: If nothing knows them.
    """
    if context.label_maps is None:
        raise UsageError("layouts cannot be painted here; there is no collection around")
    return context.label_maps(ids)


def _agreements_of_pairs(
    target: UInt8[ndarray, "grid grid"], context: Context
) -> Float64[ndarray, " pairs"]:
    """Return how well random images agree where anything is painted.

    The most probable labels of one image are the painting, and another image is compared with it:
    a score then says how many random pairs of pictures agree as well in these cells.
    """
    ids, sample = _sample(context)
    n = len(sample)
    rng = np.random.default_rng(0)
    is_all = n * (n - 1) <= _PAIRS
    first = np.arange(n) if is_all else rng.permutation(n)[: _PAIRS // _PAIRS_OF_ONE]
    labels = sample.rows(first).labels(len(target))
    painted = np.where(target == VOID, VOID, labels).astype(np.uint8)
    codes = normalize(context.model().encode_label_maps(painted))
    rows = context.index("layout").vectors(ids)
    found = [np.empty(0)]
    for at, own, code in zip(first, painted, codes, strict=True):
        others = np.delete(np.arange(n), at)
        chosen = others if is_all else rng.choice(others, _PAIRS_OF_ONE, replace=False)
        overlaps = painted_overlap(own, sample.rows(chosen))
        found.append(agreement(own, overlaps, np.vecdot(rows[chosen], code)))
    return np.concatenate(found)


def _sample(context: Context) -> tuple[Ids, KeptMaps]:
    """Return random images and their label maps; they are the same for all queries."""
    if "painting" not in context.kept:
        drawn = np.random.default_rng(0).permutation(context.index("layout").ids)
        chosen = np.sort(drawn[:_SAMPLE])
        context.kept["painting"] = chosen, maps_of(context, chosen)
    ids, sample = context.kept["painting"]
    return ids, sample


def _cells(start: float, stop: float, grid: int) -> slice:
    """Return the cells along one axis whose middle lies in a range, or the one at its middle."""
    first, last = int(np.ceil(start * grid - 0.5)), int(np.ceil(stop * grid - 0.5))
    if last <= first:
        first = min(int((start + stop) / 2 * grid), grid - 1)
        last = first + 1
    return slice(first, last)
