"""Evaluations of a collection: what is asked, the work itself, and what is kept of it.

Each evaluation is one JSON file in the server's home, named by its job. It holds the figures, the
values of the headline measures for each query, by which two evaluations are compared, and the
recall that was measured of each index.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import numpy as np

from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.errors import UsageError
from lookalike.evaluation.by_label import by_label
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.statistics import PairedDifference, holm, paired_differences
from lookalike.evaluation.truth import GroundTruth
from lookalike.judging import judge_by, truth_of_dataset, truth_of_labels
from lookalike.progress import Progress
from lookalike.web import labeled_sets
from lookalike.web.home import ServerHome
from lookalike.web.models import HostedCollection, Job, JobKind, JobState

LABELS: Final = "labels"
"""In place of a data set: the labels that the collection's own pictures were given."""

MOST_HITS: Final = 1000
MOST_QUERIES: Final = 100_000
_MOST_CUTS: Final = 12
_LARGEST_WEIGHT: Final = 1000.0
_FORMAT: Final = 1


def evaluation_options(sent: Mapping[str, str], collection: Collection) -> dict[str, Any]:
    """Return the options of a job of kind `evaluate` out of a form.

    Args:
        sent: `title`; `truth`, `labels` or words for a data set; `level` of its classes; `queries`,
            empty for all; `at`, numbers of hits divided by commas; `without`, labels divided by
            commas; `seed`; `mixture`: empty for the default, `own`, or the name of a descriptor;
            for `own` a number `weight-NAME` for each descriptor.
        collection: The one that is to be judged.

    Raises:
        UsageError: If something makes no sense or is not allowed.
    """
    truth = sent.get("truth", "").strip() or LABELS
    if truth != LABELS:
        truth = labeled_sets.checked(truth)
    elif not collection.catalog.knowledge.annotations.given():
        raise UsageError(
            "no picture of this collection was given a label; label some, or choose a data set"
        )
    title = " ".join(sent.get("title", "").split())
    if len(title) > 120 or not title.isprintable():
        raise UsageError("a title has at most 120 characters")
    return {
        "title": title,
        "truth": truth,
        "level": labeled_sets.checked_level(sent.get("level", "")),
        "queries": _number(sent, "queries", MOST_QUERIES, None),
        "at": _cuts(sent.get("at", "") or "1,2,5,10,20"),
        "without": [each.strip() for each in sent.get("without", "").split(",") if each.strip()],
        "seed": _number(sent, "seed", 2**31, 0, least=0),
        "weights": _weights(sent, list(collection.catalog.descriptors)),
    }


def _number(
    sent: Mapping[str, str], name: str, most: int, default: int | None, *, least: int = 1
) -> int | None:
    text = sent.get(name, "").strip()
    if not text:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) < 12
    if not is_number or not least <= int(text) <= most:
        raise UsageError(f"{name} must be a number from {least} to {most}, got {text[:20]!r}")
    return int(text)


def _cuts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    are_numbers = all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts)
    cuts = sorted({int(part) for part in parts}) if are_numbers else []
    if not cuts or len(cuts) > _MOST_CUTS or cuts[0] < 1 or cuts[-1] > MOST_HITS:
        raise UsageError(
            f"{text[:40]!r} are no numbers of hits; give up to {_MOST_CUTS} from 1 to {MOST_HITS}, "
            "such as 1,2,5,10"
        )
    return cuts


def _weights(sent: Mapping[str, str], descriptors: list[str]) -> dict[str, float] | None:
    mixture = sent.get("mixture", "").strip()
    if not mixture:
        return None
    if mixture != "own":
        if mixture not in descriptors:
            raise UsageError(
                f"there is no descriptor {mixture[:40]!r}; this collection has "
                f"{', '.join(descriptors)}"
            )
        return {name: float(name == mixture) for name in descriptors}
    weights = {name: _weight(name, sent.get(f"weight-{name}", "")) for name in descriptors}
    return _some(weights)


def checked_weights(given: Mapping[str, float], collection: Collection) -> dict[str, float]:
    """Return weights that a program gives, each of a descriptor that is there.

    Raises:
        UsageError: If there is no such descriptor, or all weights are 0.
    """
    known = list(collection.catalog.descriptors)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"there is no descriptor {unknown[0][:40]!r}; this collection has {', '.join(known)}"
        )
    return _some({name: _weight(name, f"{given.get(name, 0.0):g}") for name in known})


def _some(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise UsageError("all weights are 0; give at least one descriptor a weight above 0")
    return weights


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text or "0") if text.isascii() and len(text) < 20 else math.nan
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= _LARGEST_WEIGHT:
        raise UsageError(f"the weight of {name} must be from 0 to 1000, got {text[:20]!r}")
    return weight


