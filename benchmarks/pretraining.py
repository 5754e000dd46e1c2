"""Does pre-training help? With 1 %, 10 % and all of the labels, against starting from nothing.

    python -m benchmarks.pretraining --work work --seeds 1 2 3 --out docs/results/pretraining.json

For each seed and each share of labels three models are learned from the same generated scenes: from
first weights drawn at random, pre-trained layer by layer as denoising autoencoders, and pre-trained
by contrast. Pre-training sees all scenes without labels and label maps; what follows sees the same
few labels, for the same number of steps, from the same first weights. A gallery of scenes that none
has seen is searched by each; the three are compared query by query with the start from nothing, in
`content` alone and in a mixture in which `layout` weighs a quarter of it.

`--work` keeps, for each model, its card and its embeddings of the gallery in 16 bits, so a run that
was killed goes on, and `--learn-only` can learn each seed in a process of its own and on another
machine.

Differences are tested within each seed, and over the queries of all seeds together. The latter
takes each seed's models as given; how much they differ between seeds is shown beside it.
"""

import argparse
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.arrays import normalize
from lookalike.atomic import write_atomically
from lookalike.datasets import Dataset, open_dataset
from lookalike.datasets.base import LabeledImage
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.scenes import write_scenes
from lookalike.errors import DatasetError
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.statistics import holm, paired_differences
from lookalike.evaluation.truth import GroundTruth
from lookalike.features.model import Model
from lookalike.images.decoding import decode
from lookalike.learning.recipes import Recipe, learn
from lookalike.model_folder import CARD, read_card
from lookalike.reproduction.materials import Learned, Ranking
from lookalike.terminal import Bars

STARTS: Mapping[str, str | None] = {
    "plain": None,
    "layerwise": "layerwise",
    "contrastive": "contrastive",
}
MIXTURES: Mapping[str, float] = {"content": 0.0, "content + layout": 0.2}
"""Name → share of `layout`, as in `lookalike.reproduction`."""
MEASURES = (
    Measure("mean_average_precision"),
    Measure("precision_at_k", 10),
    Measure("layout_miou_at_k", 10),
)
SIDE = 64
CHECKED = 16
"""Scenes that each epoch is checked on; few, as an epoch of 1 % of the labels sees ten pictures."""
VECTORS = "gallery.npz"
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


FULL = Size(1000, 600, 400, 12, {0.01: 100, 0.1: 40, 1.0: 6}, {0.01: 100, 0.1: 60, 1.0: 12})
QUICK = Size(200, 100, 60, 9, {0.1: 8, 1.0: 3}, {0.1: 8, 1.0: 3})


def recipes(seed: int, size: Size, backbone: str, device: str) -> dict[tuple[float, str], Recipe]:
    """Return the recipe of each share of labels and start."""
    return {
        (share, start): Recipe(
            image_size=SIDE,
            backbone=backbone,
            pretraining=pretraining,
            pretraining_epochs=size.pretraining_epochs if pretraining else None,
            label_share=share,
            epochs=size.epochs[share],
            self_encoder_epochs=size.self_encoder_epochs[share],
            seed=seed,
            device=device,
        )
        for share in size.epochs
        for start, pretraining in STARTS.items()
    }


def scenes_of(work: Path, name: str, n: int, seed: int) -> Dataset:
    """Draw scenes, or open those that were drawn before."""
    folder = work / f"{name}-s{seed}"
    if not folder.exists():
        write_scenes(
            folder, n, {"learn": 100, "gallery": 200, "checked": 300}[name] + seed, progress=Bars()
        )
    return open_dataset(folder)


def learn_seed(work: Path, seed: int, size: Size, backbone: str, device: str) -> list[Path]:
    """Learn all models of one seed that are not there yet; return their folders."""
    wanted = recipes(seed, size, backbone, device)
    places = [work / "models" / f"{start}-{share:g}-s{seed}" for share, start in wanted]
    missing = [place for place in places if not (place / VECTORS).is_file()]
    if not missing:
        return places
    scenes = scenes_of(work, "learn", size.learn, seed)
    checked = scenes_of(work, "checked", CHECKED, seed)
    gallery = scenes_of(work, "gallery", size.gallery, seed)
    pixels = np.stack([decode(image.read_bytes(), (SIDE, SIDE)).pixels for image in _all(gallery)])
    for place, recipe in zip(places, wanted.values(), strict=True):
        if place in missing:
            place.mkdir(parents=True, exist_ok=True)
            learn(
                scenes,
                place / "model",
                recipe,
                validate=checked,
                resume=True,
                progress=Bars(),
            )
            (place / CARD).write_bytes((place / "model" / CARD).read_bytes())
            encoded = Model.open(place / "model").encode(pixels)
            if encoded.layout is None:
                raise DatasetError("the scenes have no label maps; draw them anew")
            buffer = io.BytesIO()
            content, layout = (a.astype(np.float16) for a in (encoded.content, encoded.layout))
            np.savez(buffer, content=content, layout=layout)
            write_atomically(place / VECTORS, buffer.getvalue())
            shutil.rmtree(place / "model")
    return places


def measure_seed(
    work: Path, seed: int, size: Size, places: Sequence[Path]
) -> tuple[dict[str, Any], dict[Key, Evaluation]]:
    """Judge all models of one seed by the embeddings that were kept."""
    gallery = scenes_of(work, "gallery", size.gallery, seed)
    truth = _truth(gallery)
    learned, found = {}, {}
    for (share, start), place in zip(recipes(seed, size, "residual", "cpu"), places, strict=True):
        card = read_card(place)
        learned[f"{share:g} {start}"] = {
            **card.measured,
            "labeled_pictures": card.training_data["labeled_pictures"],
            "seconds": card.training_data["seconds"],
        }
        with np.load(place / VECTORS, allow_pickle=False) as arrays:
            content, layout = (arrays[name].astype(np.float32) for name in ("content", "layout"))
        model = Learned(start, seed, card, normalize(content), layout)
        for mixture, beta in MIXTURES.items():
            system = Ranking(model.mixture(beta))
            found[share, start, mixture] = evaluate(
                system, truth, n_queries=size.queries, at=(10,), seed=seed
            )
    return learned, found


def _all(dataset: Dataset) -> Iterator[LabeledImage]:
    for position in range(len(dataset)):
        yield dataset[position]


def _truth(gallery: Dataset) -> GroundTruth:
    labels = np.zeros((len(gallery), len(gallery.classes)), bool)
    maps = []
    for row, image in enumerate(_all(gallery)):
        labels[row, list(image.labels)] = True
        if image.read_label_map is not None:
            maps.append(shrink_label_maps(image.read_label_map()[None], SIDE)[0])
    return GroundTruth(
        ids=np.arange(len(gallery)),
        labels=labels,
        label_maps=np.stack(maps),
        classes=tuple(gallery.classes),
        relevant_classes=gallery.relevant_classes,
        palette=tuple(gallery.palette),
        names=tuple(image.name for image in _all(gallery)),
    )


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
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--learn-only", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    result: dict[str, Any] = {"backbone": options.backbone, "size": asdict(size), "seeds": {}}
    evaluations = []
    for seed in options.seeds:
        places = learn_seed(options.work, seed, size, options.backbone, options.device)
        if options.learn_only:
            continue
        learned, found = measure_seed(options.work, seed, size, places)
        evaluations.append(found)
        result["seeds"][seed] = seed_json(learned, found)
        result["summary"] = summarize(evaluations)
        print(f"after seed {seed}:", *lines_of(result["summary"]), sep="\n", flush=True)
        if options.out:
            options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
