"""What reverse annotation costs a person, and whether its probabilities can be trusted.

    LOOKALIKE_DATA=… python -m benchmarks.annotation --out docs/results/annotation.json

Pictures of `corel` (themes as words; the measured half, which the shipped model did not learn
from) and generated scenes (things as words) are indexed by the shipped model and clustered; scenes
also by a network that learned from other scenes, such as `demo` makes (`--model`). A
simulated person looks at some pictures of a cluster and names every word that at least half of them
show: one entry for each word, and one more for each of them that does not show it. Words that
fewer show are missed, as by a person in a hurry. The person also names all words of some pictures
drawn at random, one entry each (at least one), by which probabilities are calibrated.

A word is given to a picture that was not looked at where its probability is so high that the mean
of all given is 0.9, as the checked pictures say; and, to see what is lost by that, where the truth
would allow 0.9. Clusters are taken by entropy × size, or in random order; pictures one by one cost
their words each, and are given with and without propagation.
"""

import argparse
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.default_model import measured_themes
from lookalike.arrays import normalize
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.datasets.base import Dataset
from lookalike.datasets.scenes import write_scenes
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.judging import ids_by_hash
from lookalike.models import default_model
from lookalike.search.annotation import Evidence, learn_propagation
from lookalike.search.clusters import make_clusters
from lookalike.search.labeling import rank_clusters
from lookalike.search.reliability import reliability
from lookalike.storage.clusterings import Members, StoredClustering
from lookalike.terminal import Bars

STEPS: Final = (10, 20, 40, 80, 160, 320)
WANTED: Final = 0.9


@dataclass
class Person:
    """What the simulated person has said so far, and what that cost."""

    truth: np.ndarray
    checked: np.ndarray
    holds: np.ndarray = field(init=False)
    is_labeled: np.ndarray = field(init=False)
    entries: int = 0

    def __post_init__(self) -> None:
        self.holds = np.zeros_like(self.truth)
        self.is_labeled = np.zeros(len(self.truth), bool)
        for row in self.checked:
            self.name_all(int(row))

    def name_all(self, row: int) -> None:
        """Name every word of one picture."""
        self.holds[row], self.is_labeled[row] = self.truth[row], True
        self.entries += max(1, int(self.truth[row].sum()))

    def name_cluster(self, shown: np.ndarray) -> None:
        """Name the words that at least half of the shown pictures have, and the exceptions."""
        for word in np.flatnonzero(2 * self.truth[shown].sum(axis=0) >= len(shown)):
            self.holds[shown, word] = self.truth[shown, word]
            self.entries += 1 + int((~self.truth[shown, word]).sum())
        self.entries += not self.truth[shown].any(axis=0).any()  # "none of these"
        self.is_labeled[shown] = True

    def evidence(self, ids: np.ndarray, words: tuple[str, ...]) -> Evidence:
        """Return it as the library takes it."""
        rows = np.flatnonzero(self.is_labeled)
        return Evidence(ids[rows], words, self.holds[rows], np.isin(rows, self.checked))


@dataclass(frozen=True)
class Case:
    """One collection with its truth."""

    ids: np.ndarray
    rows: np.ndarray
    truth: np.ndarray
    words: tuple[str, ...]
    clustering: StoredClustering
    members: Members


def judge(case: Case, person: Person) -> dict[str, Any]:
    """How many pictures are annotated at the precision wanted, and at what cost."""
    evidence = person.evidence(case.ids, case.words)
    known = np.flatnonzero(person.is_labeled)
    learned = learn_propagation(case.rows[known], evidence, case.clustering)
    others = np.flatnonzero(~person.is_labeled)
    probabilities = learned.probabilities(case.rows[others])
    truth = case.truth[others]
    own = annotated(probabilities, truth, by_truth=False)
    best = annotated(probabilities, truth, by_truth=True)
    n_known = int((person.holds[known]).any(axis=1).sum())
    measured = learned.measured
    figures = {
        "entries": person.entries,
        "labeled": len(known),
        "annotated": n_known + own["pictures"],
        "precision_of_given": own["precision"],
        "words_given": own["words"],
        "entries_per_1000": per_1000(person.entries, n_known + own["pictures"]),
        "annotated_if_truth_chose": n_known + best["pictures"],
        "entries_per_1000_if_truth_chose": per_1000(person.entries, n_known + best["pictures"]),
        "calibration_error_of_others": reliability(probabilities, truth).error,
        "calibration_error_foreseen": measured.error if measured else None,
        "softness": learned.softness,
        "alpha": learned.alpha,
    }
    return {name: _short(value) for name, value in figures.items()}


