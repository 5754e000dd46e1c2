"""The report of a reproduction: a page, plots as PNG, tables as CSV, everything as JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import environment_fault, write_atomically
from lookalike.evaluation.contact_sheet import sheet_png
from lookalike.evaluation.markup import (
    data_uri,
    document,
    number,
    p_value,
    plot_figure,
    table,
)
from lookalike.evaluation.montage import draw_montage
from lookalike.evaluation.plots import RenderedPlot
from lookalike.reproduction.findings import Findings
from lookalike.reproduction.materials import Data
from lookalike.reproduction.plan import PLAIN, PROPOSED, SECTIONS
from lookalike.reproduction.plots import draw_plots
from lookalike.reproduction.tables import Cell, Difference, Spread, Table, lettered, plain_cells
from lookalike.reproduction.wording import INTRODUCTION, WORDINGS
from lookalike.reproduction.workspace import Workspace

REPORT: Final = "report.html"
RESULTS: Final = "results.json"
_MONTAGE: Final = "figure4.png"
_HEADLINE: Final = ("mIoU@10 by the mixture", "mIoU@10 by layout", "mAP by content")
_DENSE: Final = 8
"""Tables with more columns have their spreads on a line of their own."""
_TITLE: Final = "The published experiments, repeated"


def write_report(workspace: Workspace, findings: Findings, data: Data | None) -> Path:
    """Write everything into the folder's report and return the path of the page.

    Raises:
        EnvironmentFault: If the folder cannot be written.
    """
    tables = findings.tables()
    drawn = draw_plots(findings)
    contents: dict[str, bytes] = {f"{t.name}.csv": _to_csv(t) for t in tables}
    contents |= {plot.file_name: plot.png for plot in drawn.values()}
    montage = _montage(findings, data)
    if montage is not None:
        contents[_MONTAGE] = montage
    text = json.dumps(findings.to_json(), indent=1, allow_nan=False) + "\n"
    contents[RESULTS] = text.encode()
    page = _page(findings, tables, drawn, montage, list(contents))
    try:
        workspace.report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise environment_fault(error, f"{workspace.report} could not be made") from error
    for name, content in {**contents, REPORT: document(_TITLE, page).encode()}.items():
        write_atomically(workspace.report / name, content)
    return workspace.report / REPORT


def _page(
    findings: Findings,
    tables: Sequence[Table],
    drawn: Mapping[str, RenderedPlot],
    montage: bytes | None,
    beside: Sequence[str],
) -> str:
    parts = [
        f"<h1>{_TITLE}</h1>",
        f"<p class='faded'>{escape(_about(findings))}</p>",
        _headline(tables),
        f"<p>{escape(INTRODUCTION)}</p>",
        "".join(f"<p><strong>Left out:</strong> {escape(text)}.</p>" for text in findings.left_out),
    ]
    for section in SECTIONS:
        own = [t for t in tables if _section(t) == section]
        if own or (section == "figure4" and montage is not None):
            parts.append(_words(section))
            if section in drawn:
                parts.append(plot_figure(drawn[section], is_narrow=section == "figure3"))
            if section == "figure4" and montage is not None:
                uri = data_uri("image/png", montage)
                parts.append(f"<figure class='plot'><img src='{uri}' alt='Clusters'></figure>")
            parts += [_to_html(t) for t in own]
    links = ", ".join(f"<a href='{escape(name)}'>{escape(name)}</a>" for name in beside)
    parts.append(f"<p class='faded'>Beside this page: {links}.</p>")
    return "\n".join(part for part in parts if part)


def _about(findings: Findings) -> str:
    seeds = ", ".join(str(seed) for seed in findings.plan.seeds)
    if not findings.about:
        return f"Seeds {seeds}."
    about, plan = findings.about, findings.plan
    source = "generated scenes" if plan.dataset is None else f"pictures of {about['learned_from']}"
    return (
        f"{about['n_learned']} {source} to learn from, a tenth of them kept out of training, and a "
        f"gallery of {about['n_gallery']} that no model has seen. {about['n_classes']} classes "
        f"count; {about['n_unlabeled']} pictures of the gallery have none of them. The most "
        f"frequent is {about['frequent_class']}, in {about['frequent_share']:.0%} of the gallery. "
        f"{plan.image_size} pixels, {plan.epochs} passes of each network over its pictures; seeds "
        f"{seeds}, and ± is the standard deviation over them unless said otherwise."
    )


def _headline(tables: Sequence[Table]) -> str:
    """Show what self-encoding brings against the same network without it."""
    found = next((t for t in tables if t.name == "ablations-differences"), None)
    rows = (
        {str(row[0]): dict(zip(found.heads[1:], row[1:], strict=True)) for row in found.rows}
        if (found is not None)
        else {}
    )
    against = rows.get(lettered(PLAIN), {})
    cards = [
        f"<li>{escape(head)}: {PROPOSED} minus none<strong>{number(cell.mean, '+.3f')}</strong>"
        f"<small>95 % interval [{number(cell.low, '+.3f')}, {number(cell.high, '+.3f')}]</small>"
        f"<small>p {p_value(cell.p_value)}</small></li>"
        for head in _HEADLINE
        if isinstance(cell := against.get(head), Difference)
    ]
    return f"<ul class='headline'>{''.join(cards)}</ul>" if cards else ""


def _words(section: str) -> str:
    words = WORDINGS[section]
    return (
        f"<h2>{escape(words.title)}</h2><dl>"
        f"<dt>The paper says</dt><dd>{escape(words.paper)}</dd>"
        f"<dt>Open or wrong</dt><dd>{escape(words.open_)}</dd>"
        f"<dt>Here</dt><dd>{escape(words.here)}</dd></dl>"
    )


def _to_html(found: Table) -> str:
    is_dense = len(found.heads) > _DENSE
    rows = {str(row[0]): [_cell(cell, is_dense) for cell in row[1:]] for row in found.rows}
    return f"<h3>{escape(found.caption)}</h3>{table(list(found.heads), rows)}"


def _cell(cell: Cell, is_dense: bool) -> str:
    match cell:
        case None:
            return "–"
        case Spread(mean, None):
            return number(mean)
        case Spread(mean, deviation):
            between = "<br>" if is_dense else " "
            return f"{number(mean)}{between}<small>± {number(deviation or 0.0)}</small>"
        case Difference():
            seeds = " ".join(number(value, "+.3f") for value in cell.by_seed)
            return (
                f"{number(cell.mean, '+.3f')}<br><small>[{number(cell.low, '+.3f')}, "
                f"{number(cell.high, '+.3f')}]<br>p {p_value(cell.p_value)}<br>{seeds}</small>"
            )
        case float():
            return number(cell)
        case _:
            return escape(str(cell))


def _section(found: Table) -> str:
    if found.name == "overlap":
        return "ablations"
    return found.name.partition("-")[0]


def _to_csv(found: Table) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(plain_cells(found))
    return buffer.getvalue().encode()


def _montage(findings: Findings, data: Data | None) -> bytes | None:
    cells = findings.parts["figure4"]
    if not cells or data is None:
        return None
    system, by_seed = next(iter(cells.items()))
    found: dict[str, Any] = next(iter(by_seed.values()))
    return sheet_png(
        draw_montage(
            found,
            data.picture,
            f"Clusters by {system}",
            f"{len(found['clusters'])} clusters of {found['n_pictures']} pictures by k-means; the "
            "pictures nearest to each center",
        )
    )
