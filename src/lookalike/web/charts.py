"""Line charts, drawn by the server as SVG; a small module lets people look along them.

Every chart has a table of the same figures beside it. Which lines are shown is decided by check
boxes and a style sheet; colors and dashes are the style sheet's, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

WIDTH: Final = 640
HEIGHT: Final = 320
LEFT: Final = 54
RIGHT: Final = 16
TOP: Final = 14
BOTTOM: Final = 44
STYLES: Final = 8
"""Lines that the style sheet can tell apart, the last for what is faded; more begin again."""

_MOST_POINTS: Final = 240
_TICKS: Final = 5


class Point(NamedTuple):
    """A figure, with its interval where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Figures that belong together.

    Attributes:
        name: As people read it.
        points: In ascending order of `x`.
        is_faded: Whether it is there to compare with only.
        is_by_ones: Whether `x` counts, so that a gap means that there is no figure.
    """

    name: str
    points: Sequence[Point]
    is_faded: bool = False
    is_by_ones: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """What is to be drawn.

    Attributes:
        title: What it shows.
        x_name: What goes to the right.
        lines: What is drawn.
        is_share: Whether values are shares, shown from 0 to 1.
        is_log: Whether each step upwards multiplies.
        is_even: Whether places are equally far from each other, whatever lies between them.
        note: A line beneath.
    """

    title: str
    x_name: str
    lines: Sequence[Line]
    is_share: bool = False
    is_log: bool = False
    is_even: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where it is drawn, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure as it is drawn."""

    cx: float
    cy: float
    x: str
    text: str


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line as it is drawn.

    Attributes:
        name: As people read it.
        number: Which style of the style sheet.
        paths: The `points` of polylines.
        band: The `points` of a polygon around it; empty without intervals.
        dots: Its figures.
        last: The last figure in words.
        is_faded: Whether it is there to compare with only.
    """

    name: str
    number: int
    paths: Sequence[str]
    band: str
    dots: Sequence[Dot]
    last: str
    is_faded: bool


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart as the template needs it.

    Attributes:
        title: What it shows.
        x_name: What goes to the right.
        note: A line beneath.
        lines: What is drawn.
        x_ticks: Marks below.
        y_ticks: Marks at the left.
        columns: How far to the right figures lie, each place once.
        heads: Head of the table.
        rows: Rows of the table.
    """

    title: str
    x_name: str
    note: str
    lines: Sequence[DrawnLine]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    columns: Sequence[float]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    width: int = field(default=WIDTH)
    height: int = field(default=HEIGHT)
    left: int = field(default=LEFT)
    right: int = field(default=WIDTH - RIGHT)
    top: int = field(default=TOP)
    bottom: int = field(default=HEIGHT - BOTTOM)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values are drawn."""

    low: float
    high: float
    first: float
    last: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self._place(self.low), self._place(self.high)
        share = (self._place(value) - low) / (high - low) if high > low else 0.5
        share = min(max(share, 0.0), 1.0)
        return round(self.first + share * (self.last - self.first), 1)

    def _place(self, value: float) -> float:
        return math.log(max(value, 1e-9)) if self.is_log else value


class _Across:
    """Where places lie: true to scale, or equally far from each other."""

    def __init__(self, xs: Sequence[float], *, is_even: bool) -> None:
        self._ranks = {x: float(rank) for rank, x in enumerate(xs)} if is_even else {}
        low, high = (0.0, len(xs) - 1.0) if is_even else (xs[0], xs[-1])
        self._scale = _Scale(low, high, float(LEFT), float(WIDTH - RIGHT))

    def __call__(self, x: float) -> float:
        return self._scale(self._ranks.get(x, x))


def draw(chart: Chart) -> DrawnChart | None:
    """Return a chart as it is drawn; `None` if there is nothing to draw.

    Figures that are not finite are left out. Of long lines a few hundred figures are drawn, the
    last among them; the table has these, too.
    """
    lines = [replace(each, points=_shown(each.points)) for each in chart.lines]
    lines = [each for each in lines if each.points]
    if not lines:
        return None
    points = [point for line in lines for point in line.points]
    xs = sorted({point.x for point in points})
    low, high = _range(points, chart)
    across = _Across(xs, is_even=chart.is_even)
    up = _Scale(low, high, float(HEIGHT - BOTTOM), float(TOP), chart.is_log)
    return DrawnChart(
        title=chart.title,
        x_name=chart.x_name,
        note=chart.note,
        lines=[_drawn(line, n, across, up, chart) for n, line in enumerate(lines)],
        x_ticks=[Tick(across(x), f"{x:g}") for x in _x_ticks(xs)],
        y_ticks=[Tick(up(y), f"{y:g}") for y in _y_ticks(low, high, chart)],
        columns=[across(x) for x in xs],
        heads=[chart.x_name, *(line.name for line in lines)],
        rows=_rows(lines, xs),
    )


def number(value: float) -> str:
    """Return a figure as people read it.

    Example:
        >>> number(0.61234), number(12.3456), number(0.000123)
        ('0.612', '12.35', '0.000123')
    """
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.3g}"


def in_words(point: Point) -> str:
    """Return a figure with its interval."""
    if point.low is None or point.high is None:
        return number(point.y)
    return f"{number(point.y)} ({number(point.low)} to {number(point.high)})"


def _shown(points: Sequence[Point]) -> list[Point]:
    finite = [
        Point(float(each.x), float(each.y), *each[2:]) for each in points if math.isfinite(each.y)
    ]
    if len(finite) <= _MOST_POINTS:
        return finite
    step = len(finite) / _MOST_POINTS
    return [*(finite[int(n * step)] for n in range(_MOST_POINTS - 1)), finite[-1]]


def _range(points: Sequence[Point], chart: Chart) -> tuple[float, float]:
    if chart.is_share:
        return 0.0, 1.0
    values = [point.y for point in points]
    if chart.is_log:
        positive = [value for value in values if value > 0] or [1.0]
        return min(positive) / 1.15, max(positive) * 1.15
    low, high = min(0.0, *values), max(values)
    return low, high if high > low else low + 1.0


def _drawn(line: Line, n: int, across: _Across, up: _Scale, chart: Chart) -> DrawnLine:
    dots = [Dot(across(p.x), up(p.y), f"{p.x:g}", in_words(p)) for p in line.points]
    lows = [(across(p.x), up(p.low)) for p in line.points if p.low is not None]
    highs = [(across(p.x), up(p.high)) for p in line.points if p.high is not None]
    around = [*lows, *reversed(highs)] if len(lows) > 1 else []
    return DrawnLine(
        name=line.name,
        number=STYLES if line.is_faded else n % (STYLES - 1) + 1,
        paths=[" ".join(f"{dot.cx},{dot.cy}" for dot in run) for run in _runs(line, dots)],
        band=" ".join(f"{x},{y}" for x, y in around),
        dots=dots,
        last=dots[-1].text,
        is_faded=line.is_faded,
    )


def _runs(line: Line, dots: Sequence[Dot]) -> list[list[Dot]]:
    """Divide a line where figures are missing."""
    runs: list[list[Dot]] = []
    is_thinned = len(line.points) >= _MOST_POINTS
    for n, dot in enumerate(dots):
        is_gap = n > 0 and line.points[n].x - line.points[n - 1].x > 1
        if not runs or (line.is_by_ones and is_gap and not is_thinned):
            runs.append([])
        runs[-1].append(dot)
    return runs


def _x_ticks(xs: Sequence[float]) -> list[float]:
    if len(xs) <= 12:
        return list(xs)
    step = _nice((xs[-1] - xs[0]) / 8)
    first = math.ceil(xs[0] / step)
    return [n * step for n in range(first, math.floor(xs[-1] / step) + 1)]


def _y_ticks(low: float, high: float, chart: Chart) -> list[float]:
    if chart.is_log and high > 8 * low:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [float(f"{m}e{power}") for power in powers for m in (1, 2, 5)]
        ticks = [tick for tick in ticks if low <= tick <= high]
        return ticks if len(ticks) <= 8 else [tick for tick in ticks if f"{tick:e}"[0] == "1"]
    step = _nice((high - low) / _TICKS)
    count = range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)
    return [round(n * step, 10) for n in count]


def _nice(step: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not less than `step`.

    Example:
        >>> _nice(0.17), _nice(3.0), _nice(80.0)
        (0.2, 5.0, 100.0)
    """
    power = math.floor(math.log10(step)) if step > 0 else 0
    return next(m for m in (1, 2, 5, 10) if float(f"{m}e{power}") >= step * 0.999) * 10.0**power


def _rows(lines: Sequence[Line], xs: Sequence[float]) -> list[list[str]]:
    known = [{point.x: in_words(point) for point in line.points} for line in lines]
    return [[f"{x:g}", *(each.get(x, "") for each in known)] for x in xs]
