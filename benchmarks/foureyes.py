"""How right are labels proposed from a pool of groupings, and does the pool learn whom to trust?

    LOOKALIKE_DATA=photographs python -m benchmarks.foureyes [--labels 600]

A simulated person labels the twenty themes of `corel` that the shipped model was not learned from,
one label after the other: gives five pictures of a theme and five of others, all among the hits
most like the first one, and judges ten of the proposals, drawn by lot. The second half of the
labels is measured: with what was remembered of the first half, and with nothing remembered.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from benchmarks.default_model import Gallery, measured_themes, open_gallery
from lookalike.evaluation.statistics import estimate_mean, paired_difference
from lookalike.knowing.proposing import Proposer
from lookalike.models import default_model
from lookalike.search.foureyes import Pool, Votes, propose, vote

EXAMPLES, JUDGED, NEAREST = 5, 10, 60


def examples(gallery: Gallery, row: int) -> tuple[list[int], list[int], ndarray]:
    """Give positive ids, negative ids, and which pictures of the gallery have the label."""
    has_label = gallery.truth.shared_labels(np.array([row]))[0] > 0
    has_label[row] = True
    ids = gallery.collection.search(int(gallery.truth.ids[row]), NEAREST).ids[0]
    found = has_label[gallery.truth.positions(ids)]
    positives = [int(gallery.truth.ids[row]), *ids[found][: EXAMPLES - 1].tolist()]
    return positives, ids[~found][:EXAMPLES].tolist(), has_label


def run(gallery: Gallery, pool: Pool, n: int, seed: int, *, learns: bool) -> dict[str, ndarray]:
    """Label, judge and measure; one value for each label of the second half."""
    rng = np.random.default_rng(seed)
    votes, values = Votes(), []
    confidences, outcomes = [], []
    for at in range(n):
        positives, negatives, has_label = examples(gallery, int(rng.integers(len(gallery.truth))))
        proposal = propose(pool, positives, negatives, votes)
        right = has_label[gallery.truth.positions(proposal.ids)]
        judged = rng.permutation(len(right))[:JUDGED]
        if learns:
            said = {int(proposal.ids[i]): bool(right[i]) for i in judged}
            votes = vote(proposal, said, votes)
        if at >= n // 2:
            first = right[:20].mean() if len(right) else np.nan
            values.append((right.mean() if len(right) else np.nan, first, len(right)))
            confidences.append(proposal.confidences)
            outcomes.append(right)
    precision, first, n_proposed = np.array(values, np.float64).T
    return {
        "precision": precision,
        "precision of the first 20": first,
        "proposed": n_proposed,
        "confidence": np.concatenate(confidences),
        "outcome": np.concatenate(outcomes).astype(np.float64),
    }


def calibration_error(confidences: ndarray, outcomes: ndarray, n_bins: int = 10) -> float:
    """Expected calibration error: mean gap of confidence and share that is right, over bins."""
    bins = np.minimum((confidences * n_bins).astype(int), n_bins - 1)
    gaps = [
        (bins == at).mean() * abs(confidences[bins == at].mean() - outcomes[bins == at].mean())
        for at in np.unique(bins)
    ]
    return float(sum(gaps))


def figures(found: dict[str, dict[str, ndarray]]) -> dict[str, Any]:
    """Means with intervals, calibration, and the gain from what was remembered."""
    results: dict[str, Any] = {}
    for name, values in found.items():
        results[name] = {"labels": len(values["precision"])}
        for measure in ("precision", "precision of the first 20", "proposed"):
            known = estimate_mean(values[measure])
            results[name][measure] = [round(v, 3) for v in (known.mean, known.low, known.high)]
        error = calibration_error(values["confidence"], values["outcome"])
        results[name]["expected calibration error"] = round(error, 3)
    for measure in ("precision", "precision of the first 20"):
        test = paired_difference(found["remembering"][measure], found["without memory"][measure])
        results[f"gain in {measure}"] = {
            "difference": round(test.difference.mean, 3),
            "interval": [round(test.difference.low, 3), round(test.difference.high, 3)],
            "p_value": round(test.p_value, 5),
        }
    return results


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/results/foureyes.json"))
    options = parser.parse_args()
    data = Path(os.environ["LOOKALIKE_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        pictures = measured_themes(data, None)
        gallery = open_gallery(pictures, default_model(), Path(folder) / "corel.lookalike")
        pool = Proposer(gallery.collection).pool
        found = {
            name: run(gallery, pool, options.labels, options.seed, learns=learns)
            for name, learns in (("remembering", True), ("without memory", False))
        }
        gallery.collection.close()
    results = figures(found)
    print(json.dumps(results, indent=1))
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
