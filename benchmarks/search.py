"""How fast and how well one query is answered, against FAISS called directly and exact search.

    python -m benchmarks.search [--images 1000000] [--kind auto] [--out search.json]

Clustered embeddings of 256 dimensions are indexed, and 1,000 queries that are not among them are
asked one at a time on one thread. Raw FAISS is the same inverted lists and the same codes, with
exact refinement (`IndexRefineFlat`) over the same rows held in memory, at the smallest fixed number
of probes that reaches the recall measured for ours, and at the number of probes that ours takes on
average.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before numpy and FAISS start their threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import faiss
import numpy as np

from lookalike.arrays import Embeddings, Ids
from lookalike.index.base import Hits
from lookalike.index.building import build_index
from lookalike.index.codes import ClusteredCodes, FlatCodes
from lookalike.index.exact import RowsIndex, exact_hits
from lookalike.index.files import new_rows_file, open_index, publish_index

K, DIM, BATCH = 10, 256, 10_000
ROUNDS = 5
PROBES = sorted({round(2 ** (step / 4)) for step in range(41)})

Ask = Callable[[Embeddings], Ids]


class Cloud:
    """A source of unit rows that vary somewhat as the embeddings of a network do.

    2,000 clusters, their sizes by a power law; in each, 10 directions of its own (a covariance of
    low rank); 20 directions that all share; and noise in all dimensions. Of 200,000 in 1,024
    k-means clusters, 1, 8, 32 and 128 clusters hold 0.54, 0.93, 0.98 and 0.99 of the ten nearest.
    """

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        share = (np.arange(2_000) + 10.0) ** -1.5
        self.share = share / share.sum()
        self.centers = directions(rng, 2_000, 1)[:, 0]
        self.own = 0.7 * directions(rng, 2_000, 10)
        self.common = 0.5 * directions(rng, 1, 20)[0]

    def draw(self, n: int, seed: int) -> Iterator[tuple[Ids, Embeddings]]:
        """Yield batches of ids from 0 and rows."""
        rng = np.random.default_rng(seed)
        for start in range(0, n, BATCH):
            # Sorted by cluster, so that each is one product of matrices; then mixed again.
            clusters = np.sort(rng.choice(len(self.share), min(BATCH, n - start), p=self.share))
            rows = self.centers[clusters] + normal(rng, len(clusters), 20) @ self.common
            rows += normal(rng, len(clusters), DIM) * (0.4 / DIM**0.5)
            for cluster in np.unique(clusters):
                members = slice(*np.searchsorted(clusters, [cluster, cluster + 1]))
                rows[members] += normal(rng, len(rows[members]), 10) @ self.own[cluster]
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            yield np.arange(start, start + len(rows)), rng.permutation(rows)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw float32 numbers from the standard normal distribution."""
    return rng.standard_normal(shape, dtype=np.float32)


def directions(rng: np.random.Generator, clusters: int, rank: int) -> np.ndarray:
    """Draw vectors such that a standard normal mixture of `rank` has length 1 on average."""
    return normal(rng, clusters, rank, DIM) / np.float32((rank * DIM) ** 0.5)


def compare_times(asks: Mapping[str, Ask], queries: Embeddings) -> dict[str, dict[str, float]]:
    """Return median, 99th percentile and mean in microseconds of each way to ask a query alone.

    The ways take turns of 100 queries: none is asked right after another has brought what the
    same query needs into the processor's cache, and all suffer from what else the machine does.
    Each query is asked in five rounds, and its shortest time counts.
    """
    times = {name: np.empty((ROUNDS, len(queries))) for name in asks}
    for at in range(ROUNDS):
        for start in range(0, len(queries), 100):
            for name, ask in asks.items():
                for row in range(start, min(start + 100, len(queries))):
                    started = time.perf_counter()
                    ask(queries[row : row + 1])
                    times[name][at, row] = 1e6 * (time.perf_counter() - started)
    best = {name: table.min(axis=0) for name, table in times.items()}
    return {
        name: {
            "p50_us": round(float(np.percentile(column, 50)), 1),
            "p99_us": round(float(np.percentile(column, 99)), 1),
            "mean_us": round(float(column.mean()), 1),
        }
        for name, column in best.items()
    }


def recall(found: Ids, truth: Ids) -> float:
    """Return the share of the true neighbors that were found."""
    pairs = zip(found, truth, strict=True)
    return round(float(np.mean([np.isin(wanted, hits).mean() for hits, wanted in pairs])), 4)


class RawFaiss:
    """The codes of an index with exact refinement, as FAISS alone does it."""

    def __init__(self, index: RowsIndex) -> None:
        kind = FlatCodes if index.facts.kind == "pq" else ClusteredCodes
        content = np.frombuffer(index.codes or b"", np.uint8)
        self.codes = kind.from_bytes(content).faiss_index
        self.refined = faiss.IndexRefineFlat(self.codes, faiss.swig_ptr(index.rows.embeddings))
        self.refined.k_factor = index.facts.refine

    def asks(self, probes: int) -> Ask:
        """Return a function that asks with a fixed number of probes, or without any for 0."""
        if not probes:
            return lambda query: self.refined.search(query, K)[1]
        parameters = faiss.IndexRefineSearchParameters(
            k_factor=self.refined.k_factor,
            base_index_params=faiss.SearchParametersIVF(nprobe=probes),
        )
        return lambda query: self.refined.search(query, K, params=parameters)[1]

    def least_probes(self, queries: Embeddings, truth: Ids, target: float) -> int:
        """Return the smallest number of probes that reaches a recall; 0 without clusters."""
        if not hasattr(self.codes, "nprobe"):
            return 0
        reached = (p for p in PROBES if recall(self.asks(p)(queries), truth) >= target)
        return next(reached, PROBES[-1])


