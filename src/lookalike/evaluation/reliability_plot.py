"""The reliability diagram: how often what was said with some probability came true."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.evaluation.plots import (
    DOTS,
    LIGHT,
    Line,
    Theme,
    add_legend,
    draw_line,
    label_axes,
    new_figure,
    system_line,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_reliability(
    predicted: Float64[ndarray, " bins"],
    observed: Float64[ndarray, " bins"],
    counts: Int64[ndarray, " bins"],
    theme: Theme = LIGHT,
) -> "Figure":
    """Draw the share that came true against the mean probability of each bin that is not empty.

    Points are larger where more probabilities fall. On the diagonal every probability is right
    (M. H. DeGroot & S. E. Fienberg, *The Comparison and Evaluation of Forecasters*, Journal of the
    Royal Statistical Society D 32, 1983).
    """
    figure, (axis,) = new_figure(1, theme)
    both = np.array([0.0, 1.0])
    draw_line(axis, both, both, Line("always right", theme.chance, DOTS, 1.5))
    held = counts > 0
    line = system_line("propagated labels", 0, theme)
    draw_line(axis, predicted[held], observed[held], line)
    sizes = 12 + 120 * np.sqrt(counts[held] / max(1, counts.max()))
    axis.scatter(predicted[held], observed[held], sizes, color=line.color, zorder=3)
    label_axes(axis, "probability that was given", "share that came true")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    add_legend(figure, axis, theme)
    return figure