def as_form(options: Mapping[str, Any], *, without: Sequence[str]) -> dict[str, str]:
    """Return what a form sends to ask the same again, with other labels left out."""
    weights = options["weights"]
    sent = {
        "truth": options["truth"],
        "level": options["level"],
        "queries": "" if options["queries"] is None else str(options["queries"]),
        "at": ",".join(map(str, options["at"])),
        "without": ",".join(without),
        "seed": str(options["seed"]),
        "mixture": "" if weights is None else "own",
    }
    return sent | {f"weight-{name}": f"{weight:g}" for name, weight in (weights or {}).items()}


def evaluate(job: Job, progress: Progress) -> dict[str, Any]:
    """Judge a collection as a job says, keep the result, and return the report of the job."""
    options = job.options
    with Collection.open(job.collection.folder) as collection:
        truth = _truth(collection, options, progress)
        found = judge_by(
            collection,
            truth,
            n_queries=options["queries"],
            at=options["at"],
            weights=options["weights"],
            seed=options["seed"],
            progress=progress,
        )
        status = collection.status()
        content = {
            "format": _FORMAT,
            "title": options["title"] or title_of(options),
            "options": options,
            "model": collection.card.id,
            "revision": collection.catalog.revision,
            "measures": found.to_json(),
            "labels": [asdict(each) for each in by_label(found, truth)],
            "queries": _per_query(found),
            "indexes": status["indexes"],
        }
    place = ServerHome.from_environment().evaluations / f"{job.pk}.json"
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(place, json.dumps(content, allow_nan=False).encode())
    headline = {m.label: e.mean for m, e in found.estimates.items() if m in found.headline}
    return {
        "title": content["title"],
        "n_queries": len(found.query_ids),
        "n_gallery": found.n_gallery,
        "headline": {name: mean for name, mean in headline.items() if math.isfinite(mean)},
    }


def _truth(collection: Collection, options: Mapping[str, Any], progress: Progress) -> GroundTruth:
    without = options["without"]
    if options["truth"] == LABELS:
        return truth_of_labels(collection, without=without)
    dataset = open_dataset(options["truth"], level=options["level"], progress=progress)
    return truth_of_dataset(collection, dataset, without=without, progress=progress)


def _per_query(found: Evaluation) -> dict[str, Any]:
    """Return the values of the headline measures; what is not defined is null."""
    return {
        "ids": found.query_ids.tolist(),
        "values": {
            measure.label: [
                round(value, 6) if math.isfinite(value) else None
                for value in found.values[measure].tolist()
            ]
            for measure in found.headline
        },
    }


def title_of(options: Mapping[str, Any]) -> str:
    """Return what an evaluation is called if its owner gives it no name."""
    weights = options["weights"]
    if weights is None:
        mixture = "default mixture"
    else:
        used = {name: weight for name, weight in weights.items() if weight}
        is_one = len(used) == 1
        mixture = " ".join(f"{name}" if is_one else f"{name} {w:g}" for name, w in used.items())
    judged = "own labels" if options["truth"] == LABELS else options["truth"].rpartition("/")[2]
    return f"{mixture}, {judged}"[:120]


def evaluations_of(hosted: HostedCollection) -> list[Job]:
    """Return the evaluations of a collection that are done, the latest first."""
    return list(hosted.jobs.filter(kind=JobKind.EVALUATE, state=JobState.DONE)[:50])


def read_evaluation(hosted: HostedCollection, job_id: UUID) -> dict[str, Any] | None:
    """Return what was kept of an evaluation of a collection; `None` if there is none."""
    if not hosted.jobs.filter(pk=job_id, kind=JobKind.EVALUATE, state=JobState.DONE).exists():
        return None
    place = ServerHome.from_environment().evaluations / f"{job_id}.json"
    try:
        content: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content


def differences(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, tuple[PairedDifference, float]] | None:
    """Compare two evaluations query by query: difference of each measure, and p by Holm.

    Returns:
        `None` if they did not ask with the same pictures.
    """
    one, other = first["queries"], second["queries"]
    if one["ids"] != other["ids"]:
        return None
    names = [name for name in one["values"] if name in other["values"]]
    columns = [
        np.stack([np.array(each["values"][name], np.float64) for name in names], axis=1)
        for each in (one, other)
    ]
    found = paired_differences(*columns, seed=int(first["measures"]["seed"]))
    adjusted = holm(np.array([each.p_value for each in found])).tolist()
    return dict(zip(names, zip(found, adjusted, strict=True), strict=True))
