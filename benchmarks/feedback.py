"""A simulated person marks hits, round after round: what do the methods make of the marks?

    LOOKALIKE_DATA=photographs python -m benchmarks.feedback [--queries 300]

Two galleries, indexed with the model that ships: the twenty themes of `corel` that it was not
learned from (wanted: pictures of the query's theme), and 2,000 generated scenes (wanted: pictures
with one thing that the query picture shows, drawn by lot; only marks can tell which). A query is
one picture. Ten hits are shown per round, and the person marks each as relevant or not; what was
shown is not shown again. Five rounds.

- Residual collection: what was shown is taken out of the collection, and the ranking of the rest
  is judged. Each method is so judged on a collection of its own: who finds more early has less to
  find.
- Frozen set: what was shown stays at the ranks where it was shown; the whole ranking is judged.
- Found: share of all wanted pictures that were among those shown.

Baselines: no marks (page after page of the first ranking), the plain average of query and relevant
pictures, and twice that average minus the average of the others, as vector databases do it. The
settings of the methods were chosen on the other twenty themes of `corel`. Because the default must
also serve who marks little, some methods are measured with two hits per round as well.
"""

import argparse
import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

from benchmarks.default_model import measured_themes, open_gallery
from lookalike.arrays import normalize
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.evaluation.metrics import average_precision, precision_at_k
from lookalike.evaluation.plots import (
    LIGHT,
    add_legend,
    draw_line,
    label_axes,
    new_figure,
    system_line,
    to_png,
)
from lookalike.evaluation.statistics import estimate_mean, holm, paired_difference
from lookalike.evaluation.truth import GroundTruth
from lookalike.models import default_model
from lookalike.search.feedback import NO_OPINION, NON_RELEVANT, RELEVANT, Feedback
from lookalike.search.queries import IdExample, Query
from lookalike.terminal import Bars
from lookalike.weighing import DEFAULT_WEIGHTS

ROUNDS, SHOWN, SHOWN_TO_THE_IMPATIENT = 5, 10, 2
METHODS = (
    "auto",
    "classifier",
    "average",
    "rocchio",
    "within",
    "between",
    "mars",
    "multipoint",
    "mindreader",
)
WITH_FEW_MARKS = ("auto", "average", "rocchio", "multipoint", "twice average")
BASELINE = "average"
DRAWN = ("auto", "multipoint", "mars", "rocchio", "average", "twice average", "no marks")
MEASURES = ("residual mAP", "residual P@20", "frozen mAP", "found")

Ask = Callable[[int, dict[int, int]], ndarray]
"""Ids of all unseen pictures, best first, for a query and the marks so far."""


@dataclass(frozen=True)
class Person:
    """Who searches: with which picture, and for which."""

    query: int
    wanted: ndarray


def people_of_themes(truth: GroundTruth, n: int, rng: np.random.Generator) -> list[Person]:
    """Each wants pictures that share a label with the query."""
    rows = np.sort(rng.choice(len(truth), min(n, len(truth)), replace=False))
    return [
        Person(int(truth.ids[row]), truth.ids[shared > 0])
        for row, shared in zip(rows, truth.shared_labels(rows), strict=True)
    ]


def people_of_scenes(truth: GroundTruth, n: int, rng: np.random.Generator) -> list[Person]:
    """Each wants pictures with one of the things in the query."""
    labels = truth.relevant_labels
    rows = np.sort(rng.choice(np.flatnonzero(labels.any(axis=1)), n, replace=False))
    people = []
    for row in rows:
        thing = rng.choice(np.flatnonzero(labels[row]))
        wanted = labels[:, thing].copy()
        wanted[row] = False
        people.append(Person(int(truth.ids[row]), truth.ids[wanted]))
    return people


