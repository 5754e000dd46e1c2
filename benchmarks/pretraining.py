"""Does pre-training help? With 1 %, 10 % and all of the labels, against starting from nothing.

    python -m benchmarks.pretraining --seeds 1 2 3 --out docs/results/pretraining.json

For each seed and each share of labels three models are learned from the same generated scenes: from
first weights drawn at random, pre-trained layer by layer as denoising autoencoders, and pre-trained
by contrast. Pre-training sees all scenes without labels and label maps; what follows sees the same
few labels, for the same number of steps, from the same first weights. A gallery of scenes that none
has seen is indexed by each; the three are compared query by query with the start from nothing, in
`content` alone and in the default mixture with `layout`.

Differences are tested within each seed, and over the queries of all seeds together. The latter
takes each seed's models as given; how much they differ between seeds is shown beside it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.collection import Collection
from lookalike.datasets import Dataset, open_dataset
from lookalike.datasets.scenes import write_scenes
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.statistics import holm, paired_differences
from lookalike.evaluation.truth import ground_truth
from lookalike.judging import CollectionSystem, ids_by_hash, same_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.terminal import Bars

STARTS: Mapping[str, str | None] = {
    "plain": None,
    "layerwise": "layerwise",
    "contrastive": "contrastive",
}
MIXTURES: Mapping[str, Mapping[str, float] | None] = {
    "content": {"content": 1.0},
    "content + layout": None,
}
MEASURES = (
    Measure("mean_average_precision"),
    Measure("precision_at_k", 10),
    Measure("layout_miou_at_k", 10),
)
Key = tuple[float, str, str]
"""Share of labels, start and mixture."""


@dataclass(frozen=True)
class Size:
    """How much is learned and measured; epochs are those of each share of labels."""

    learn: int
    gallery: int
    queries: int
    pretraining_epochs: int
    epochs: Mapping[float, int]
    self_encoder_epochs: Mapping[float, int]


FULL = Size(1600, 600, 400, 20, {0.01: 150, 0.1: 60, 1.0: 8}, {0.01: 200, 0.1: 100, 1.0: 18})
QUICK = Size(200, 100, 60, 9, {0.1: 8, 1.0: 3}, {0.1: 8, 1.0: 3})


def run_seed(
    seed: int, size: Size, backbone: str, folder: Path
) -> tuple[dict[str, Any], dict[Key, Evaluation]]:
    """Learn, index and measure all models of one seed."""
    bars = Bars()
    write_scenes(folder / "learn", size.learn, 100 + seed, progress=bars)
    write_scenes(folder / "gallery", size.gallery, 200 + seed, progress=bars)
    scenes, gallery = open_dataset(folder / "learn"), open_dataset(folder / "gallery")
    learned, collections = {}, {}
    for share in size.epochs:
        for start, pretraining in STARTS.items():
            recipe = Recipe(
                image_size=64,
                backbone=backbone,
                pretraining=pretraining,
                pretraining_epochs=size.pretraining_epochs if pretraining else None,
                label_share=share,
                epochs=size.epochs[share],
                self_encoder_epochs=size.self_encoder_epochs[share],
                seed=seed,
            )
            model = folder / f"{start}-{share:g}"
            card = learn(scenes, model, recipe, progress=bars)
            learned[f"{share:g} {start}"] = {
                **card.measured,
                "labeled_pictures": card.training_data["labeled_pictures"],
                "seconds": card.training_data["seconds"],
            }
            collection = Collection.create(folder / f"{model.name}.lookalike", model=model)
            collection.add(folder / "gallery" / "images")
            collections[share, start] = collection
    return learned, _evaluate(collections, gallery, size, seed)


def _evaluate(
    collections: Mapping[tuple[float, str], Collection], gallery: Dataset, size: Size, seed: int
) -> dict[Key, Evaluation]:
    reference = next(iter(collections.values()))
    truth = ground_truth(gallery, ids_by_hash(reference, gallery))
    found = {}
    for (share, start), collection in collections.items():
        named = same_pictures(collection, truth, reference)
        for mixture, weights in MIXTURES.items():
            system = replace(named, system=CollectionSystem(collection, weights))
            found[share, start, mixture] = evaluate(
                system, truth, n_queries=size.queries, at=(10,), seed=seed
            )
    for collection in collections.values():
        collection.close()
    return found


def seed_json(learned: dict[str, Any], found: Mapping[Key, Evaluation]) -> dict[str, Any]:
    """Everything measured for one seed, ready for JSON."""
    return {
        "learned": learned,
        "systems": {_name(key): evaluation.to_json() for key, evaluation in found.items()},
        "comparisons": {
            _name(key): compare(found[key], found[_plain(key)]).to_json()
            for key in found
            if key != _plain(key)
        },
    }


def summarize(seeds: Sequence[Mapping[Key, Evaluation]]) -> dict[str, Any]:
    """Compare each start with the plain one over the queries of all seeds.

    p-values of the same measure are adjusted together by Holm's procedure.
    """
    keys = [key for key in seeds[0] if key != _plain(key)]
    table: dict[str, Any] = {_name(key): {} for key in keys}
    for measure in MEASURES:
        tests = [_pooled(seeds, key, measure) for key in keys]
        adjusted = holm(np.array([test["p_value"] for test in tests]))
        for key, test, p_value in zip(keys, tests, adjusted.tolist(), strict=True):
            table[_name(key)][measure.label] = {**test, "holm_p_value": p_value}
    return table


def _pooled(
    seeds: Sequence[Mapping[Key, Evaluation]], key: Key, measure: Measure
) -> dict[str, Any]:
    first, second = ([found[k].values[measure] for found in seeds] for k in (key, _plain(key)))
    a, b = np.concatenate(first), np.concatenate(second)
    tested = paired_differences(a[:, None], b[:, None])[0]
    return {
        "plain": float(np.nanmean(b)),
        "pre-trained": float(np.nanmean(a)),
        "difference": tested.difference.mean,
        "interval": [tested.difference.low, tested.difference.high],
        "p_value": tested.p_value,
        "n": tested.difference.n,
        "by_seed": [float(np.nanmean(x - y)) for x, y in zip(first, second, strict=True)],
    }


def _plain(key: Key) -> Key:
    return key[0], "plain", key[2]


def _name(key: Key) -> str:
    share, start, mixture = key
    return f"{share:.0%} of labels, {start}: {mixture}"


def lines_of(summary: Mapping[str, Any]) -> list[str]:
    """Lay out the summary as lines of text."""
    lines = []
    for name, measures in summary.items():
        for label, test in measures.items():
            low, high = test["interval"]
            by_seed = " ".join(f"{difference:+.3f}" for difference in test["by_seed"])
            lines.append(
                f"{name:46} {label:15} {test['plain']:.3f} → {test['pre-trained']:.3f}  "
                f"{test['difference']:+.3f} [{low:+.3f}, {high:+.3f}]  "
                f"p {test['holm_p_value']:.4f}  seeds {by_seed}"
            )
    return lines


def main() -> None:
    """Run all seeds, print the comparisons, write all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--backbone", default="residual")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    result: dict[str, Any] = {"backbone": options.backbone, "size": asdict(size), "seeds": {}}
    evaluations = []
    for seed in options.seeds:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            learned, found = run_seed(seed, size, options.backbone, Path(folder))
        evaluations.append(found)
        result["seeds"][seed] = seed_json(learned, found)
        result["seeds"][seed]["seconds"] = time.monotonic() - started
        result["summary"] = summarize(evaluations)
        print(f"after seed {seed}:", *lines_of(result["summary"]), sep="\n", flush=True)
        if options.out:
            options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
