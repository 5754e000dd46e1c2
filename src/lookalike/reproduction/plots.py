"""The plots of the report."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lookalike.evaluation.paper import VARIANTS
from lookalike.evaluation.plots import (
    DOTS,
    LIGHT,
    Line,
    RenderedPlot,
    Theme,
    add_legend,
    draw_line,
    label_axes,
    new_figure,
    render,
    system_line,
)
from lookalike.reproduction.findings import Findings
from lookalike.reproduction.plan import MIXTURE, MIXTURES, N_RETURNED
from lookalike.reproduction.tables import ONE_CLUSTER, RANDOM_CLUSTERS, Cells, lettered, trade_off

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES: Final = {
    "f": "F, as published",
    "f_without": "F without the most frequent class",
    "f_jaccard": "F, Jaccard ≥ 0.5",
    "f_bcubed": "extended BCubed F",
}


def draw_plots(findings: Findings) -> dict[str, RenderedPlot]:
    """Draw what was found; by part of the report."""
    drawn: dict[str, RenderedPlot] = {}
    parts: dict[str, tuple[str, Any, "Callable[[Any, Theme], Figure]"]] = {
        "figure3": ("Accuracy against the number of pixels", findings.figure_3, plot_figure_3),
        "table1": ("F against the number of clusters", findings.parts["table1"], plot_table_1),
        "table2": ("Precision and recall against N", findings.parts["table2"], plot_table_2),
        "table3": (
            "Mean precision and recall against the number of queries",
            findings.parts["table3"],
            plot_table_3,
        ),
        "ablations": (
            "Layout overlap against mAP for mixtures of content and layout",
            findings.parts["ablations"],
            plot_ablations,
        ),
    }
    for part, (description, found, draw) in parts.items():
        if found:
            drawn[part] = render(f"{part}.png", description, partial(draw, found))
    return drawn


def plot_figure_3(found: Mapping[str, Any], theme: Theme = LIGHT) -> "Figure":
    """Draw accuracy against the number of pixels, in order and at random."""
    figure, (axis,) = new_figure(1, theme)
    dims = np.array(found["dims"], np.float64)
    mean, deviation = np.array(found["random_mean"]), np.array(found["random_deviation"])
    ordered, at_random = (
        system_line(name, place, theme)
        for place, name in enumerate(("first pixels, row by row", "pixels drawn at random"))
    )
    axis.fill_between(
        dims, mean - deviation, mean + deviation, color=at_random.color, alpha=0.2, linewidth=0
    )
    draw_line(axis, dims, np.array(found["sequential"]), ordered)
    draw_line(axis, dims, mean, at_random)
    label_axes(axis, "pixels", "accuracy")
    axis.set_ylim(0, 1.02)
    add_legend(figure, axis, theme)
    return figure


def plot_table_1(cells: Cells, theme: Theme = LIGHT) -> "Figure":
    """Draw F against the number of clusters, in each reading, with both degenerate clusterings."""
    figure, axes = new_figure(4, theme, n_rows=2)
    first = next(iter(next(iter(cells.values())).values()))["rows"]
    k = np.array([row["k"] for row in first], np.float64)
    for axis, variant in zip(axes, VARIANTS, strict=True):
        for place, (system, by_seed) in enumerate(cells.items()):
            scores = [[r["scores"][variant] for r in c["rows"]] for c in by_seed.values()]
            draw_line(axis, k, np.mean(scores, axis=0), system_line(system, place, theme))
        for name, key, dashes in (
            (ONE_CLUSTER, "one_cluster", (0, (5, 2))),
            (RANDOM_CLUSTERS, "random", DOTS),
        ):
            values = np.array([row[key][variant] for row in first])
            draw_line(axis, k, values, Line(name, theme.chance, dashes, 1.5))
        _title(axis, _TITLES[variant], theme)
        _log_ticks(axis, k)
        axis.set_ylim(0, None)
    for place, axis in enumerate(axes):
        label_axes(axis, "number of clusters" if place > 1 else "", "" if place % 2 else "F")
    add_legend(figure, axes[0], theme)
    return figure


def plot_table_2(cells: Cells, theme: Theme = LIGHT) -> "Figure":
    """Draw precision and recall against N, through ranked lists and lists as stored."""
    figure, axes = new_figure(4, theme, n_rows=2)
    n = np.array(N_RETURNED, np.float64)
    panels = [(reading, name) for reading in ("ranked", "list") for name in ("precision", "recall")]
    for axis, (reading, name) in zip(axes, panels, strict=True):
        for place, (system, by_seed) in enumerate(cells.items()):
            values = np.mean([cell[reading][name] for cell in by_seed.values()], axis=0)
            draw_line(axis, n, values, system_line(system, place, theme))
        if name == "precision":
            chance = next(iter(next(iter(cells.values())).values()))["chance"]
            line = Line("chance", theme.chance, DOTS, 1.5)
            draw_line(axis, n, np.full(len(n), chance), line)
        told = "lists ranked" if reading == "ranked" else "lists as stored"
        _title(axis, f"{name}, {told}", theme)
        axis.set_xticks(n, [f"{value:.0f}" for value in n])
        label_axes(axis, "N" if reading == "list" else "", "")
        axis.set_ylim(0, 1.02 if name == "precision" else None)
    add_legend(figure, axes[0], theme)
    return figure


def plot_table_3(cells: Cells, theme: Theme = LIGHT) -> "Figure":
    """Draw mean precision and recall at 10 against the number of queries, with one deviation."""
    figure, axes = new_figure(2, theme)
    for axis, name in zip(axes, ("precision", "recall"), strict=True):
        for place, (system, by_seed) in enumerate(cells.items()):
            x = np.array(next(iter(by_seed.values()))["n_queries"], np.float64)
            mean = np.mean([cell[name] for cell in by_seed.values()], axis=0)
            spread = np.mean([cell[f"{name}_sd"] for cell in by_seed.values()], axis=0)
            line = system_line(system, place, theme)
            if place == 0:
                axis.fill_between(
                    x, mean - spread, mean + spread, color=line.color, alpha=0.2, linewidth=0
                )
            draw_line(axis, x, mean, line)
        _log_ticks(axis, x)
        label_axes(axis, "queries", f"mean {name} of the first 10")
    add_legend(figure, axes[0], theme)
    return figure


def plot_ablations(cells: Cells, theme: Theme = LIGHT) -> "Figure":
    """Draw layout mIoU@10 against mAP while β goes from content to layout; up and right is better.

    The large point of each curve is the mixture of the tables.
    """
    figure, (axis,) = new_figure(1, theme)
    figure.set_size_inches(7.2, 4.6)
    for place, (name, by_seed) in enumerate(cells.items()):
        average, overlap = trade_off(by_seed)
        line = system_line(lettered(name), place, theme)
        draw_line(axis, average, overlap, line)
        dot = MIXTURES.index(MIXTURE) if len(average) > 1 else 0
        axis.plot(average[dot], overlap[dot], "o", color=line.color, markersize=7)
        axis.plot(average[0], overlap[0], "o", color=line.color, markersize=3)
    label_axes(axis, "mAP: the same things", "layout mIoU@10: in the same places")
    add_legend(figure, axis, theme)
    return figure


def _title(axis: "Axes", text: str, theme: Theme) -> None:
    axis.set_title(text, loc="left", fontsize=10, color=theme.ink)


def _log_ticks(axis: "Axes", values: np.ndarray) -> None:
    axis.set_xscale("log")
    axis.set_xticks(values, [f"{value:.0f}" for value in values])
    axis.minorticks_off()
