"""Do query expansion and re-ranking find more? Measured beside the plain ranking.

    LOOKALIKE_DATA=photographs python -m benchmarks.reranking [--tune]

Galleries: the twenty themes of `corel` that the shipped model was not learned from, 2,000 generated
scenes, and each picture is a query in turn. With `--tune` the settings are tried on the other
twenty themes instead, and nothing is written: the defaults in `lookalike.search.second_look` come
from there.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from benchmarks.default_model import OF_THEMES, Gallery, interval, open_gallery
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.datasets.base import ListedDataset
from lookalike.datasets.views import choose
from lookalike.evaluation.metrics import average_precision
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.statistics import holm, paired_difference
from lookalike.index.base import Hits
from lookalike.learning.default_recipe import is_learned_theme
from lookalike.models import default_model
from lookalike.search import second_look
from lookalike.search.queries import IdExample, Query
from lookalike.search.steered_search import SteeredSearch
from lookalike.terminal import Bars
from lookalike.weighing import DEFAULT_WEIGHTS

SYSTEMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "expand average": {"expand": "average"},
    "expand alpha": {"expand": "alpha"},
    "rerank reciprocal": {"rerank": "reciprocal"},
    "rerank diffusion": {"rerank": "diffusion"},
}


@dataclass(frozen=True, eq=False)
class Asked:
    """A collection that is asked with some options."""

    collection: Collection
    options: dict[str, Any]

    def rank(self, query_ids: ndarray, k: int) -> Hits:
        """Return the `k` best images for each query image, without the query itself."""
        queries = [Query((IdExample(int(image)),), **self.options) for image in query_ids]
        return self.collection.search_all(queries, k)


def themes(data: Path, *, learned: bool) -> ListedDataset:
    """The pictures of `corel` whose themes were learned, or those whose themes were not."""
    pictures = open_dataset(f"{data / 'corel'}@theme")
    names = {
        name
        for i, name in enumerate(pictures.names)
        if is_learned_theme(pictures.classes[pictures[i].labels[0]]) == learned
    }
    return choose(pictures, names.__contains__, "learned" if learned else "measured")


def figures(gallery: Gallery, n: int | None) -> dict[str, Any]:
    """Means with intervals, and the difference to the plain ranking, adjusted by Holm."""
    at = tuple(m.k for m in OF_THEMES if m.k is not None)
    found = {
        name: evaluate(
            Asked(gallery.collection, options),
            gallery.truth,
            n_queries=n,
            at=at,
            progress=Bars(),
        )
        for name, options in SYSTEMS.items()
    }
    results: dict[str, Any] = {"n_queries": len(found["plain"].query_ids), "systems": {}}
    for name, evaluation in found.items():
        results["systems"][name] = {m.label: interval(evaluation, m) for m in OF_THEMES}
    others = [name for name in SYSTEMS if name != "plain"]
    for measure in OF_THEMES:
        plain = found["plain"].values[measure]
        tests = [paired_difference(found[name].values[measure], plain) for name in others]
        adjusted = holm(np.array([test.p_value for test in tests]))
        for name, test, p in zip(others, tests, adjusted, strict=True):
            results["systems"][name][f"{measure.label} against plain"] = {
                "difference": round(test.difference.mean, 4),
                "interval": [round(test.difference.low, 4), round(test.difference.high, 4)],
                "holm_p_value": round(float(p), 5),
            }
    return results


def show(name: str, results: dict[str, Any]) -> None:
    """Print a table."""
    print(f"{name}: {results['n_queries']} queries")
    for system, values in results["systems"].items():
        cells = [f"{m.label} {values[m.label][0]:.4f}" for m in OF_THEMES]
        test = values.get("mAP against plain")
        print(f"  {system:18}", *cells, f"p {test['holm_p_value']:.4f}" if test else "")


def tune(gallery: Gallery, n: int) -> None:
    """Print the mAP of many settings."""
    rng = np.random.default_rng(0)
    rows = rng.choice(len(gallery.truth), n, replace=False)
    firsts = list(_first_hits(gallery, rows))
    for k1, k2, share in product((10, 20, 40), (3, 6), (0.1, 0.3, 0.5)):
        orders = [
            second_look.reciprocal(nodes, k1=k1, k2=k2, own_share=share) for _, nodes, _ in firsts
        ]
        print(f"reciprocal k1 {k1} k2 {k2} own {share}: {_mean(firsts, orders):.4f}")
    for k, alpha, gamma in product((10, 20, 50), (0.8, 0.9, 0.99), (1.0, 3.0)):
        orders = [
            second_look.diffuse(nodes, k=k, alpha=alpha, gamma=gamma) for _, nodes, _ in firsts
        ]
        print(f"diffusion k {k} alpha {alpha} gamma {gamma}: {_mean(firsts, orders):.4f}")
    for n_expanded in (1, 2, 3, 5, 10, 20):
        for how in ("average", "alpha"):
            print(f"{how} of {n_expanded}: {_expanded(gallery, rows, how, n_expanded):.4f}")
    print(f"plain: {_mean(firsts, [-np.arange(len(own)) for own, _, _ in firsts]):.4f}")


def _first_hits(gallery: Gallery, rows: ndarray) -> Iterator[tuple[ndarray, ndarray, ndarray]]:
    """Give own similarities, the graph's nodes, and which pictures of the ranking are relevant."""
    found = gallery.collection.gallery
    search = SteeredSearch(found.indexes, found.searcher._calibrations)
    for row, shared in zip(rows, gallery.truth.shared_labels(rows), strict=True):
        query = Query((IdExample(int(gallery.truth.ids[row])),), rerank="reciprocal")
        plain = Query(query.positives)
        hits = gallery.collection.search(plain, len(gallery.truth) - 1)
        ids, n = hits.ids[0], second_look.N_RERANKED
        own = np.clip(hits.scores[0][:n] / search._highest(DEFAULT_WEIGHTS), 0, 1)
        nodes = np.ones((n + 1, n + 1))
        nodes[0, 1:] = nodes[1:, 0] = own
        nodes[1:, 1:] = search._pairs(ids[:n], DEFAULT_WEIGHTS)
        yield own, nodes, shared[gallery.truth.positions(ids)] > 0


