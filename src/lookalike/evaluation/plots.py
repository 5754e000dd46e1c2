"""Curves of one or more systems, drawn with Matplotlib for paper white and for dark screens."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.evaluation.clustering import ClusteringScores
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.rankings import Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Theme:
    """Colors of a plot: paper, ink, grid, random order, and one for each system in turn."""

    paper: str
    ink: str
    grid: str
    chance: str
    systems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RenderedPlot:
    """One plot as PNG for use elsewhere, and as SVG for light and dark pages."""

    file_name: str
    description: str
    png: bytes
    light_svg: str
    dark_svg: str


LIGHT: Final = Theme(
    paper="#fcfcfa",
    ink="#1c1f24",
    grid="#dee0e4",
    chance="#8a9099",
    systems=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07800", "#6f4bc4", "#12a2b8"),
)
DARK: Final = Theme(
    paper="#16181d",
    ink="#e6e8ec",
    grid="#343841",
    chance="#7d838d",
    systems=("#56b4e9", "#ff9147", "#2fc79a", "#e59bc4", "#e6c34a", "#b39bff", "#4fd0dc"),
)

Dashes: TypeAlias = tuple[float, tuple[float, ...] | None]

SOLID: Final[Dashes] = (0, None)
DOTS: Final[Dashes] = (0, (1, 1.5))
DASHES: Final[tuple[Dashes, ...]] = (SOLID, (0, (4, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (2, 1)))


class Line(NamedTuple):
    """How a curve is drawn."""

    label: str
    color: str
    dashes: Dashes
    width: float


def plot_retrieval(evaluations: Mapping[str, Evaluation], theme: Theme = LIGHT) -> "Figure":
    """Draw precision and recall against `k`, and the precision-recall curve.

    Curves against `k` run over every rank up to the largest `k` that was evaluated, with 95 %
    intervals at the evaluated ones. The dotted line is a random order of the same gallery.
    """
    figure, axes = new_figure(3, theme)
    for position, (name, evaluation) in enumerate(evaluations.items()):
        line = system_line(name, position, theme)
        precision, recall = _against_k(evaluation)
        curves = (precision, recall, evaluation.curve)
        for axis, curve in zip(axes, curves, strict=True):
            draw_line(axis, _positions(axis is axes[2], len(curve)), curve, line)
        _draw_intervals(axes[0], evaluation, "precision_at_k", line)
        _draw_intervals(axes[1], evaluation, "recall_at_k", line)
    first = next(iter(evaluations.values()))
    chance = Line("random order", theme.chance, DOTS, 1.5)
    share = first.n_relevant.mean() / max(1, first.n_gallery - 1)
    ranks = _positions(False, first.hit_relevant.shape[1])
    draw_line(axes[0], ranks, np.full(len(ranks), share), chance)
    draw_line(axes[1], ranks, ranks / max(1, first.n_gallery - 1), chance)
    draw_line(axes[2], _positions(True, len(first.random_curve)), first.random_curve, chance)
    for axis, x, y in zip(axes, ("k", "k", "recall"), ("P@k", "R@k", "precision"), strict=True):
        label_axes(axis, x, y)
    axes[1].set_ylim(0, axes[1].get_ylim()[1])
    axes[0].set_ylim(0, 1.02)
    axes[2].set_ylim(0, 1.02)
    add_legend(figure, axes[0], theme)
    return figure


def plot_clustering(sweep: Sequence[ClusteringScores], theme: Theme = LIGHT) -> "Figure":
    """Draw pairwise clustering F against the number of clusters, with both degenerate baselines."""
    figure, (axis,) = new_figure(1, theme)
    ordered = sorted(sweep, key=lambda scores: scores.n_clusters)
    k = np.array([scores.n_clusters for scores in ordered], np.float64)
    lines = (
        ([s.f for s in ordered], system_line("k-means", 0, theme)),
        (
            [s.baseline_one_cluster_f for s in ordered],
            Line("everything in one cluster", theme.chance, (0, (5, 2)), 1.5),
        ),
        (
            [s.baseline_random_f for s in ordered],
            Line("random clusters", theme.chance, DOTS, 1.5),
        ),
    )
    for values, line in lines:
        draw_line(axis, k, np.array(values), line)
    axis.set_xscale("log", base=2)
    axis.set_xticks(k, [f"{n:.0f}" for n in k])
    axis.minorticks_off()
    label_axes(axis, "number of clusters", "pairwise F")
    axis.set_ylim(0, 1.02)
    add_legend(figure, axis, theme)
    return figure


def render(file_name: str, description: str, draw: "Callable[[Theme], Figure]") -> RenderedPlot:
    """Draw a plot in every form that a report needs."""
    light, dark = draw(LIGHT), draw(DARK)
    return RenderedPlot(file_name, description, to_png(light), to_svg(light), to_svg(dark))


def to_png(figure: "Figure") -> bytes:
    """Encode a plot as PNG, sharp enough for high-resolution screens."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


