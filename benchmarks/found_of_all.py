"""How much of what comparing everything would find the quick ways to ask about regions find.

    python -m benchmarks.found_of_all --folder DIR [--images 100000] [--queries 12] [--only WORD]

Uses the collection of `benchmarks.kinds`. Every question is asked for ten hits, and once more for
as many as there are images, which has every one of them compared; told is the share of the ten
best scores that the first answer reaches, and how far its scores stay behind.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before numpy and FAISS start their threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks import kinds
from benchmarks.mixed_collection import build
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.search.queries import Query

K = 10
QUESTIONS: dict[str, Callable[[kinds.Asked], Query]] = {
    "a box, among regions": lambda asked: Query((asked.box(),)),
    "composition: label and place, colors and size": kinds.composed,
    "composition: looks of two boxes": kinds.composed_of_looks,
}


def compare(asked: kinds.Asked, query: Query) -> tuple[float, float]:
    """Return the share of the best scores that are reached, and the mean lag behind them."""
    best = asked.collection.search(query, len(asked.ids)).scores[0, :K]
    found = asked.collection.search(query, K).scores[0]
    return float((found >= best[-1] - 1e-9).mean()), float((best - found).mean())


def run(folder: Path, n_images: int, n_queries: int, only: str) -> dict[str, Any]:
    """Compare every kind of question, or those whose name holds a word."""
    files = [Path(os.fsdecode(path)) for path in open_dataset(f"scenes:{kinds.PICTURES}:6").paths]
    results: dict[str, Any] = {}
    with Collection.open(build(folder, n_images, n_images)) as collection:
        asked = kinds.Asked(collection, collection.catalog.ids(), files, np.random.default_rng(7))
        for name, make in QUESTIONS.items():
            if only not in name:
                continue
            pairs = np.array([compare(asked, make(asked)) for _ in range(n_queries)])
            results[name] = {
                "queries": n_queries,
                "share_found": round(float(pairs[:, 0].mean()), 4),
                "smallest_share": round(float(pairs[:, 0].min()), 4),
                "mean_lag": round(float(pairs[:, 1].mean()), 6),
            }
            print(name, results[name], flush=True)
    return results


def main() -> None:
    """Compare, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("docs/results/found_of_all.json"))
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    options = parser.parse_args()
    found = run(options.folder, options.images, options.queries, options.only)
    if options.out.exists():
        found = json.loads(options.out.read_text(encoding="utf-8")) | found
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