def asking(collection: Collection, method: str) -> Ask:
    """Ask a collection with a method of feedback."""

    def ask(query: int, marks: dict[int, int]) -> ndarray:
        feedback = Feedback((marks,), method) if marks else None
        hits = collection.search(Query((IdExample(query),), feedback=feedback), len(collection))
        return hits.ids[0][hits.ids[0] >= 0]

    return ask


def ignoring(collection: Collection) -> Ask:
    """Show the next page of the first ranking."""
    ask = asking(collection, "rocchio")
    return lambda query, marks: ask(query, dict.fromkeys(marks, NO_OPINION))


def twice_average(collection: Collection) -> Ask:
    """The average-vector strategy of vector databases: `2 mean(liked) - mean(disliked)`."""
    gallery = collection.gallery
    ids = next(iter(gallery.indexes.values())).ids
    rows = {name: index.vectors(ids) for name, index in gallery.indexes.items()}
    plain = asking(collection, "rocchio")

    def ask(query: int, marks: dict[int, int]) -> ndarray:
        if not marks:
            return plain(query, marks)
        liked = np.isin(ids, [query, *(i for i, level in marks.items() if level > 0)])
        disliked = np.isin(ids, [i for i, level in marks.items() if level < 0])
        total = np.zeros(len(ids))
        for name, weight in DEFAULT_WEIGHTS.items():
            point = 2 * rows[name][liked].mean(axis=0)
            if disliked.any():
                point = point - rows[name][disliked].mean(axis=0)
            calibration = collection.gallery.searcher._calibrations[name]
            total += weight * calibration.scores(rows[name] @ normalize(point))
        order = np.lexsort((ids, -total))
        return ids[order][~np.isin(ids[order], [query, *marks])]

    return ask


def simulate(ask: Ask, person: Person, n_shown: int) -> list[list[float]]:
    """Return the measures before and after each round."""
    marks: dict[int, int] = {}
    shown: list[int] = []
    values = []
    for _ in range(ROUNDS + 1):
        ranked = ask(person.query, marks)
        values.append(_judged(ranked, shown, person))
        page = [int(image) for image in ranked[:n_shown]]
        shown += page
        wanted = np.isin(page, person.wanted)
        marks |= {i: RELEVANT if w else NON_RELEVANT for i, w in zip(page, wanted, strict=True)}
    return values


def _judged(ranked: ndarray, shown: Sequence[int], person: Person) -> list[float]:
    rest, seen = np.isin(ranked, person.wanted), np.isin(shown, person.wanted)
    n_wanted, n_found = len(person.wanted), int(seen.sum())
    whole = np.concatenate([seen, rest]).astype(bool)[None]
    left = np.array([n_wanted - n_found])
    return [
        float(average_precision(rest[None], left)[0]),
        float(precision_at_k(rest[None], left, 20)[0]),
        float(average_precision(whole, np.array([n_wanted]))[0]),
        n_found / n_wanted,
    ]


def systems_of(collection: Collection) -> dict[str, Ask]:
    """The methods and the baselines."""
    systems: dict[str, Ask] = {name: asking(collection, name) for name in METHODS}
    return systems | {"twice average": twice_average(collection), "no marks": ignoring(collection)}


def measure(
    systems: Mapping[str, Ask], people: Sequence[Person], n_shown: int
) -> dict[str, ndarray]:
    """Return the values of each system: people x rounds x measures."""
    values = {}
    with Bars().task("Searching", len(systems) * len(people), unit="people") as task:
        for name, ask in systems.items():
            found = []
            for person in people:
                found.append(simulate(ask, person, n_shown))
                task.advance()
            values[name] = np.array(found)
    return values


def figures(values: Mapping[str, ndarray]) -> dict[str, Any]:
    """Means with intervals per round, and each system against the baseline, adjusted by Holm."""
    results: dict[str, Any] = {"people": len(values[BASELINE]), "systems": {}, "against": {}}
    for name, found in values.items():
        results["systems"][name] = {
            measure: [_interval(found[:, at, m]) for at in range(ROUNDS + 1)]
            for m, measure in enumerate(MEASURES)
        }
    for m, measure in enumerate(MEASURES):
        results["against"][measure] = _tests(values, m)
    return results


