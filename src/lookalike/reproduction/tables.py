"""The tables of the report, made from results by system and seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.evaluation.paper import VARIANTS
from lookalike.evaluation.statistics import holm, paired_differences
from lookalike.reproduction.experiments import EUCLIDEAN
from lookalike.reproduction.plan import LETTERS, MIXTURE, N_RETURNED, PROPOSED, SEGMENTED

Cells: TypeAlias = dict[str, dict[int, dict[str, Any]]]
"""System → seed → what was found."""

ONE_CLUSTER, RANDOM_CLUSTERS = "everything in one cluster", "random clusters"


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean, and how far it spreads.

    Attributes:
        mean: The mean.
        deviation: Standard deviation over seeds or runs; `None` where there is one alone.
    """

    mean: float
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """The proposed features minus others, on the same queries.

    Attributes:
        mean: Mean over queries of values that are means over seeds.
        low: Lower end of the 95 % interval over queries.
        high: Upper end.
        p_value: Two-sided, adjusted by Holm's procedure for all differences of the table.
        by_seed: Mean difference of each seed.
    """

    mean: float
    low: float
    high: float
    p_value: float
    by_seed: tuple[float, ...]


Cell: TypeAlias = str | int | float | Spread | Difference | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report and, under the same name, a CSV file.

    Attributes:
        name: Name of the file, without its ending.
        caption: What it shows.
        heads: Column heads; the first is that of the row names.
        rows: Name of the row, then one cell for each other column.
    """

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def figure_3_table(found: Mapping[str, Any]) -> Table:
    """Accuracy against the number of pixels."""
    rows = zip(
        found["dims"],
        found["sequential"],
        found["random_mean"],
        found["random_deviation"],
        strict=True,
    )
    return Table(
        "figure3",
        "Accuracy of softmax regression on held-out pictures; ± is the standard deviation over "
        f"{found['n_draws']} draws",
        ("pixels", "the first, row by row", "drawn at random"),
        tuple((str(d), first, Spread(mean, sd)) for d, first, mean, sd in rows),
    )


def sweep_table(cells: Cells) -> Table:
    """Pairwise F as published, against the number of clusters."""
    numbers = [row["k"] for row in _any(cells)["rows"]]
    rows: list[tuple[Cell, ...]] = [
        (system, *(_spread(_f(by_seed, place, "scores", "f")) for place in range(len(numbers))))
        for system, by_seed in cells.items()
    ]
    for name, key in ((ONE_CLUSTER, "one_cluster"), (RANDOM_CLUSTERS, "random")):
        rows.append((name, *(row[key]["f"] for row in _any(cells)["rows"])))
    return Table(
        "table1",
        "Pairwise clustering F, as published, against the number of clusters k",
        ("", *(f"k = {k}" for k in numbers)),
        tuple(rows),
    )


def readings_table(cells: Cells) -> Table:
    """F in all readings at the number of clusters that Table 2 retrieves through, or nearest."""
    every = _any(cells)["rows"]
    place = min(range(len(every)), key=lambda i: abs(every[i]["k"] - 20))
    rows: list[tuple[Cell, ...]] = []
    for system, by_seed in cells.items():
        pairs = [[cell["rows"][place][n] for cell in by_seed.values()] for n in _PRECISION_RECALL]
        spreads = [_spread(values) for values in pairs]
        spreads += [_spread(_f(by_seed, place, "scores", variant)) for variant in VARIANTS]
        rows.append((system, *spreads))
    for name, key in ((ONE_CLUSTER, "one_cluster"), (RANDOM_CLUSTERS, "random")):
        rows.append((name, None, None, *(every[place][key][variant] for variant in VARIANTS)))
    return Table(
        "table1-readings",
        f"The stricter readings, at k = {every[place]['k']}",
        ("", "P", "R", "F", "F without the most frequent class", "F, Jaccard ≥ 0.5", "BCubed F"),
        tuple(rows),
    )


def runs_table(cells: Cells, reading: str) -> Table:
    """Precision and recall of the first N, mean over runs and seeds."""
    rows = tuple(
        (
            system,
            *(_over_runs(by_seed, reading, "precision", i) for i in range(len(N_RETURNED))),
            *(_over_runs(by_seed, reading, "recall", i) for i in range(len(N_RETURNED))),
            *(_spread([cell[key] for cell in by_seed.values()]) for key in ("map", "r_precision")),
        )
        for system, by_seed in cells.items()
    )
    n = _any(cells)["n_clusters"]
    told = {
        "list": f"Through {n} clusters, inside a cluster in the order in which pictures are stored",
        "ranked": f"Through {n} clusters, inside a cluster by similarity to the query",
        "exact": "Every picture compared, without clusters",
    }
    heads = [f"{letter}@{n}" for letter in "PR" for n in N_RETURNED]
    return Table(f"table2-{reading}", told[reading], ("", *heads, "mAP", "R-precision"), rows)


def samples_table(cells: Cells, name: str) -> Table:
    """Mean precision or recall at 10 against the number of queries."""
    sizes = _any(cells)["n_queries"]
    rows: list[tuple[Cell, ...]] = []
    for system, by_seed in cells.items():
        means = np.mean([cell[name] for cell in by_seed.values()], axis=0)
        spreads = np.mean([cell[f"{name}_sd"] for cell in by_seed.values()], axis=0)
        pairs = zip(means.tolist(), spreads.tolist(), strict=True)
        rows.append((system, *(Spread(mean, spread) for mean, spread in pairs)))
    return Table(
        f"table3-{name}",
        f"Mean {name} of the first 10 against the number of queries; ± is the standard deviation "
        "over runs",
        ("", *(str(size) for size in sizes)),
        tuple(rows),
    )


_COLUMNS: Final = (
    ("mAP by content", "map", "content"),
    ("mAP by the mixture", "map", "mixture"),
    ("P@10 by the mixture", "precision", "mixture"),
    ("mIoU@10 by content", "miou", "content"),
    ("mIoU@10 by the mixture", "miou", "mixture"),
    ("mIoU@10 by layout", "miou", "layout"),
)
DIFFERENCE_HEADS: Final = tuple(head for head, _, _ in _COLUMNS)


def ablation_table(cells: Cells) -> Table:
    """Each ablation: mean over queries, then over seeds."""
    rows: list[tuple[Cell, ...]] = []
    for name, by_seed in cells.items():
        rows.append(
            (
                lettered(name),
                *(_means(by_seed, measure, ranked_by) for _, measure, ranked_by in _COLUMNS),
                _spread([cell["learned"]["label_map"] for cell in by_seed.values()]),
            )
        )
        if name == SEGMENTED:
            blank: list[Cell] = [None] * (len(_COLUMNS) - 1)
            value = _means(by_seed, "miou", EUCLIDEAN)
            rows.append(("    probability maps, Euclidean (Furuta)", *blank, value, None))
    chance = _any(cells)["random"]
    rows.append(("random order", *(chance[measure] for _, measure, _ in _COLUMNS), None))
    return Table(
        "ablations",
        "Retrieval by content, by the mixture (1 − β) cos f / σ + β cos ẑ / σ' "
        f"with β = {MIXTURE}, and by layout alone; label mAP of the network's own predictions",
        ("", *DIFFERENCE_HEADS, "label mAP"),
        tuple(rows),
    )


def difference_table(cells: Cells) -> Table:
    """The proposed features minus each ablation, paired by query."""
    others = [name for name in cells if name != PROPOSED]
    if PROPOSED not in cells:
        return Table("ablations-differences", "", ("", *DIFFERENCE_HEADS), ())
    raw: dict[tuple[str, int], Difference | None] = {
        (name, column): _difference(cells[PROPOSED], cells[name], measure, ranked_by)
        for name in others
        for column, (_, measure, ranked_by) in enumerate(_COLUMNS)
    }
    tested = {key: found for key, found in raw.items() if found is not None}
    adjusted = holm(np.array([found.p_value for found in tested.values()]))
    for key, p in zip(tested, adjusted.tolist(), strict=True):
        found = tested[key]
        raw[key] = Difference(found.mean, found.low, found.high, p, found.by_seed)
    return Table(
        "ablations-differences",
        "Self-encoding minus each: mean over queries of means over seeds, [95 % interval over "
        "queries], p by paired randomization adjusted by Holm's procedure over the table, and the "
        "difference of each seed. Models without layout are taken by content",
        ("minus", *DIFFERENCE_HEADS),
        tuple(
            (lettered(name), *(raw[name, column] for column in range(len(_COLUMNS))))
            for name in others
        ),
    )


def overlap_table(cells: Cells) -> Table:
    """IoU by size of the region: label maps encoded and decoded, and predicted from pictures."""
    rows: list[tuple[Cell, ...]] = []
    for name, by_seed in cells.items():
        known = [cell["overlap"] for cell in by_seed.values() if cell.get("overlap")]
        if known:
            values: list[Cell] = []
            for what in ("reconstructed", "predicted"):
                values += [
                    _spread([overlap[what]["by_size"][size] for overlap in known])
                    for size in ("small", "middle", "large")
                ]
                values.append(_spread([mean_of(overlap[what]["by_class"]) for overlap in known]))
            rows.append((lettered(name), *values))
    sizes = ("small", "middle", "large", "class mean")
    return Table(
        "overlap",
        "IoU of label maps encoded and decoded again (rec.), and decoded from the code that the "
        "network predicts for the photograph (pred.); small regions cover below 3 % of the "
        "picture, middle ones below 10 %",
        ("", *(f"{what} {size}" for what in ("rec.", "pred.") for size in sizes)),
        tuple(rows),
    )


def trade_off(
    by_seed: Mapping[int, Mapping[str, Any]],
) -> tuple[Float64[ndarray, " mixtures"], Float64[ndarray, " mixtures"]]:
    """Return mAP and layout mIoU@10 against β, means over queries and seeds."""
    betas = [beta for beta in next(iter(by_seed.values()))["rankings"] if beta != EUCLIDEAN]
    points = [
        [np.mean([mean_of(c["rankings"][beta][m]) for c in by_seed.values()]) for beta in betas]
        for m in ("map", "miou")
    ]
    return np.array(points[0]), np.array(points[1])


def lettered(name: str) -> str:
    """Put the letter of an ablation before its name.

    Example:
        >>> lettered("codes shuffled")
        '(b) codes shuffled'
    """
    return f"({LETTERS[name]}) {name}" if name in LETTERS else name


_PRECISION_RECALL: Final = ("precision", "recall")


def _any(cells: Cells) -> dict[str, Any]:
    return next(iter(next(iter(cells.values())).values()))


def _f(by_seed: Mapping[int, Any], place: int, key: str, variant: str) -> list[float]:
    return [cell["rows"][place][key][variant] for cell in by_seed.values()]


def _spread(values: Sequence[float | None]) -> Cell:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


def _over_runs(by_seed: Mapping[int, Any], reading: str, name: str, place: int) -> Spread:
    """Mean over seeds, with the spread over runs, which is the larger one."""
    means = [cell[reading][name][place] for cell in by_seed.values()]
    spreads = [cell[reading][f"{name}_sd"][place] for cell in by_seed.values()]
    return Spread(float(np.mean(means)), float(np.mean(spreads)))


def _means(by_seed: Mapping[int, Any], measure: str, ranked_by: str) -> Cell:
    values = [_values(cell, measure, ranked_by) for cell in by_seed.values()]
    return _spread([None if v is None else float(np.nanmean(v)) for v in values])


def _values(cell: Mapping[str, Any], measure: str, ranked_by: str) -> ndarray | None:
    """Values of the queries when a model ranks so; `None` where it cannot."""
    key = {"content": "0", "mixture": f"{MIXTURE:g}", "layout": "1"}.get(ranked_by, ranked_by)
    found = cell["rankings"].get(key)
    return None if found is None else np.array(found[measure], np.float64)


def _difference(
    ours: Mapping[int, Any], theirs: Mapping[int, Any], measure: str, ranked_by: str
) -> Difference | None:
    seeds = [seed for seed in ours if seed in theirs]
    pairs = []
    for seed in seeds:
        own, other = (_values(cell[seed], measure, ranked_by) for cell in (ours, theirs))
        if other is None:
            other = _values(theirs[seed], measure, "content")
        if own is None or other is None:
            return None
        pairs.append((own, other))
    if not pairs:
        return None
    own, other = (np.mean([pair[i] for pair in pairs], axis=0)[:, None] for i in (0, 1))
    (paired,) = paired_differences(own, other)
    by_seed = tuple(float(np.nanmean(a - b)) for a, b in pairs)
    estimate = paired.difference
    return Difference(estimate.mean, estimate.low, estimate.high, paired.p_value, by_seed)


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of what is defined; `None` if nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def plain_cells(table: Table) -> Iterator[list[str]]:
    """Give the rows of a table as text, head first, for CSV."""
    yield list(table.heads)
    for row in table.rows:
        yield [_plain(cell) for cell in row]


def _plain(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Spread(mean, None):
            return f"{mean:.6g}"
        case Spread(mean, deviation):
            return f"{mean:.6g} ± {deviation:.2g}"
        case Difference():
            seeds = " ".join(f"{value:+.4f}" for value in cell.by_seed)
            return (
                f"{cell.mean:+.4f} [{cell.low:+.4f}, {cell.high:+.4f}] p {cell.p_value:.4f} "
                f"seeds {seeds}"
            )
        case float():
            return f"{cell:.6g}"
        case _:
            return str(cell).strip()
