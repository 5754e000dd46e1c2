"""Every kind of index on the content of photographs, by the model that ships.

    python -m benchmarks.compare_indexes --parquet FILE --out FOLDER [--embeddings FILE.npy]

The pictures of a data set in a Parquet file are encoded once; 150 of them are searched for among
the others, three times each, one at a time on one thread. The report is that of `lookalike
compare-indexes`.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from lookalike import Model, open_dataset
from lookalike.arrays import Embeddings
from lookalike.evaluation.index_report import write_index_report
from lookalike.images.decoding import decode
from lookalike.index.comparing import compare_kinds
from lookalike.models import default_model
from lookalike.terminal import Bars

BATCH = 64


def encode(file: Path) -> Embeddings:
    """Return the content of all pictures."""
    pictures, model = open_dataset(str(file)), Model.open(default_model())
    side = model.card.image_size
    parts = []
    with Bars().task("Encoding", len(pictures)) as task:
        for start in range(0, len(pictures), BATCH):
            numbers = range(start, min(start + BATCH, len(pictures)))
            encoded = [decode(pictures[n].read_bytes(), (side, side)).pixels for n in numbers]
            parts.append(model.encode(np.stack(encoded)).descriptors["content"])
            task.advance(len(encoded))
    return np.concatenate(parts)


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parquet", type=Path, required=True)
    parser.add_argument("--embeddings", type=Path, help="where they are kept, for another run")
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.embeddings and options.embeddings.exists():
        embeddings = np.load(options.embeddings)
    else:
        embeddings = encode(options.parquet)
        if options.embeddings:
            np.save(options.embeddings, embeddings)
    order = np.random.default_rng(0).permutation(len(embeddings))
    asked, searched = order[: options.queries], order[options.queries :]
    compared = compare_kinds(
        embeddings[searched], embeddings[asked], runs=options.runs, progress=Bars()
    )
    title = f"Content of {len(embeddings):,} photographs of 64 × 64 pixels"
    write_index_report(options.out, compared, title=title)
    for point in compared.points:
        print(json.dumps([point.kind, point.effort, point.recall, point.median_ms, point.is_best]))


if __name__ == "__main__":
    main()