def measure_filters(index: RowsIndex, queries: Embeddings) -> dict[str, dict[str, float]]:
    """Return recall and time where only a random share of the images passes a filter."""
    measured = {}
    for share in (0.5, 0.1, 0.01, 0.0001):
        chosen = np.random.default_rng(3).choice(
            index.ids, int(share * len(index.ids)), replace=False
        )
        allowed = np.sort(chosen)

        def ask(query: Embeddings, allowed: Ids = allowed) -> Ids:
            return index.search(query, K, allowed=allowed).ids

        truth = exact_hits(index.rows, queries, K, allowed).ids
        found = index.search(queries, K, allowed=allowed).ids
        timed = compare_times({"ours": ask}, queries)["ours"]
        measured[f"{share:.2%}"] = {"recall": recall(found, truth), **timed}
    return measured


def serve(folder: Path) -> dict[str, Any]:
    """Return what a fresh process needs to open the index and ask all queries."""
    code = f"""
import json, time
from pathlib import Path
import numpy as np
from lookalike.index.files import open_index
def memory():
    lines = [line.split() for line in Path('/proc/self/status').read_text().splitlines()]
    sizes = {{line[0]: int(line[1]) // 1024 for line in lines if line[-1:] == ['kB']}}
    return {{'own_mb': sizes['RssAnon:'], 'mapped_mb': sizes['RssFile:']}}
queries = np.load({str(folder / "queries.npy")!r})
empty, started = memory(), time.perf_counter()
index, _ = open_index(Path({str(folder)!r}), 'content')
index.search(queries[:1], {K})
first_ms = round(1e3 * (time.perf_counter() - started), 1)
index.search(queries, {K})
print(json.dumps({{'first_answer_ms': first_ms, 'before': empty, 'after': memory()}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def build(folder: Path, cloud: Cloud, n: int, kind: Any, target: float) -> int:
    """Build and store the index; return the largest memory that this took, in MB."""
    built = build_index(
        cloud.draw(n, seed=1),
        dim=DIM,
        n=n,
        kind=kind,
        recall_target=target,
        rows_file=new_rows_file(folder, "content"),
    )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    publish_index(folder, "content", built, model="", revision=0, calibration={})
    return peak_mb


def measure(folder: Path, n: int, kind: Any, target: float, n_queries: int) -> dict[str, Any]:
    """Build, store, open again and ask; return all figures."""
    cloud = Cloud()
    queries = np.concatenate([rows for _, rows in cloud.draw(n_queries, seed=2)])
    np.save(folder / "queries.npy", queries)
    is_kept = (folder / "content.json").exists()
    peak_mb = None if is_kept else build(folder, cloud, n, kind, target)
    index, _ = open_index(folder, "content")
    hits: Hits = index.search(queries, K)
    truth = exact_hits(index.rows, queries, K, None).ids
    asks: dict[str, Ask] = {"ours": lambda query: index.search(query, K).ids}
    recalls = {"ours": recall(hits.ids, truth)}
    mean_probes = round(float(np.mean(hits.probed_clusters)), 1)
    if index.codes is not None:
        faiss_alone = RawFaiss(index)
        same_recall = faiss_alone.least_probes(queries, truth, recalls["ours"])
        raw = {"raw at our recall": same_recall, "raw at our probes": round(mean_probes)}
        for name, probes in raw.items():
            asks[name] = faiss_alone.asks(probes)
            recalls[name] = recall(asks[name](queries), truth)
    timed = compare_times(asks, queries)
    exact: Ask = lambda query: exact_hits(index.rows, query, K, None).ids  # noqa: E731
    timed |= compare_times({"exact": exact}, queries[:50])
    return {
        "facts": asdict(index.facts),
        "build_peak_mb": peak_mb,
        "disk_mb": {p.name.partition(".")[2]: p.stat().st_size / 1e6 for p in folder.glob("*-*")},
        "mean_probes": mean_probes,
        "raw_probes_at_our_recall": same_recall if index.codes is not None else None,
        "recall_at_10": recalls,
        "one_query": timed,
        "ratio_at_equal_recall": {
            key: round(value / timed.get("raw at our recall", timed["exact"])[key], 2)
            for key, value in timed["ours"].items()
        },
        "filters": measure_filters(index, queries[:200]),
        "fresh_process": serve(folder),
    }


def main() -> None:
    """Print all figures as JSON, and write them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--kind", choices=["auto", "exact", "pq", "clusters"], default="auto")
    parser.add_argument("--target", type=float, default=0.98)
    parser.add_argument("--folder", type=Path, help="where the index is kept, for another run")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder, options.images, options.kind, options.target, options.queries)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
