"""Does a painted layout bring back the picture whose map was painted? Against two competitors.

    python -m benchmarks.layout_painting --seeds 1 --scenes 800 --epochs 12 --out result.json
    python -m benchmarks.layout_painting --models paper/models --out result.json

Three models of each seed are learned from the same scenes with the same network and steps, or
taken from what `lookalike reproduce --out paper` learned (longer): with self-encoding; with a
segmentation head, whose probability maps averaged over 8 × 8 cells are the descriptor (R. Furuta,
N. Inoue and T. Yamasaki, *Efficient and Interactive Spatial-Semantic Image Retrieval*, 2018); and
with principal components of label maps averaged over the same cells as the regressed code.
A gallery of scenes that no model has seen is drawn anew and
indexed by each. The painted query is the true label map of one of its pictures: whole; with one
half, at random left, right, upper or lower, not painted; or as boxes around three of its classes,
all else not painted. Measured are the rank of that picture, and how well the maps of the ten best
others overlap with the painting where it is painted.

Each descriptor is searched by its code, as any other query, and by its maps where it is painted:
Euclidean distance of averaged probabilities, or the overlap of `lookalike.search.painting`. What
`--layout` does is "self-encoding, painting". Ranks are computed with the functions of the program
from maps decoded once; latency is that of whole searches, in processor time of one thread.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from lookalike.arrays import VOID, normalize
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.scenes import write_scenes
from lookalike.evaluation.layout import layout_overlap
from lookalike.evaluation.statistics import estimate_means
from lookalike.learning.recipes import Recipe, learn
from lookalike.search.kept_maps import (
    KEPT_CLASSES,
    keep,
    kept_side,
    painted_classes,
    painted_overlap,
)
from lookalike.search.layouts import PaintedLayout, PaintedMap
from lookalike.search.painting import SHORTLIST, agreement
from lookalike.search.queries import Query
from lookalike.terminal import Bars

MODELS = {
    "self-encoding": "self-encoding",
    "probability maps": "segmentation-head",
    "pooled masks": "pooled-masks-PCA",
}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "self-encoding": {},
    "segmentation-head": {"code_weight": 0.0, "segmentation_weight": 1.0},
    "pooled-masks-PCA": {"code_target": "pooled-masks"},
}
SIDE = 8
"""Cells across of averaged maps."""

Rank = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Gallery:
    """The pictures of one model's collection.

    Attributes:
        collection: Open.
        codes: Layout of each picture, unit rows.
        seen: Label probabilities decoded from it, on the model's grid.
        averaged: The same over coarse cells.
    """

    collection: Collection
    codes: np.ndarray
    seen: np.ndarray
    averaged: np.ndarray

    @classmethod
    def of(cls, collection: Collection, paths: Sequence[bytes]) -> "Gallery":
        """Read a collection, its pictures in the order of `paths`."""
        known = collection.catalog.ids_of_paths(paths)
        rows = collection.vectors([known[path] for path in paths], "layout")
        blocks = [
            collection.model.decode_codes(rows[at : at + 64]) for at in range(0, len(rows), 64)
        ]
        seen = np.concatenate(blocks)
        return cls(collection, normalize(rows), seen, averaged(seen))

    def code_of(self, painted: np.ndarray) -> np.ndarray:
        """Return the unit code of a painting."""
        return normalize(self.collection.model.encode_label_maps(painted[None]))[0]

    def by_code(self, painted: np.ndarray) -> np.ndarray:
        """Score pictures by their codes."""
        return self.codes @ self.code_of(painted)

    def by_overlap(self, painted: np.ndarray) -> np.ndarray:
        """Score pictures as a painted layout does: of the nearest codes the best overlap."""
        nearest = np.argsort(-self.by_code(painted), kind="stable")[:SHORTLIST]
        scores = np.full(len(self.codes), -1.0)
        overlaps = painted_overlap(painted, keep(self.seen[nearest]))
        scores[nearest] = agreement(painted, overlaps, self.by_code(painted)[nearest])
        return scores

    def by_coarse_overlap(self, painted: np.ndarray) -> np.ndarray:
        """Score pictures by the overlap of averaged maps; all of them are compared."""
        return soft_overlap(shrink_label_maps(painted[None], SIDE)[0], self.averaged)

    def by_distance(self, painted: np.ndarray) -> np.ndarray:
        """Score pictures by the distance of averaged maps, where anything is painted."""
        n_values = self.seen.shape[1]
        shares = averaged((painted[None, None] == np.arange(n_values)[:, None, None])[0][None])[0]
        known = shares.sum(axis=0)
        asked = shares / np.maximum(known, 1e-9)
        different = ((self.averaged - asked) ** 2).sum(axis=1)
        return -(different * known).sum(axis=(1, 2))


def soft_overlap(target: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the overlaps of `painted_overlap` with probabilities of all classes."""
    is_painted = target != VOID
    painted = target[is_painted]
    overlaps = []
    for value in painted_classes(painted):
        seen, is_class = probabilities[:, value][:, is_painted], painted == value
        common = seen[:, is_class].sum(axis=1)
        overlaps.append(common / (is_class.sum() + seen[:, ~is_class].sum(axis=1)))
    return np.mean(overlaps, axis=0)


