"""The report as one HTML page: no script, nothing fetched, readable in light and in dark."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
from PIL import Image

from lookalike.arrays import Pixels
from lookalike.datasets.scenes import colorize
from lookalike.evaluation.contact_sheet import (
    Legend,
    SheetPicture,
    SheetQuery,
    all_pictures,
    median_proportion,
)
from lookalike.evaluation.markup import (
    data_uri,
    document,
    interval,
    number,
    p_value,
    plot_figure,
    table,
    with_interval,
)
from lookalike.evaluation.measurements import Comparison, Evaluation
from lookalike.evaluation.plots import RenderedPlot
from lookalike.evaluation.rankings import Measure

_THUMBNAIL_PX: Final = 220

_MEANINGS: Final = {
    "precision_at_k": "share of the first k hits that are relevant",
    "recall_at_k": "share of all relevant pictures that are among the first k; at most k over "
    "their number",
    "f_at_k": "harmonic mean of the two",
    "hit_rate_at_k": "share of queries with at least one relevant picture among the first k",
    "ndcg_at_k": "the more classes shared and the earlier, the better; 1 is the best order",
    "mean_average_precision": "mean over queries of the precision at each relevant picture, over "
    "the whole ranking",
    "mean_average_precision_at_k": "the same for the first k, divided by min(k, relevant pictures)",
    "mean_average_precision_over_hits_at_k": "the same divided by the relevant pictures found, as "
    "papers on hashing do; not comparable with the others",
    "r_precision": "precision at as many hits as there are relevant pictures",
    "map_at_r": "average precision of as many hits as there are relevant pictures",
    "mean_reciprocal_rank": "one over the rank of the first relevant picture",
    "label_jaccard_at_k": "classes in common over classes in either, mean over the first k",
    "layout_miou_at_k": "overlap of the label maps: the same thing in the same place; mean over "
    "classes, then over the first k hits; background left out",
    "layout_miou_with_background_at_k": "the same with background as one more class",
}


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Everything a report shows.

    Attributes:
        title: Headline.
        subtitle: A line beneath.
        evaluations: By name of the system; the first is compared with each of the others.
        comparisons: By name of the other system.
        plots: Curves.
        examples: Queries with their hits.
        are_examples_picked: Whether somebody chose them.
        legend: Classes and their colors.
        not_counted: Names of classes that make no picture relevant to another.
        common: Names of classes that count and that more than half of the gallery shows.
        beside: Names of the files beside the page.
    """

    title: str
    subtitle: str
    evaluations: Mapping[str, Evaluation]
    comparisons: Mapping[str, Comparison]
    plots: Sequence[RenderedPlot]
    examples: Sequence[SheetQuery]
    are_examples_picked: bool
    legend: Legend
    not_counted: Sequence[str]
    common: Sequence[str]
    beside: Sequence[str]


def to_html(page: Page) -> str:
    """Write the page; everything it needs is in it."""
    body = "\n".join(
        (
            f"<h1>{escape(page.title)}</h1>",
            f"<p class='faded'>{escape(page.subtitle)}</p>" if page.subtitle else "",
            _headline(page),
            _differences(page),
            _plots(page.plots),
            _examples(page),
            *(
                _all_measures(name, e, len(page.evaluations))
                for name, e in page.evaluations.items()
            ),
            _clustering(page),
            _explanations(page),
            _links(page.beside),
        )
    )
    return document(page.title, body)


def _headline(page: Page) -> str:
    if len(page.evaluations) > 1:
        return ""
    (evaluation,) = page.evaluations.values()
    cards = [
        f"<li>{escape(measure.label)}<strong>{number(evaluation.estimates[measure].mean)}</strong>"
        f"<small>95 % interval {interval(evaluation.estimates[measure])}</small>"
        f"<small>random order {number(evaluation.random[measure])}</small></li>"
        for measure in evaluation.headline
    ]
    return f"<ul class='headline'>{''.join(cards)}</ul>"


