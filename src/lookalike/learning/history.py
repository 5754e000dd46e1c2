"""The log of a training run, as a table and as a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row: TypeAlias = dict[str, float | int | str]

HISTORY: Final = "history.csv"
CURVES: Final = "curves.png"

_COLUMNS: Final = (
    "stage", "epoch", "loss", "label_loss", "code_loss", "map_loss", "predicted_map_loss",
    "segmentation_loss",
    "sparsity_loss", "layer_loss", "reconstruction_error", "free_energy_gap", "wake_loss",
    "sleep_loss",
    "teacher_loss", "similarity_loss", "cells_loss",
    "shares_loss", "similar_codes_loss",
    "reconstruction_miou", "reconstruction_class_miou", "predicted_miou", "predicted_class_miou",
    "label_map", "label_f", "pretraining_loss",
    "learning_rate", "seconds",
)  # fmt: skip
_INK: Final = "#2f3640"
_GRID: Final = "#e3e6ea"
LOSSES: Final = {
    "label_loss": ("labels", "#d1495b"),
    "code_loss": ("code", "#00798c"),
    "map_loss": ("label map", "#edae49"),
    "predicted_map_loss": ("label map, predicted", "#8d6a9f"),
    "pretraining_loss": ("without labels", "#66666e"),
    "segmentation_loss": ("label map, segmented", "#3d5a80"),
    "layer_loss": ("layer", "#7a7a7a"),
    "reconstruction_error": ("layer, squared error", "#7a7a7a"),
    "teacher_loss": ("teacher", "#5f7a3a"),
    "similarity_loss": ("neighbors", "#8a5a44"),
    "cells_loss": ("cells", "#a3a04f"),
    "shares_loss": ("shares of cells", "#4e9a8d"),
    "similar_codes_loss": ("codes alike", "#b07aa1"),
}
FIGURES: Final = {
    "reconstruction_miou": ("mIoU, reconstructed", "#edae49"),
    "predicted_miou": ("mIoU, from the photograph", "#00798c"),
    "label_map": ("label mAP", "#d1495b"),
}
_STAGES: Final = {
    "layers": ("layers", "#f2f2f3"),
    "contrastive": ("contrastive", "#f2f2f3"),
    "hints apart": ("hints apart", "#f2f2f3"),
    "hints in a row": ("hints in a row", "#ececef"),
    "map layers": ("map layers", "#f3f1ec"),
    "wake-sleep": ("wake–sleep", "#f1f3ea"),
    "self-encoder": ("self-encoder", "#fdf6e8"),
    "trunk": ("trunk", "#eff3ea"),
    "network": ("network", "#eef6f7"),
    "joint": ("joint", "#f6eff8"),
}


def history_text(rows: Sequence[Row]) -> str:
    """Return the log as CSV: one line per epoch, empty where a stage has no such figure."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _readable(value) for key, value in row.items()})
    return buffer.getvalue()


def _readable(value: float | int | str) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def draw_curves(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draw losses and held-out figures over the epochs of all stages into a PNG."""
    # Matplotlib is slow to import and needed only here.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 4.2), dpi=120, facecolor="white")
    losses, figures = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.13, top=0.84, wspace=0.14)
    figure.suptitle(title, fontsize=12, color=_INK)
    _draw_panel(losses, rows, LOSSES, "Loss")
    losses.set_yscale("log")
    _draw_panel(figures, rows, FIGURES, "Held-out pictures")
    figures.set_ylim(0, 1)
    FigureCanvasAgg(figure)
    figure.savefig(path)


def _draw_panel(
    axes: "Axes", rows: Sequence[Row], curves: dict[str, tuple[str, str]], title: str
) -> None:
    for name, (label, color) in curves.items():
        points = [(x, float(row[name])) for x, row in enumerate(rows, start=1) if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, label=label, linewidth=2)
            axes.plot(*points[-1], "o", color=color, markersize=5)
    _shade_stages(axes, rows)
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel("epoch", color=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GRID)
    if axes.lines:
        axes.legend(frameon=False, fontsize=9, labelcolor=_INK)


def _shade_of(stage: str) -> str:
    """All layers, `layer 1` and so on, share a shade, and so do those of a self-encoder."""
    kind, _, number = stage.rpartition(" ")
    return f"{kind}s" if number.isdigit() else stage


def _shade_stages(axes: "Axes", rows: Sequence[Row]) -> None:
    named = [str(row["stage"]) for row in rows]
    stages = [_shade_of(stage) for stage in named]
    axes.set_xlim(0.5, len(rows) + 0.5)
    for stage, (label, color) in _STAGES.items():
        if stage in stages:
            first, last = stages.index(stage), len(stages) - stages[::-1].index(stage)
            axes.axvspan(first + 0.5, last + 0.5, color=color, zorder=0)
            axes.text(
                first + 0.7, 0.02, label, transform=axes.get_xaxis_transform(),
                fontsize=8, color=_INK, alpha=0.7,
            )  # fmt: skip
