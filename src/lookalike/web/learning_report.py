"""What a person is shown of a run: curves, figures, time left."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lookalike.learning.history import FIGURES, LOSSES
from lookalike.model_folder import ModelCard
from lookalike.web.charts import Chart, DrawnChart, Line, Point, draw, number
from lookalike.web.models import JobState, LearningRun
from lookalike.web.trainings import Pace

Row = dict[str, float | str]

_MEANINGS: Final = {
    "label_map": ("Labels", "mean average precision"),
    "label_f": ("Labels", "F, at one half"),
    "predicted_miou": ("Layout from the picture", "mean IoU over pictures"),
    "predicted_class_miou": ("Layout from the picture", "mean IoU over classes"),
    "reconstruction_miou": ("Layout after encoding", "mean IoU over pictures"),
    "reconstruction_class_miou": ("Layout after encoding", "mean IoU over classes"),
}


class Figure(NamedTuple):
    """One measured figure: what it is, in which measure, and the figure."""

    name: str
    measure: str
    text: str


def figures_of(card: ModelCard | None) -> list[Figure]:
    """Return what was measured on held-out pictures when training ended."""
    if card is None:
        return []
    measured = [(name, value) for name, value in card.measured.items() if name in _MEANINGS]
    return [Figure(*_MEANINGS[name], number(value)) for name, value in measured]


def charts_of(rows: Sequence[Row]) -> list[DrawnChart]:
    """Draw the losses and the figures on held-out pictures over all passes so far."""
    losses = Chart("Loss", "pass", _lines(rows, LOSSES), is_log=True)
    figures = Chart("Held-out pictures", "pass", _lines(rows, FIGURES), is_share=True)
    drawn = [draw(each) for each in (losses, figures)]
    return [each for each in drawn if each is not None]


def _lines(rows: Sequence[Row], wanted: dict[str, tuple[str, str]]) -> list[Line]:
    return [
        Line(
            words,
            [Point(n, float(row[name])) for n, row in enumerate(rows, start=1) if name in row],
            is_by_ones=True,
        )
        for name, (words, _) in wanted.items()
    ]


def time_left(run: LearningRun, pace: Pace) -> str:
    """Say how long a run will still take; empty while that is not known or it does not run.

    Example:
        >>> time_left(LearningRun(state="running"), Pace(3, 10, 95.0))
        'about 2 min left'
    """
    if run.state != JobState.RUNNING or pace.seconds_left is None:
        return ""
    seconds = pace.seconds_left
    if seconds < 5:
        return "almost done"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5 or 5} s left"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min left" if hours else f"about {minutes} min left"