def _tests(values: Mapping[str, ndarray], m: int) -> dict[str, Any]:
    pairs = [(n, at) for n in values if n != BASELINE for at in range(1, ROUNDS + 1)]
    tests = [paired_difference(values[n][:, at, m], values[BASELINE][:, at, m]) for n, at in pairs]
    adjusted = holm(np.array([test.p_value for test in tests]))
    found: dict[str, Any] = {}
    for (name, at), test, p in zip(pairs, tests, adjusted, strict=True):
        found.setdefault(name, {})[at] = {
            "difference": round(test.difference.mean, 4),
            "interval": [round(test.difference.low, 4), round(test.difference.high, 4)],
            "holm_p_value": round(float(p), 5),
        }
    return found


def _interval(values: ndarray) -> list[float]:
    known = asdict(estimate_mean(values))
    return [round(known[part], 4) for part in ("mean", "low", "high")]


def show(name: str, results: Mapping[str, Any]) -> None:
    """Print a table."""
    print(f"{name}: {results['people']} people")
    for measure in MEASURES:
        print(f"  {measure}: before, and after rounds 1 to {ROUNDS}")
        for system, found in results["systems"].items():
            print(f"    {system:14}", *(f"{mean:.3f}" for mean, _, _ in found[measure]))


def draw(results: Mapping[str, Any], file: Path) -> None:
    """Draw residual and frozen mAP per round of both galleries."""
    galleries = [name for name in results if not name.endswith("few marks")]
    drawn = [(g, m) for g in galleries for m in ("residual mAP", "frozen mAP")]
    figure, axes = new_figure(len(drawn), LIGHT, n_rows=2)
    for axis, (gallery, measure) in zip(axes, drawn, strict=True):
        for at, name in enumerate(DRAWN):
            table = np.array(results[gallery]["systems"][name][measure])
            line = system_line(name, at, LIGHT)
            rounds = np.arange(len(table), dtype=np.float64)
            draw_line(axis, rounds, table[:, 0], line)
            axis.vlines(rounds, table[:, 1], table[:, 2], color=line.color, alpha=0.3)
        label_axes(axis, f"rounds of marks ({gallery})", measure)
    add_legend(figure, axes[0], LIGHT)
    with Image.open(io.BytesIO(to_png(figure))) as image:  # few colors, a fifth of the bytes
        image.convert("RGB").quantize(64).save(file, optimize=True)


def run(data: Path, folder: Path, n: int, seed: int) -> dict[str, Any]:
    """Measure on both galleries."""
    results = {}
    model = default_model()
    galleries = {
        "corel, themes not learned": (measured_themes(data, None), people_of_themes),
        "scenes, one thing": (open_dataset("scenes:2000:11"), people_of_scenes),
    }
    for at, (name, (dataset, people_of)) in enumerate(galleries.items()):
        gallery = open_gallery(dataset, model, folder / f"{at}.lookalike")
        people = people_of(gallery.truth, n, np.random.default_rng(seed))
        systems = systems_of(gallery.collection)
        results[name] = figures(measure(systems, people, SHOWN))
        show(name, results[name])
        few = {system: systems[system] for system in WITH_FEW_MARKS}
        results[f"{name}, few marks"] = figures(measure(few, people, SHOWN_TO_THE_IMPATIENT))
        show(f"{name}, few marks", results[f"{name}, few marks"])
        gallery.collection.close()
    return results


def main() -> None:
    """Measure, print, and write the figures and their plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/results/feedback.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/feedback.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(os.environ["LOOKALIKE_DATA"])
        results = run(data, Path(folder), options.queries, options.seed)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results, options.plot)


if __name__ == "__main__":
    main()
