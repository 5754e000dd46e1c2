"""What a person is shown of an evaluation: figures, charts, tables, exports."""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lookalike.evaluation.rankings import Measure
from lookalike.web.charts import Chart, DrawnChart, Line, Point, draw, number
from lookalike.web.evaluating import differences

_BY_K: Final = (
    ("precision_at_k", "Precision", "share of the first k hits that are relevant"),
    ("recall_at_k", "Recall", "share of all relevant pictures that are among the first k"),
    ("ndcg_at_k", "nDCG", "the more labels shared and the earlier, the better; 1 is the best"),
    ("layout_miou_at_k", "Layout overlap", "the same thing in the same place, mean IoU"),
)
"""Measures that are drawn against k: key, name, meaning."""

_WHOLE: Final = "mean_average_precision"


class Headline(NamedTuple):
    """One figure above all others."""

    name: str
    text: str
    interval: str
    chance: str


def headline_of(content: Mapping[str, Any]) -> list[Headline]:
    """Return the few figures that say most, with their 95 % intervals and what chance gives."""
    measures = content["measures"]
    k = str(max(map(int, measures["precision_at_k"])))
    found = []
    for name, by in ((_WHOLE, None), ("precision_at_k", k), ("ndcg_at_k", k), (_LAYOUT, k)):
        mean = _value(measures, name, by)
        if mean is None:
            continue
        ends = _value(measures["intervals"], name, by) or (None, None)
        between = "" if None in ends else " to ".join(map(number, ends))
        chance = _value(measures["random"], name, by)
        label = Measure(name, None if by is None else int(by)).label
        found.append(
            Headline(label, number(mean), between, "" if chance is None else number(chance))
        )
    return found


_LAYOUT: Final = "layout_miou_at_k"


def too_common(content: Mapping[str, Any]) -> list[str]:
    """Return the labels that more than half of the pictures show, unless that is all of them."""
    common = [each["label"] for each in content["labels"] if each["chance"] > 0.5]
    return common if len(common) < len(content["labels"]) else []


def charts_of(
    content: Mapping[str, Any], other: Mapping[str, Any] | None = None
) -> list[DrawnChart]:
    """Draw each measure against k, and precision against recall; beside another evaluation's."""
    charts = [
        Chart(
            name,
            "k",
            _lines(content, other, key),
            is_share=True,
            is_even=True,
            note=f"{meaning[0].upper()}{meaning[1:]}. Bands: 95 % intervals over queries.",
        )
        for key, name, meaning in _BY_K
        if content["measures"].get(key)
    ]
    curves = [_curve(content, content["title"])]
    if other is not None:
        curves.append(_curve(other, _other_name(content, other)))
    prevalence = content["measures"]["prevalence"]
    curves.append(Line("by chance", [Point(n / 10, prevalence) for n in range(11)], True))
    note = "Interpolated: the best precision at this recall or a larger one."
    charts.insert(2, Chart("Precision against recall", "recall", curves, is_share=True, note=note))
    return [drawn for drawn in map(draw, charts) if drawn is not None]


def _lines(content: Mapping[str, Any], other: Mapping[str, Any] | None, key: str) -> list[Line]:
    lines = [Line(content["title"], _points(content["measures"], key))]
    if other is not None:
        lines.append(Line(_other_name(content, other), _points(other["measures"], key)))
    random = content["measures"]["random"].get(key, {})
    chance = [Point(float(k), mean) for k, mean in random.items() if mean is not None]
    return [*lines, Line("by chance", chance, is_faded=True)]


def _points(measures: Mapping[str, Any], key: str) -> list[Point]:
    intervals = measures["intervals"].get(key, {})
    means = measures.get(key) or {}
    return [
        Point(float(k), mean, *intervals.get(k, (None, None)))
        for k, mean in means.items()
        if mean is not None
    ]


def _curve(content: Mapping[str, Any], name: str) -> Line:
    values = content["measures"]["precision_at_recall"]
    return Line(name, [Point(n / 10, value) for n, value in enumerate(values) if value is not None])


def _other_name(content: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    name = str(other["title"])
    return f"{name} (the other)" if name == content["title"] else name


class Difference(NamedTuple):
    """One measure of two evaluations, side by side."""

    name: str
    first: str
    second: str
    difference: str
    p: str


def comparison_of(content: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference] | None:
    """Compare the headline measures query by query; `None` if they asked with other pictures."""
    found = differences(content, other)
    if found is None:
        return None
    return [
        Difference(
            name,
            _mean(content, name),
            _mean(other, name),
            f"{paired.difference.mean:+.3f} ({paired.difference.low:+.3f} to "
            f"{paired.difference.high:+.3f})",
            "< 0.001" if p < 0.001 else f"{p:.3f}",
        )
        for name, (paired, p) in found.items()
    ]


def _mean(content: Mapping[str, Any], name: str) -> str:
    values = [value for value in content["queries"]["values"][name] if value is not None]
    return number(sum(values) / len(values)) if values else ""


def to_csv(content: Mapping[str, Any]) -> str:
    """Return all measures as CSV: name, k, mean, ends of the 95 % interval, random order."""
    measures = content["measures"]
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["measure", "k", "mean", "low", "high", "random"])
    for name, interval in measures["intervals"].items():
        by_k = interval if isinstance(interval, dict) else {None: interval}
        for k, ends in by_k.items():
            row = (_value(measures, name, k), *(ends or (None, None)))
            row = (*row, _value(measures["random"], name, k))
            table.writerow([name, k or "", *("" if v is None else f"{v:.6g}" for v in row)])
    return buffer.getvalue()


def labels_to_csv(content: Mapping[str, Any]) -> str:
    """Return the figures of each label as CSV."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["label", "pictures", "queries", "average_precision", "precision", "chance"])
    for each in content["labels"]:
        figures = (each["average_precision"], each["precision"], each["chance"])
        numbers = (each["n_pictures"], each["n_queries"])
        table.writerow([each["label"], *numbers, *(f"{value:.6g}" for value in figures)])
    return buffer.getvalue()


def _value(measures: Mapping[str, Any], name: str, k: str | None) -> Any:
    found = measures.get(name)
    return found.get(k) if k is not None and isinstance(found, dict) else found