def annotated(probabilities: np.ndarray, truth: np.ndarray, *, by_truth: bool) -> dict[str, Any]:
    """Give as many words as keep the mean probability, or the true share, at what is wanted."""
    order = np.argsort(-probabilities, axis=None, kind="stable")
    values = (truth if by_truth else probabilities).ravel()[order].astype(np.float64)
    enough = np.flatnonzero(np.cumsum(values) / np.arange(1, len(values) + 1) >= WANTED)
    n = int(enough[-1]) + 1 if len(enough) else 0
    given = order[:n]
    pictures = len(np.unique(given // truth.shape[1]))
    precision = float(truth.ravel()[given].mean()) if n else None
    return {"words": n, "pictures": pictures, "precision": precision}


def per_1000(entries: int, pictures: int) -> float | None:
    """Entries for a thousand pictures."""
    return round(1000 * entries / pictures, 1) if pictures else None


def by_clusters(case: Case, seed: int, n_shown: int, n_checked: int, *, is_random: bool) -> list:
    """Label cluster after cluster; judge at some steps."""
    rng = np.random.default_rng(seed)
    person = Person(case.truth, rng.choice(len(case.ids), n_checked, replace=False))
    n_clusters = len(case.clustering.centers)
    found = []
    for step in range(1, STEPS[-1] + 1):
        evidence = person.evidence(case.ids, case.words)
        order = rank_clusters(case.members, evidence, n_clusters)[0]
        left = np.bincount(case.members.clusters[~person.is_labeled], minlength=n_clusters)
        order = order[left[order] > 0]
        if len(order) == 0:
            break
        cluster = int(rng.choice(order)) if is_random else int(order[0])
        rows = np.flatnonzero((case.members.clusters == cluster) & ~person.is_labeled)
        nearest = rows[np.argsort(-case.members.similarities[rows], kind="stable")]
        person.name_cluster(nearest[:n_shown])
        if step in STEPS:
            found.append({"clusters_labeled": step, **judge(case, person)})
    return found


def by_pictures(case: Case, seed: int, n_checked: int, budgets: list[int]) -> list:
    """Name pictures drawn at random, one by one, until as much is entered as by clusters."""
    rng = np.random.default_rng(seed)
    person = Person(case.truth, rng.choice(len(case.ids), n_checked, replace=False))
    order = rng.permutation(np.flatnonzero(~person.is_labeled))
    found, place = [], 0
    for budget in budgets:
        while person.entries < budget and place < len(order):
            person.name_all(int(order[place]))
            place += 1
        alone = int(person.is_labeled.sum())
        judged = judge(case, person)
        found.append(
            {**judged, "entries_per_1000_without_propagation": per_1000(person.entries, alone)}
        )
    return found


def open_case(dataset: Dataset, folder: Path, k: int, seed: int, model: Path) -> Case:
    """Index a data set and cluster it."""
    with Collection.open_or_create(folder, model=model) as opened:
        if len(opened) == 0:
            opened.add(*dataset.paths, progress=Bars())
        truth: GroundTruth = ground_truth(dataset, ids_by_hash(opened, dataset))
        name = f"{k}-{seed}"
        clustering = make_clusters(opened.catalog, name, "content", k, seed=seed)
        members = opened.catalog.knowledge.clusterings.members(name)
        rows = normalize(opened.vectors(truth.ids, "content"))
    shown = truth.relevant_labels.any(axis=0)
    columns = np.array(sorted(truth.relevant_classes))[shown]
    words = tuple(truth.classes[column] for column in columns)
    return Case(truth.ids, rows, truth.labels[:, columns], words, clustering, members)


def run(dataset: Dataset, folder: Path, options: argparse.Namespace, model: Path) -> dict[str, Any]:
    """Every way of labeling, for each seed."""
    result: dict[str, Any] = {"k": options.k, "shown": options.shown, "checked": options.checked}
    for seed in options.seeds:
        case = open_case(dataset, folder, options.k, seed, model)
        result |= {"pictures": len(case.ids), "words": len(case.words)}
        chosen = by_clusters(case, seed, options.shown, options.checked, is_random=False)
        anyhow = by_clusters(case, seed, options.shown, options.checked, is_random=True)
        budgets = [row["entries"] for row in chosen]
        singly = by_pictures(case, seed, options.checked, budgets)
        ways = {"entropy × size": chosen, "random order": anyhow, "picture by picture": singly}
        result[f"seed {seed}"] = ways
        for way, rows in ways.items():
            print(f"seed {seed}, {way}")
            for row in rows:
                print("  ", row)
    return result


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def other_themes(data: Path) -> Dataset:
    """The half of `corel` that nothing is reported of: options are chosen on it."""
    from lookalike.datasets.views import choose  # noqa: PLC0415

    measured = set(measured_themes(data, None).names)
    themes = open_dataset(f"{data / 'corel'}@theme")
    return choose(themes, lambda name: name not in measured, "other")


def main() -> None:
    """Measure, print, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("LOOKALIKE_DATA"))
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--shown", type=int, default=5)
    parser.add_argument("--checked", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=["corel", "scenes", "other"])
    parser.add_argument("--model", type=Path, help="model folder learned from scenes")
    parser.add_argument("--folder", type=Path, help="where collections are kept between runs")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result, shipped = {}, default_model()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.only == "other":
            other = other_themes(Path(options.data))
            run(other, folder / "other.lookalike", options, shipped)
            return
        if options.only != "scenes":
            themes = measured_themes(Path(options.data), None)
            result["corel"] = run(themes, folder / "corel.lookalike", options, shipped)
        if options.only != "corel":
            if not (folder / "scenes").exists():
                write_scenes(folder / "scenes", 2_000, seed=77)
            scenes = open_dataset(folder / "scenes")
            result["scenes"] = run(scenes, folder / "scenes.lookalike", options, shipped)
            if options.model:
                place = folder / "learned.lookalike"
                result["scenes, learned"] = run(scenes, place, options, options.model)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