def _differences(page: Page) -> str:
    if len(page.evaluations) < 2:
        return ""
    first, *others = page.evaluations
    heads = [*page.evaluations, "random order"]
    for other in others:
        heads += [f"difference to {other}" if len(others) > 1 else "difference", "p"]
    rows = {m.label: _difference_cells(page, m) for m in page.evaluations[first].headline}
    return (
        f"<h2>Comparison</h2>{table(['', *heads], rows)}"
        f"<p class='faded'>Differences are {escape(first)} minus the other, over the same queries. "
        "p: two-sided paired randomization test, adjusted for the number of measures by Holm's "
        "procedure. Brackets: 95 % bootstrap intervals over queries.</p>"
    )


def _difference_cells(page: Page, measure: Measure) -> list[str]:
    systems = list(page.evaluations.values())
    cells = [with_interval(system.estimates.get(measure)) for system in systems]
    cells.append(f"<span class='chance'>{number(systems[0].random[measure])}</span>")
    for comparison in page.comparisons.values():
        paired = comparison.differences.get(measure)
        cells.append(with_interval(paired.difference if paired else None, "+.3f"))
        cells.append(p_value(comparison.adjusted.get(measure, math.nan)))
    return cells


def _plots(plots: Sequence[RenderedPlot]) -> str:
    parts = [plot_figure(plot, is_narrow=position > 0) for position, plot in enumerate(plots)]
    return f"<h2>Curves</h2>{''.join(parts)}"


def _examples(page: Page) -> str:
    if not page.examples:
        return ""
    chosen = (
        "Chosen by hand."
        if page.are_examples_picked
        else "Evenly spaced from the best to the worst query by average precision, not picked."
    )
    parts = [f"<h2>Examples</h2><p class='faded'>{chosen}</p>"]
    for example in page.examples:
        rows = "".join(
            (f"<h3>{escape(row.name)}</h3>" if row.name else "")
            + f"<div class='hits'>{''.join(_figure(hit, page.legend) for hit in row.hits)}</div>"
            for row in example.rows
        )
        query = f"<div><h3>Query</h3>{_figure(example.query, page.legend)}</div>"
        heading = "" if example.rows and example.rows[0].name else "<h3>Hits, best first</h3>"
        parts.append(
            f"<div class='example'>{query}<div class='systems'>{heading}{rows}</div></div>"
        )
    proportion = median_proportion(all_pictures(page.examples))
    return f"<div style='--proportion:{proportion:.3f}'>{''.join(parts)}</div>{_legend(page)}"


def _figure(picture: SheetPicture, legend: Legend) -> str:
    kind, mark = "query", ""
    if picture.is_relevant is not None:
        kind = "relevant" if picture.is_relevant else "not-relevant"
        meaning = "relevant" if picture.is_relevant else "not relevant"
        sign = "✓" if picture.is_relevant else "✕"
        mark = f"<span class='mark' title='{meaning}' aria-label='{meaning}'>{sign}</span> "
    seen = (
        f"<img class='seen' src='{_photo_uri(picture.pixels)}' alt='{escape(picture.description)}'>"
    )
    drawn = ""
    if picture.label_map is not None:
        painted = Image.fromarray(colorize(picture.label_map, legend.palette))
        drawn = f"<img class='map' src='{_map_uri(painted, picture.pixels)}' alt=''>"
    caption = f"<figcaption>{mark}{escape(picture.caption or picture.description)}</figcaption>"
    return f"<figure class='picture {kind}'>{seen}{drawn}{caption}</figure>"


def _legend(page: Page) -> str:
    maps = [p.label_map for p in all_pictures(page.examples) if p.label_map is not None]
    shown = {value for label_map in maps for value in np.unique(label_map).tolist()}
    items = [
        f"<li><svg viewBox='0 0 1 1' aria-hidden='true'>"
        f"<rect width='1' height='1' rx='.2' fill='rgb{page.legend.palette[value]}'/></svg>"
        f"{escape(name)}</li>"
        for value, name in enumerate(page.legend.classes, start=1)
        if value in shown
    ]
    return f"<ul class='legend'>{''.join(items)}</ul>" if items else ""


