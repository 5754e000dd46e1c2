"""Do approximate indexes find what steered queries seek, which are not like any picture?

    python -m benchmarks.candidates [--images 60000] [--dim 64]

Generated embeddings as in `benchmarks.words`: 300 concepts and noise around an offset that all
share. A query is one row, with five relevant marks of its concept and five non-relevant ones among
its nearest others. Recall is the share of the ten best images by exact comparison that a search
with an approximate index has among its first ten.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from lookalike.arrays import normalize
from lookalike.index.building import build_index
from lookalike.index.exact import exact_index
from lookalike.search.calibration import fit_calibration
from lookalike.search.feedback import Feedback
from lookalike.search.queries import IdExample, Query
from lookalike.search.searcher import Searcher

METHODS = ("rocchio", "within", "multipoint", "mindreader", "classifier")
MARKS, QUERIES = 5, 40


def main() -> None:
    """Build, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=64)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    concepts = rng.standard_normal((300, arguments.dim))
    concept = rng.integers(300, size=arguments.images)
    rows = concepts[concept] + 0.8 * rng.standard_normal((arguments.images, arguments.dim))
    rows[:, 0] += 9
    unit, ids = normalize(rows), np.arange(arguments.images)
    exact = exact_index(ids, unit)
    calibration = fit_calibration(exact)
    for kind in ("pq", "clusters"):
        with tempfile.TemporaryDirectory() as folder:
            index = build_index(
                [(ids, unit)],
                dim=arguments.dim,
                n=len(ids),
                kind=kind,
                recall_target=0.98,
                rows_file=Path(folder) / "rows.npy",
            )
            fast, slow = (
                Searcher({"content": each}, {"content": calibration}, encoder=None)
                for each in (index, exact)
            )
            for method in METHODS:
                found = []
                for image in range(QUERIES):
                    near = exact.search(unit[[image]], 2000).ids[0][1:]
                    is_same = concept[near] == concept[image]
                    marks = dict.fromkeys(near[is_same][:MARKS].tolist(), 1)
                    marks |= dict.fromkeys(near[~is_same][:MARKS].tolist(), -1)
                    query = Query((IdExample(image),), feedback=Feedback((marks,), method))
                    hits = [s.search([query], 10).ids[0] for s in (fast, slow)]
                    found.append(np.isin(hits[1], hits[0]).mean())
                print(f"{kind} {method}: recall@10 {np.mean(found):.3f}", flush=True)


if __name__ == "__main__":
    main()
