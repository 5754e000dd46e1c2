"""What mixing descriptors is worth, on photographs by theme.

    LOOKALIKE_DATA=photographs python -m benchmarks.mixing

`corel` has forty themes of 100 pictures, twenty of which the model that ships has learned keywords
of (a hash of the theme's name decides). On these the weights of the mixture are chosen, one
descriptor after the other, by precision among the ten nearest; on the other twenty each descriptor
alone, this mixture, the default one and a histogram of 8 × 4 × 4 HSV bins are measured, with every
picture as a query among all others. Relevant is the same theme.

As `content` knows the themes that the weights are chosen on better than those that are measured,
the weights are also chosen within the measured half: on one part of its themes and measured on the
other, and the other way round.

Intervals are 95 % percentile bootstraps over queries; differences are tested by paired
randomization, and p-values adjusted by Holm's procedure.
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.default_model import OF_THEMES, hsv_counts, interval
from lookalike.arrays import Ids, normalize, top_k
from lookalike.collection import Collection
from lookalike.datasets import open_dataset, picture_files
from lookalike.datasets.base import ListedDataset
from lookalike.datasets.views import choose
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.statistics import holm
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.features.descriptors import BUILT_IN
from lookalike.index.base import Hits
from lookalike.judging import ids_by_hash
from lookalike.learning.default_recipe import is_learned_theme
from lookalike.search.calibration import fit_calibration
from lookalike.terminal import Bars
from lookalike.weighing import DEFAULT_WEIGHTS

STEPS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
LEAST_GAIN = 0.001
P10 = Measure("precision_at_k", 10)


@dataclass(frozen=True, eq=False)
class Scored:
    """A system whose score of every pair of pictures is known."""

    ids: Ids
    scores: np.ndarray

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Return the others, best first."""
        places = np.searchsorted(self.ids, query_ids)
        scores = self.scores[places].copy()
        scores[np.arange(len(places)), places] = -np.inf
        return Hits(*top_k(scores, self.ids, min(k, len(self.ids) - 1)))


@dataclass(frozen=True, eq=False)
class Half:
    """One half of the themes.

    Attributes:
        truth: The pictures and their themes.
        scores: Rarity of every pair under each descriptor.
        hsv: Cosine of every pair's HSV histograms.
    """

    truth: GroundTruth
    scores: Mapping[str, np.ndarray]
    hsv: np.ndarray

    def part(self, rows: np.ndarray) -> "Half":
        """Some of the pictures, in their own company only."""
        truth = replace(
            self.truth,
            ids=self.truth.ids[rows],
            labels=self.truth.labels[rows],
            label_maps=None,
            names=tuple(self.truth.names[row] for row in rows),
        )
        grid = np.ix_(rows, rows)
        return Half(truth, {n: s[grid] for n, s in self.scores.items()}, self.hsv[grid])

    def mixed(self, weights: Mapping[str, float]) -> np.ndarray:
        """Weighted mean of the scores."""
        total = sum(weights.values())
        return np.asarray(sum(w / total * self.scores[name] for name, w in weights.items()))

    def precision(self, scores: np.ndarray) -> float:
        """Precision among the ten nearest."""
        same = self.truth.labels @ self.truth.labels.T > 0
        own = scores - np.diag(np.full(len(scores), np.inf))
        nearest = np.argpartition(-own, 10, axis=1)[:, :10]
        return float(np.take_along_axis(same, nearest, axis=1).mean())


def themes(data: Path, *, learned: bool, n: int | None) -> ListedDataset:
    """The pictures of one half of the themes; the first `n` of each for a trial."""
    every = open_dataset(f"{data / 'corel'}@theme")
    chosen: dict[str, list[str]] = {}
    for at, name in enumerate(every.names):
        theme = every.classes[every[at].labels[0]]
        if is_learned_theme(theme) == learned:
            chosen.setdefault(theme, []).append(name)
    names = {name for of_theme in chosen.values() for name in of_theme[:n]}
    return choose(every, names.__contains__, "learned" if learned else "measured")