def _all_measures(name: str, evaluation: Evaluation, n_systems: int) -> str:
    names = list(dict.fromkeys(m.name for m in evaluation.estimates if m.k is not None))
    at_k = {
        f"{Measure(row).label}@k": [_cell(evaluation, Measure(row, k)) for k in evaluation.at]
        for row in names
    }
    whole = {m.label: [_cell(evaluation, m)] for m in evaluation.estimates if m.k is None}
    title = f"All measures: {name}" if n_systems > 1 else "All measures"
    return (
        f"<h2>{escape(title)}</h2>"
        "<p class='faded'>Mean with 95 % interval; beneath, a random order of the same gallery.</p>"
        f"{table(['', *(f'k = {k}' for k in evaluation.at)], at_k)}"
        f"{table(['', 'whole ranking'], whole)}"
    )


def _cell(evaluation: Evaluation, measure: Measure) -> str:
    chance = number(evaluation.random[measure])
    return (
        f"{with_interval(evaluation.estimates[measure])}<br><small class='chance'>{chance}</small>"
    )


def _clustering(page: Page) -> str:
    known = [
        (name, e.clustering, e.strict_clustering)
        for name, e in page.evaluations.items()
        if e.clustering and e.strict_clustering
    ]
    if not known:
        return ""
    rows = {
        name: [
            str(scores.n_clusters),
            number(scores.precision),
            number(scores.recall),
            *map(number, (scores.f, scores.baseline_one_cluster_f, scores.baseline_random_f)),
            *map(number, (strict.f, strict.baseline_one_cluster_f, strict.baseline_random_f)),
        ]
        for name, scores, strict in known
    }
    heads = ["", "clusters", "precision", "recall", "F", "F, one cluster", "F, random clusters"]
    heads += ["F, Jaccard ≥ 0.5", "one cluster", "random clusters"]
    return (
        "<h2>Clusters against labels</h2><p class='faded'>Over all pairs of labeled pictures: a "
        "pair belongs together if it shares a class. F is driven mostly by the number of clusters, "
        "so read it against everything in one cluster and against clusters drawn at random.</p>"
        f"{table(heads, rows)}"
    )


def _explanations(page: Page) -> str:
    first = next(iter(page.evaluations.values()))
    shown = list(dict.fromkeys(measure.name for measure in first.estimates))
    terms = "".join(
        f"<dt>{escape(Measure(name).label)}{'@k' if name.endswith('_at_k') else ''}</dt>"
        f"<dd>{escape(_MEANINGS[name])}</dd>"
        for name in shown
        if name in _MEANINGS
    )
    counts = [
        f"{first.n_without_relevant} pictures were never a query: no other is relevant to them",
        f"{first.n_junk} images of the collection are unknown to the data set and were left out",
        f"{first.n_missing} pictures of the data set are not in the collection",
    ]
    return (
        "<h2>How this was measured</h2>"
        f"<p>{len(first.query_ids)} queries out of a gallery of {first.n_gallery} pictures (seed "
        f"{first.seed}), each searched among all others. A picture is relevant if it shares a "
        f"class with the query; on average {first.n_relevant.mean():.0f} are, "
        f"{first.prevalence:.0%} of the gallery. {_about_classes(page)}"
        f"{'; '.join(counts)}.</p>"
        f"<dl>{terms}</dl>"
    )


def _about_classes(page: Page) -> str:
    text = ""
    if page.not_counted:
        text += f"Classes that make nothing relevant: {escape(', '.join(page.not_counted))}. "
    if page.common:
        text += (
            f"In more than half of the gallery: {escape(', '.join(page.common))}. Such classes "
            "make nearly everything relevant; leaving them out lets the measures tell more. "
        )
    return text


def _links(beside: Sequence[str]) -> str:
    items = ", ".join(f"<a href='{escape(name)}'>{escape(name)}</a>" for name in beside)
    return f"<p class='faded'>Beside this page: {items}.</p>"


def _photo_uri(pixels: Pixels) -> str:
    image = Image.fromarray(pixels).resize(_thumbnail_size(pixels), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=82)
    return data_uri("image/jpeg", buffer.getvalue())


def _map_uri(painted: Image.Image, pixels: Pixels) -> str:
    """Stretch a label map to the proportions of its picture."""
    stretched = painted.quantize(256).resize(_thumbnail_size(pixels), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    stretched.save(buffer, format="PNG", optimize=True)
    return data_uri("image/png", buffer.getvalue())


def _thumbnail_size(pixels: Pixels) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    scale = _THUMBNAIL_PX / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))
