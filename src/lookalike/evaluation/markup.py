"""What the pages of reports are made of: the document, tables, numbers, plots."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from lookalike.evaluation.plots import RenderedPlot
from lookalike.evaluation.statistics import Estimate


def document(title: str, body: str) -> str:
    """Return a page that needs nothing beside it: no script, nothing fetched."""
    css = files("lookalike.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    # The policy makes the browser refuse what the page promises not to do.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def plot_figure(plot: RenderedPlot, *, is_narrow: bool = False) -> str:
    """Show a plot, in the colors of the reader's screen."""
    dark, light = (_svg_uri(svg) for svg in (plot.dark_svg, plot.light_svg))
    return (
        f"<figure class='plot{' narrow' if is_narrow else ''}'><picture>"
        f"<source media='(prefers-color-scheme: dark)' srcset='{dark}'>"
        f"<img src='{light}' alt='{escape(plot.description)}'></picture></figure>"
    )


def table(heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Lay out rows of cells that are HTML already beneath heads that are plain text."""
    head = "".join(f"<th scope='col'>{escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr><th scope='row'>{escape(text)}</th>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for text, cells in rows.items()
    )
    return (
        f"<div class='scroll'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def number(value: float, form: str = ".3f") -> str:
    """Write a number with a true minus sign; a dash where there is none."""
    return format(value, form).replace("-", "−") if math.isfinite(value) else "–"


def interval(estimate: Estimate, form: str = ".3f") -> str:
    """Write an interval."""
    return f"[{number(estimate.low, form)}, {number(estimate.high, form)}]"


def with_interval(estimate: Estimate | None, form: str = ".3f") -> str:
    """Write a mean with its interval in small print."""
    if estimate is None or not math.isfinite(estimate.mean):
        return "–"
    return f"{number(estimate.mean, form)} <small>{interval(estimate, form)}</small>"


def p_value(p: float) -> str:
    """Write a p-value."""
    return "&lt; 0.001" if p < 0.001 else number(p)


def data_uri(kind: str, data: bytes) -> str:
    """Put a file into the page itself."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _svg_uri(svg: str) -> str:
    return data_uri("image/svg+xml", svg.encode())