def averaged(maps: np.ndarray) -> np.ndarray:
    """Average maps `(items, values, height, width)` over coarse cells."""
    n, values, height, width = maps.shape
    cells = maps.reshape(n, values, SIDE, height // SIDE, SIDE, width // SIDE)
    return cells.mean(axis=(3, 5), dtype=np.float32)


def systems(galleries: Mapping[str, Gallery]) -> dict[str, Rank]:
    """Return every way to rank, by name."""
    own, maps, masks = (galleries[name] for name in MODELS)
    return {
        "self-encoding, code": own.by_code,
        "self-encoding, painting": own.by_overlap,
        "probability maps, Euclidean": maps.by_distance,
        "probability maps, overlap": maps.by_coarse_overlap,
        "pooled masks, code": masks.by_code,
        "pooled masks, Euclidean": masks.by_distance,
        "pooled masks, overlap": masks.by_coarse_overlap,
    }


def half(map_: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint one half of a map alone."""
    painted = np.rot90(map_, turns := int(rng.integers(4))).copy()
    painted[: len(painted) // 2] = VOID
    return np.rot90(painted, -turns).copy()


def boxes(map_: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint boxes around all that is of a class, for three of the classes."""
    painted = np.full_like(map_, VOID)
    classes = [value for value in np.unique(map_) if value not in (0, VOID)]
    for value in rng.permutation(classes)[:3]:
        rows, columns = np.nonzero(map_ == value)
        painted[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = value
    return painted


def whole(map_: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint everything."""
    return map_


PAINTINGS = {"whole": whole, "half": half, "three boxes": boxes}


def measure(rank: Rank, paintings: Sequence[np.ndarray], at: np.ndarray, maps: np.ndarray) -> Any:
    """Return rank of each painted picture, and overlap of the ten best others with it."""
    ranks, overlaps = [], []
    for painted, own in zip(paintings, at, strict=True):
        scores = rank(painted)
        ranks.append(int((scores > scores[own]).sum()) + 1)
        best = np.argsort(-scores, kind="stable")
        best = best[best != own][:10]
        there = np.where(painted == VOID, VOID, maps[best]).astype(np.uint8)
        overlap = layout_overlap(np.broadcast_to(painted, there.shape).copy(), there)
        overlaps.append(np.nanmean(overlap.labeled))
    found = np.array(ranks)
    columns = np.stack([found <= 1, found <= 10, np.array(overlaps)], axis=1).astype(np.float64)
    names = ("R@1", "R@10", "mIoU@10")
    estimates = dict(zip(names, estimate_means(columns), strict=True))
    return {
        "median_rank": float(np.median(found)),
        **{name: [round(v, 4) for v in (e.mean, e.low, e.high)] for name, e in estimates.items()},
    }


def latency(gallery: Gallery, paintings: Sequence[np.ndarray]) -> dict[str, float]:
    """Return processor time of whole searches by painted layouts, after a first one."""
    classes = gallery.collection.card.classes
    queries = [Query(layout=PaintedLayout(map=PaintedMap.of(each, classes))) for each in paintings]
    gallery.collection.search(queries[0])
    times = [timed(lambda q=query: gallery.collection.search(q)) for query in queries]
    return percentiles(times)


def timed(run: Callable[[], object]) -> float:
    """Return milliseconds of processor time."""
    started = time.process_time()
    run()
    return 1000 * (time.process_time() - started)


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return median and 99th percentile."""
    return {f"p{q}_ms": round(float(np.percentile(times, q)), 2) for q in (50, 99)}


def learn_models(folder: Path, scenes: Path, seed: int, epochs: int) -> None:
    """Learn the models of a seed that are not in `folder` yet."""
    for stem, changes in RECIPES.items():
        out = folder / f"{stem}-s{seed}"
        if not (out / "card.json").is_file():
            plain = Recipe(image_size=64, seed=seed, epochs=epochs, self_encoder_epochs=epochs + 4)
            recipe = replace(plain, **changes)
            learn(open_dataset(scenes), out, recipe, resume=True, progress=Bars())


def run_seed(models: Path, seed: int, gallery: Path, n_queries: int, work: Path) -> dict[str, Any]:
    """Measure the three models of one seed."""
    dataset = open_dataset(gallery)
    paths = [os.fsencode(str(each.path)) for each in dataset]
    opened: dict[str, Gallery] = {}
    for name, stem in MODELS.items():
        place = work / f"{stem}-s{seed}.lookalike"
        made = Collection.create(place, model=models / f"{stem}-s{seed}")
        made.add(gallery / "images", progress=Bars())
        opened[name] = Gallery.of(made, paths)
    grid = opened["self-encoding"].collection.card.grid
    maps = np.concatenate(
        [shrink_label_maps(each.read_label_map()[None], grid) for each in dataset]
    )
    rng = np.random.default_rng(100 + seed)
    at = rng.choice(len(maps), min(n_queries, len(maps)), replace=False)
    result: dict[str, Any] = {"paintings": {}, "n_queries": len(at), "n_gallery": len(maps)}
    for kind, paint in PAINTINGS.items():
        paintings = [paint(maps[row], rng) for row in at]
        result["paintings"][kind] = {
            name: measure(rank, paintings, at, maps) for name, rank in systems(opened).items()
        }
        times = {
            name: percentiles([timed(lambda r=rank, p=p: r(p)) for p in paintings[:30]])
            for name, rank in systems(opened).items()
            if name.endswith(("Euclidean", "code"))
        }
        times["self-encoding, painting"] = latency(opened["self-encoding"], paintings[:12])
        result["paintings"][kind]["latency"] = times
    result["bytes_per_image"] = {
        name: 4 * each.collection.card.code_dim for name, each in opened.items()
    }
    result["bytes_of_kept_map"] = 2 * KEPT_CLASSES * kept_side(grid) ** 2
    result["predicted_miou"] = {
        name: each.collection.card.measured.get("predicted_miou") for name, each in opened.items()
    }
    for each in opened.values():
        each.collection.close()
    return result


def table(seed: int, result: Mapping[str, Any]) -> list[str]:
    """Lay out one seed's figures as lines of text."""
    lines = [f"seed {seed}: {result['n_queries']} paintings, {result['n_gallery']} pictures"]
    for kind, found in result["paintings"].items():
        lines.append(f"  {kind}")
        for name, row in found.items():
            if name != "latency":
                cells = "   ".join(f"{key} {row[key][0]:.3f}" for key in ("R@1", "R@10", "mIoU@10"))
                lines.append(f"    {name:30} median rank {row['median_rank']:5.1f}   {cells}")
        lines.append(f"    {found['latency']}")
    return [*lines, f"  bytes per image: {result['bytes_per_image']}"]


def main() -> None:
    """Run all seeds, print their tables, write their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder of models; those missing are learned")
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--gallery", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        gallery = Path(folder) / "gallery"
        write_scenes(gallery, options.gallery, 1_000_004, pictures_px=64, progress=Bars())
        models = options.models or Path(folder) / "models"
        scenes = Path(folder) / "scenes"
        write_scenes(scenes, options.scenes, 2_000_003, pictures_px=64, progress=Bars())
        for seed in options.seeds:
            learn_models(models, scenes, seed, options.epochs)
            results[seed] = run_seed(models, seed, gallery, options.queries, Path(folder))
            print("\n".join(table(seed, results[seed])), flush=True)
            if options.out:
                options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
