"""Reports that a person can read, keep and pass on: a folder with a page, plots and figures."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.evaluation import plots
from lookalike.evaluation.clustering import ClusteringScores
from lookalike.evaluation.contact_sheet import (
    Legend,
    draw_contact_sheet,
    sheet_png,
)
from lookalike.evaluation.measurements import Comparison, Evaluation, compare
from lookalike.evaluation.pages import Page, to_html
from lookalike.evaluation.pictures import Picture, example_queries, show_examples
from lookalike.evaluation.truth import GroundTruth


def write_report(
    folder: Path,
    evaluation: Evaluation,
    truth: GroundTruth,
    picture: Picture,
    *,
    title: str,
    subtitle: str = "",
    n_examples: int = 6,
    n_hits: int = 8,
    example_ids: Sequence[int] | None = None,
    sweep: Sequence[ClusteringScores] = (),
) -> Path:
    """Write a report about one system; see `write_comparison`."""
    return write_comparison(
        folder,
        {title: evaluation},
        truth,
        picture,
        title=title,
        subtitle=subtitle,
        n_examples=n_examples,
        n_hits=n_hits,
        example_ids=example_ids,
        sweep=sweep,
    )


def write_comparison(
    folder: Path,
    evaluations: Mapping[str, Evaluation],
    truth: GroundTruth,
    picture: Picture,
    *,
    title: str,
    subtitle: str = "",
    n_examples: int = 6,
    n_hits: int = 8,
    example_ids: Sequence[int] | None = None,
    sweep: Sequence[ClusteringScores] = (),
) -> Path:
    """Write a report about systems evaluated on the same queries.

    Writes `report.html`, which needs no other file, and beside it `contact_sheet.png`, the plots
    as PNG, `evaluation.json` and a CSV table with every measure of every query for each system.
    Files of the same names are replaced; others in the folder are left alone.

    Args:
        folder: Made if it does not exist.
        evaluations: By name of the system. The first is compared with each of the others.
        truth: The ground truth they were evaluated with.
        picture: Gives the pixels of an image id, at a size fit to be shown.
        title: Headline.
        subtitle: A line beneath it.
        n_examples: Example queries, evenly spaced from the best to the worst of the first system.
        n_hits: Hits shown of each.
        example_ids: Queries to show instead.
        sweep: Clustering of the first system at several numbers of clusters.

    Returns:
        The path of `report.html`.

    Raises:
        UsageError: If there is no evaluation, or they are of different queries.
        EnvironmentFault: If the folder cannot be written.
    """
    if not evaluations:
        raise UsageError("a report needs at least one evaluation; none was given")
    first = next(iter(evaluations.values()))
    comparisons = _comparisons(evaluations)
    ids = example_queries(first, n_examples).tolist() if example_ids is None else example_ids
    examples = show_examples(evaluations, truth, picture, ids, n_hits)
    drawn = _plots(evaluations, sweep)
    legend = Legend(truth.classes, truth.palette)
    contents = {
        "evaluation.json": _to_json(evaluations, comparisons).encode(),
        **_tables(evaluations, truth),
        **{plot.file_name: plot.png for plot in drawn},
    }
    if examples:
        sheet = draw_contact_sheet(examples, title=title, subtitle=subtitle, legend=legend)
        contents["contact_sheet.png"] = sheet_png(sheet)
    page = Page(
        title=title,
        subtitle=subtitle,
        evaluations=evaluations,
        comparisons=comparisons,
        plots=drawn,
        examples=examples,
        are_examples_picked=example_ids is not None,
        legend=legend,
        not_counted=[n for c, n in enumerate(truth.classes) if c not in truth.relevant_classes],
        common=_common_classes(truth),
        beside=list(contents),
    )
    _write(folder, {**contents, "report.html": to_html(page).encode()})
    return folder / "report.html"


def _comparisons(evaluations: Mapping[str, Evaluation]) -> dict[str, Comparison]:
    (_, first), *others = evaluations.items()
    return {name: compare(first, other) for name, other in others}


def _common_classes(truth: GroundTruth) -> list[str]:
    common = np.flatnonzero(truth.labels.mean(axis=0) > 0.5).tolist()
    return [truth.classes[c] for c in common if c in truth.relevant_classes]


def _plots(
    evaluations: Mapping[str, Evaluation], sweep: Sequence[ClusteringScores]
) -> list[plots.RenderedPlot]:
    drawn = [
        plots.render(
            "retrieval.png",
            "Precision and recall against k, and precision against recall",
            lambda theme: plots.plot_retrieval(evaluations, theme),
        )
    ]
    if sweep:
        drawn.append(
            plots.render(
                "clustering.png",
                "Pairwise clustering F against the number of clusters",
                lambda theme: plots.plot_clustering(sweep, theme),
            )
        )
    return drawn


def _to_json(evaluations: Mapping[str, Evaluation], comparisons: Mapping[str, Comparison]) -> str:
    """One system: its own object. Several: one object each, and the differences to the first."""
    each = {name: evaluation.to_json() for name, evaluation in evaluations.items()}
    found: dict[str, object] = next(iter(each.values()))
    if len(each) > 1:
        found = {
            "systems": each,
            "differences": {name: c.to_json() for name, c in comparisons.items()},
        }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _to_csv(evaluation: Evaluation, truth: GroundTruth) -> str:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    measures = list(evaluation.values)
    hits = [f"hit {rank + 1}" for rank in range(evaluation.hits.ids.shape[1])]
    labels = [f"{m.name}@{m.k}" if m.k else m.name for m in measures]
    table.writerow(["query_id", "name", "n_relevant", *labels, *hits])
    rows = truth.positions(evaluation.query_ids)
    for query, row in enumerate(rows):
        values = [evaluation.values[measure][query] for measure in measures]
        table.writerow(
            [
                int(evaluation.query_ids[query]),
                truth.names[row],
                int(evaluation.n_relevant[query]),
                *("" if math.isnan(value) else f"{value:.6g}" for value in values),
                *evaluation.hits.ids[query].tolist(),
            ]
        )
    return buffer.getvalue()


def _tables(evaluations: Mapping[str, Evaluation], truth: GroundTruth) -> dict[str, bytes]:
    tables: dict[str, bytes] = {}
    for position, (system, evaluation) in enumerate(evaluations.items(), start=1):
        plain = re.sub(r"[^a-z0-9]+", "-", system.lower()).strip("-")
        name = f"queries-{position}-{plain}.csv" if len(evaluations) > 1 else "queries.csv"
        tables[name] = _to_csv(evaluation, truth).encode()
    return tables


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise EnvironmentFault(
            f"the report cannot be written to {folder}: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error