def _mean(firsts: list[tuple[ndarray, ndarray, ndarray]], similar: list[ndarray]) -> float:
    values = []
    for (own, _, relevant), new in zip(firsts, similar, strict=True):
        order = np.argsort(-new, kind="stable")
        ranked = np.concatenate([relevant[: len(own)][order], relevant[len(own) :]])
        values.append(average_precision(ranked[None], np.array([relevant.sum()]))[0])
    return float(np.mean(values))


def _expanded(gallery: Gallery, rows: ndarray, how: str, n_expanded: int) -> float:
    found = gallery.collection.gallery
    index_of = found.indexes
    values = []
    for row, shared in zip(rows, gallery.truth.shared_labels(rows), strict=True):
        image = int(gallery.truth.ids[row])
        first = gallery.collection.search(Query((IdExample(image),)), n_expanded).ids[0]
        total = np.zeros(len(gallery.truth))
        for name, weight in DEFAULT_WEIGHTS.items():
            point = index_of[name].vectors(np.array([image]))[0]
            moved = second_look.expand(point, index_of[name].vectors(first), how)
            similar = index_of[name].similarities(moved[None], gallery.truth.ids)[0]
            total += weight * found.searcher._calibrations[name].scores(similar)
        total[row] = -np.inf
        relevant = (shared > 0)[np.argsort(-total, kind="stable")][:-1]
        values.append(average_precision(relevant[None], np.array([relevant.sum()]))[0])
    return float(np.mean(values))


def main() -> None:
    """Measure or tune."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--out", type=Path, default=Path("docs/results/reranking.json"))
    options = parser.parse_args()
    data, model = Path(os.environ["LOOKALIKE_DATA"]), default_model()
    with tempfile.TemporaryDirectory() as folder:
        if options.tune:
            gallery = open_gallery(themes(data, learned=True), model, Path(folder) / "learned")
            tune(gallery, options.queries or 60)
            return
        results = {}
        galleries = {
            "corel, themes not learned": themes(data, learned=False),
            "scenes": open_dataset("scenes:2000:11"),
        }
        for at, (name, dataset) in enumerate(galleries.items()):
            gallery = open_gallery(dataset, model, Path(folder) / str(at))
            results[name] = figures(gallery, options.queries)
            show(name, results[name])
            gallery.collection.close()
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
