"""How well an approximate index, tuned on pictures, finds what words are most like.

    python -m benchmarks.words [--images 60000] [--dim 64]

Words and pictures of image-text models lie in different parts of space. Here both are generated:
300 concepts, noise, and an offset for each of the two kinds, so that two pictures have a median
cosine of 0.44, and a text and a picture one near 0. Recall is the share of the ten pictures with
the largest cosine that are among the candidates; a search re-scores these exactly.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy import ndarray

from lookalike.arrays import normalize
from lookalike.index.building import build_index

_QUERIES = 300
_HITS = 10
_CANDIDATES = 1000


def generate(n: int, dim: int) -> tuple[ndarray, ndarray]:
    """Return unit rows of pictures and of texts."""
    rng = np.random.default_rng(0)
    concepts = rng.standard_normal((300, dim))
    drawn = concepts[rng.integers(300, size=n)] + 0.8 * rng.standard_normal((n, dim))
    drawn[:, 0] += 9
    said = concepts[rng.integers(300, size=_QUERIES)]
    said += 0.5 * rng.standard_normal((_QUERIES, dim))
    said[:, 1] += 12
    return normalize(drawn), normalize(said)


def recall(index: object, rows: ndarray, queries: ndarray, n_candidates: int) -> float:
    """Return the mean share of the true nearest among the candidates."""
    true = np.argsort(-(queries @ rows.T), axis=1)[:, :_HITS]
    found = index.search(queries, n_candidates).ids
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(true, found, strict=True)]))


def main() -> None:
    """Build, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=64)
    arguments = parser.parse_args()
    rows, texts = generate(arguments.images, arguments.dim)
    ids = np.arange(len(rows))
    for kind in ("pq", "clusters"):
        with tempfile.TemporaryDirectory() as folder:
            index = build_index(
                [(ids, rows)],
                dim=arguments.dim,
                n=len(rows),
                kind=kind,
                recall_target=0.98,
                rows_file=Path(folder) / "rows.npy",
            )
            for name, queries in (("pictures", rows[:_QUERIES]), ("words", texts)):
                for n_candidates in (_HITS, _CANDIDATES):
                    found = recall(index, rows, queries, n_candidates)
                    print(f"{kind} {name} {n_candidates} candidates: recall@10 {found:.3f}")


if __name__ == "__main__":
    main()