def to_svg(figure: "Figure") -> str:
    """Encode a plot as SVG, the same text each time for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only reports need

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "lookalike"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def new_figure(n_panels: int, theme: Theme, n_rows: int = 1) -> "tuple[Figure, list[Axes]]":
    """Return an empty figure and its panels, row by row, in the colors of a theme."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only reports need

    columns = n_panels // n_rows
    width = {1: 5.4, 2: 10.4}.get(columns, 3.9 * columns)
    figure = Figure(figsize=(width, 3.4 * n_rows), layout="constrained", facecolor=theme.paper)
    figure.set_layout_engine("constrained", wspace=0.08, w_pad=0.1, h_pad=0.08)
    axes = [figure.add_subplot(n_rows, columns, panel + 1) for panel in range(n_panels)]
    for axis in axes:
        axis.set_facecolor(theme.paper)
        axis.grid(color=theme.grid, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(colors=theme.ink, labelsize=9, length=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(theme.grid)
        axis.xaxis.label.set_color(theme.ink)
        axis.yaxis.label.set_color(theme.ink)
    return figure, axes


def system_line(name: str, position: int, theme: Theme) -> Line:
    """Return the line of the system at a position: colors and dashes take turns."""
    color = theme.systems[position % len(theme.systems)]
    return Line(name, color, DASHES[position % len(DASHES)], 2.2)


def draw_line(
    axis: "Axes", x: Float64[ndarray, " points"], y: Float64[ndarray, " points"], line: Line
) -> None:
    """Draw one curve."""
    axis.plot(x, y, label=line.label, color=line.color, linestyle=line.dashes, linewidth=line.width)


def label_axes(axis: "Axes", x_label: str, y_label: str) -> None:
    """Name both axes of a panel."""
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)


def _draw_intervals(axis: "Axes", evaluation: Evaluation, name: str, line: Line) -> None:
    """Draw the 95 % interval at each evaluated k that the curve reaches."""
    reached = [k for k in evaluation.at if k <= evaluation.hit_relevant.shape[1]]
    estimates = [evaluation.estimates[Measure(name, k)] for k in reached]
    low, high = [e.low for e in estimates], [e.high for e in estimates]
    axis.vlines(reached, low, high, color=line.color, linewidth=line.width, alpha=0.45)


def add_legend(figure: "Figure", axis: "Axes", theme: Theme) -> None:
    """Name the curves of a panel above the figure, in as many columns as fit."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=max(2, min(len(labels), int(figure.get_figwidth() / 1.9))),
        frameon=False,
        labelcolor=theme.ink,
        fontsize=9,
    )


def _positions(is_recall: bool, n: int) -> Float64[ndarray, " points"]:
    return np.linspace(0.0, 1.0, n) if is_recall else np.arange(1.0, n + 1)


def _against_k(
    evaluation: Evaluation,
) -> tuple[Float64[ndarray, " k"], Float64[ndarray, " k"]]:
    hits = evaluation.hit_relevant.cumsum(axis=1)
    ranks = np.arange(1, hits.shape[1] + 1)
    return (hits / ranks).mean(axis=0), (hits / evaluation.n_relevant[:, None]).mean(axis=0)