def open_half(dataset: ListedDataset, path: Path) -> Half:
    """Index the pictures with all descriptors, and score all pairs."""
    with Collection.create(path, descriptors=tuple(BUILT_IN)) as made:
        made.add(*picture_files(dataset), progress=Bars())
        truth = ground_truth(dataset, ids_by_hash(made, dataset), progress=Bars())
        scores = {}
        for name, index in made.gallery.indexes.items():
            rows = index.vectors(truth.ids)
            scores[name] = fit_calibration(index).scores(rows @ rows.T).astype(np.float32)
        files = [Path(os.fsdecode(record.paths[0])) for record in made.images(truth.ids)]
    hsv = normalize(np.stack([hsv_counts(file.read_bytes()) for file in files]))
    return Half(truth, scores, hsv @ hsv.T)


def choose_weights(half: Half) -> dict[str, float]:
    """Raise the precision one descriptor after the other, twice, starting from `content`."""
    weights = {"content": 1.0}
    best = half.precision(half.mixed(weights))
    for _ in range(2):
        for name in half.scores:
            if name == "content":
                continue
            for step in STEPS:
                tried = {**weights, name: step}
                found = half.precision(half.mixed(tried))
                if found >= best + LEAST_GAIN:
                    best, weights = found, tried
    return {name: weight for name, weight in weights.items() if weight}


def folds(half: Half) -> list[np.ndarray]:
    """Two parts of the themes of a half, by a hash of the names."""
    first = half.truth.labels.argmax(axis=1)
    names = [half.truth.classes[at] for at in first]
    sides = np.array([hashlib.blake2b(f"fold {n}".encode()).digest()[0] % 2 for n in names])
    return [np.flatnonzero(sides == side) for side in (0, 1)]


def measure(half: Half, mixtures: Mapping[str, Mapping[str, float]]) -> dict[str, Evaluation]:
    """Evaluate each descriptor alone, mixtures and the histogram."""
    tables = dict(half.scores)
    tables |= {name: half.mixed(weights) for name, weights in mixtures.items()}
    tables["HSV histogram"] = half.hsv
    found = {}
    for name, table in tables.items():
        system = Scored(half.truth.ids, table)
        found[name] = evaluate(system, half.truth, at=(10, 20), progress=Bars())
        estimate = found[name].estimates[P10]
        print(f"  {name:28} {estimate.mean:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]")
    return found


def differences(found: Mapping[str, Evaluation], ours: str) -> dict[str, Any]:
    """A mixture minus every other system, in precision among the ten nearest."""
    others = [name for name in found if name != ours]
    tests = [compare(found[ours], found[name]).differences[P10] for name in others]
    adjusted = holm(np.array([test.p_value for test in tests]))
    return {
        name: {
            "difference": round(test.difference.mean, 4),
            "interval": [round(test.difference.low, 4), round(test.difference.high, 4)],
            "holm_p_value": round(float(p), 5),
        }
        for name, test, p in zip(others, tests, adjusted, strict=True)
    }


def run(data: Path, folder: Path, n: int | None) -> dict[str, Any]:
    """Choose on one half, measure on the other, and choose and measure within the other."""
    learned = open_half(themes(data, learned=True, n=n), folder / "learned.lookalike")
    chosen = choose_weights(learned)
    print("chosen on themes that content has learned:", chosen)
    half = open_half(themes(data, learned=False, n=n), folder / "measured.lookalike")
    found = measure(half, {"chosen mixture": chosen, "default mixture": DEFAULT_WEIGHTS})
    crossed = []
    parts = folds(half)
    for here, there in (parts, parts[::-1]):
        weights = choose_weights(half.part(here))
        other = half.part(there)
        mixed, alone = (
            other.precision(other.mixed(weights)),
            other.precision(other.scores["content"]),
        )
        crossed.append({"weights": weights, "n": len(there), "mixture": mixed, "content": alone})
        print("within the measured half:", crossed[-1])
    return {
        "n_gallery": len(half.truth.ids),
        "weights": {"chosen mixture": chosen, "default mixture": dict(DEFAULT_WEIGHTS)},
        "systems": {
            name: {m.label: interval(each, m) for m in OF_THEMES} for name, each in found.items()
        },
        "chosen mixture minus": differences(found, "chosen mixture"),
        "default mixture minus": differences(found, "default mixture"),
        "within the measured half": crossed,
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, help="pictures of each theme, for a trial")
    parser.add_argument("--out", type=Path, default=Path("docs/results/mixing.json"))
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(os.environ["LOOKALIKE_DATA"]), Path(folder), options.few)
    found["seconds"] = round(time.monotonic() - started)
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
