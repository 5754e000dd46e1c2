"""Kinds of index side by side: a page, plots, tables."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.atomic import environment_fault, write_atomically
from lookalike.errors import UsageError
from lookalike.evaluation.markup import document, number, plot_figure, table
from lookalike.evaluation.plots import (
    DOTS,
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
from lookalike.index.points import DecayPoint, IndexComparison, IndexPoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def make_folder(folder: Path) -> None:
    """Make the folder of a report, before anything is measured for it.

    Raises:
        UsageError: If a file is where the folder should be.
        EnvironmentFault: If it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder for the report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise environment_fault(error, f"{folder} could not be made") from error


def write_index_report(folder: Path, compared: IndexComparison, *, title: str) -> Path:
    """Write `report.html`, `indexes.json`, CSV tables and PNG plots; return the page.

    Raises:
        UsageError: If a file is where the folder should be.
        EnvironmentFault: If it cannot be written.
    """
    make_folder(folder)
    plots = [render(*plot) for plot in _plots(compared)]
    for plot in plots:
        write_atomically(folder / plot.file_name, plot.png)
    text = json.dumps({"title": title, **compared.to_json()}, indent=2)
    write_atomically(folder / "indexes.json", f"{text}\n".encode())
    for name, kind, rows in (
        ("indexes.csv", IndexPoint, compared.points),
        ("decay.csv", DecayPoint, compared.decay),
    ):
        write_atomically(folder / name, _csv(kind, rows))
    page = folder / "report.html"
    write_atomically(page, _page(compared, title, plots).encode())
    return page


def plot_recall(compared: IndexComparison, theme: Theme) -> "Figure":
    """Draw recall against the time of a query, and against memory, a curve for each kind."""
    figure, (times, memory) = new_figure(2, theme)
    for position, (name, points) in enumerate(_by_kind(compared).items()):
        line = system_line(name, position, theme)
        for axis, x in (
            (times, [point.median_ms for point in points]),
            (memory, [point.n_bytes / 2**20 for point in points]),
        ):
            recalls = [point.recall for point in points]
            draw_line(axis, np.array(x), np.array(recalls), line)
            axis.plot(x, recalls, "o", color=line.color, markersize=3)
        best = [(point.median_ms, point.recall) for point in points if point.is_best]
        for x_best, y_best in best:
            times.plot(x_best, y_best, "o", color=line.color, markersize=9, fillstyle="none")
    for axis, label in ((times, "processor time of a query, ms"), (memory, "memory, MiB")):
        axis.set_ylim(0, 1.02)
        label_axes(axis, label, "recall@10")
    times.set_xscale("log")
    times.xaxis.set_major_formatter("{x:g}")
    memory.set_xlim(left=0)
    add_legend(figure, times, theme)
    return figure


def plot_decay(compared: IndexComparison, theme: Theme) -> "Figure":
    """Draw what an exact KD-tree compares, and how long it takes, against the dimension."""
    figure, (share, times) = new_figure(2, theme)
    dims = np.array([point.dim for point in compared.decay], np.float64)
    tree = system_line("exact KD-tree", 0, theme)
    scan = Line("every row compared", theme.chance, DOTS, 1.8)
    draw_line(share, dims, np.array([point.compared for point in compared.decay]), tree)
    draw_line(share, dims, np.ones(len(dims)), scan)
    draw_line(times, dims, np.array([point.tree_ms for point in compared.decay]), tree)
    draw_line(times, dims, np.array([point.scan_ms for point in compared.decay]), scan)
    for axis, label in ((share, "share of rows compared"), (times, "processor time, ms")):
        axis.set_xscale("log", base=2)
        axis.set_xticks(dims, [f"{dim:.0f}" for dim in dims])
        axis.minorticks_off()
        label_axes(axis, "principal components", label)
    share.set_ylim(0, 1.05)
    times.set_yscale("log")
    times.yaxis.set_major_formatter("{x:g}")
    times.minorticks_off()
    add_legend(figure, share, theme)
    return figure


def _plots(compared: IndexComparison) -> list[tuple[str, str, "Callable[[Theme], Figure]"]]:
    recall = "Recall@10 against time and memory of each kind of index"
    plots = [("recall.png", recall, lambda theme: plot_recall(compared, theme))]
    if compared.decay:
        decay = "Share of rows that an exact KD-tree compares, and its time, by dimension"
        plots.append(("decay.png", decay, lambda theme: plot_decay(compared, theme)))
    return plots


def _by_kind(compared: IndexComparison) -> dict[str, list[IndexPoint]]:
    kinds: dict[str, list[IndexPoint]] = {}
    for point in compared.points:
        kinds.setdefault(point.kind, []).append(point)
    return kinds


def _csv(kind: type[Any], rows: tuple[Any, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()


def _page(compared: IndexComparison, title: str, plots: list[RenderedPlot]) -> str:
    rows = {
        f"{point.kind}; {point.effort}": [
            f"{number(point.recall)}{' ◯' if point.is_best else ''}",
            number(point.median_ms),
            number(point.p99_ms),
            number(point.compared, ",.0f"),
            number(point.build_seconds, ".1f"),
            number(point.n_bytes / 2**20, ".1f"),
        ]
        for point in compared.points
    }
    heads = ["", "recall@10", "median, ms", "99 %, ms", "candidates", "build, s", "MiB"]
    decay = {
        str(point.dim): [
            number(point.variance),
            number(point.compared),
            number(point.tree_ms),
            number(point.scan_ms),
        ]
        for point in compared.decay
    }
    decay_heads = ["components", "variance", "share compared", "KD-tree, ms", "every row, ms"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='faded'>{compared.n:,} embeddings of {compared.dim} dimensions, "
        f"{compared.n_queries} queries that are not among them, one at a time on one thread; "
        f"processor time, median of {compared.runs} runs. ◯: nothing finds as much in less time."
        "</p>",
        *(plot_figure(plot) for plot in plots),
        f"<h2>Kinds and efforts</h2>{table(heads, rows)}",
    ]
    if decay:
        parts.append(f"<h2>The KD-tree by dimension</h2>{table(decay_heads, decay)}")
    return document(title, "\n".join(parts))
