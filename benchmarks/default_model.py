"""What the model that ships is worth, on pictures that it has not learned from.

    LOOKALIKE_DATA=photographs python -m benchmarks.default_model

Two galleries, in each of which every picture is a query among all others:

- the measured half of `corel`: twenty themes of 100 pictures, of which neither pictures nor
  keywords were learned from (which half, a hash of the theme's name decides); relevant is the same
  theme.
- `coco#test`: the third of the pictures that was held back, with their true label maps; layout
  mIoU@10 over the 80 classes, and over the 20 that Pascal VOC has too.

Ours is searched as a person would: a collection is made with the model, and answers by `content`,
by `layout`, and by the default mixture of both. Beside it: chance; a histogram of 8 × 4 × 4 HSV
bins (cosine of plain counts, and of their roots); the embedding of a quantized MobileNetV1 trained
on ImageNet, which is also the teacher (LiteRT); the label probabilities of our own label head; and
pooled masks without self-encoding: true maps of `coco#train`, averaged over 8 × 8 cells per class,
reduced by PCA to as many numbers as our code has, z-scored, and regressed from the MobileNet
embedding by ridge regression whose strength leave-one-out chose.

Intervals are 95 % percentile bootstraps over queries; differences are tested by paired
randomization, and p-values adjusted by Holm's procedure over the baselines.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from lookalike.arrays import normalize
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.datasets.base import ListedDataset
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.union import same_name
from lookalike.datasets.views import choose
from lookalike.errors import MissingExtraError, UsageError
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import RandomOrder, System, evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.statistics import holm
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.features.model import Model
from lookalike.images.decoding import decode
from lookalike.index.base import Hits
from lookalike.judging import CollectionSystem, ids_by_hash
from lookalike.learning.default_recipe import (
    SEGMENTER_LABELS,
    TEACHER,
    is_learned_theme,
    models_folder,
)
from lookalike.learning.devices import Device
from lookalike.learning.foreign import ForeignNetwork, open_network
from lookalike.learning.pseudo_maps import read_label_names
from lookalike.model_folder import read_card, write_card
from lookalike.models import default_model
from lookalike.terminal import Bars

OURS: Mapping[str, dict[str, float] | None] = {
    "ours: content": {"content": 1.0},
    "ours: layout": {"layout": 1.0},
    "ours: default mixture": None,
}
POOLED_SIDE = 8
RIDGE_STRENGTHS = tuple(10.0**exponent for exponent in range(-3, 7))
LAYOUT = Measure("layout_miou_at_k", 10)
OF_THEMES = (
    Measure("precision_at_k", 10),
    Measure("precision_at_k", 20),
    Measure("mean_average_precision"),
)


@dataclass(frozen=True, eq=False)
class Vectors:
    """A system that ranks by the cosine of one embedding per picture.

    Attributes:
        ids: The gallery, ascending.
        rows: Unit embeddings in the same order.
    """

    ids: np.ndarray
    rows: np.ndarray

    def rank(self, query_ids: np.ndarray, k: int) -> Hits:
        """Return the others, best first; equal ones by id."""
        places = np.searchsorted(self.ids, query_ids)
        scores = self.rows[places] @ self.rows.T
        scores[np.arange(len(places)), places] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, : min(k, len(self.ids) - 1)]
        return Hits(self.ids[order], np.take_along_axis(scores, order, axis=1))


class Embed(Protocol):
    """Something that turns an encoded picture into a row of numbers."""

    def __call__(self, data: bytes) -> np.ndarray:
        """Return the row."""
        ...


def hsv_counts(data: bytes) -> np.ndarray:
    """Share of the pixels in each of 8 × 4 × 4 bins of hue, saturation and value."""
    pixels = decode(data, (128, 128)).pixels
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV")).reshape(-1, 3) >> (5, 6, 6)
    bins = (hsv[:, 0] * 4 + hsv[:, 1]) * 4 + hsv[:, 2]
    return np.bincount(bins, minlength=128) / len(bins)


@dataclass(frozen=True)
class OfNetwork:
    """The embedding of a network that somebody else trained."""

    network: ForeignNetwork

    def __call__(self, data: bytes) -> np.ndarray:
        """Return the embedding of the picture, stretched to what the network reads."""
        pixels = decode(data, (self.network.height, self.network.width)).pixels
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        return self.network.run(image).flatten().numpy()


@dataclass(frozen=True)
class OfLabels:
    """The label probabilities of our own model."""

    model: Model

    def __call__(self, data: bytes) -> np.ndarray:
        """Return one probability per class."""
        side = self.model.card.image_size
        return self.model.encode(decode(data, (side, side)).pixels[None]).labels[0]


@dataclass(frozen=True, eq=False)
class Gallery:
    """A collection and the truth about it."""

    collection: Collection
    truth: GroundTruth
    dataset: ListedDataset

    def embed(self, name: str, embed: Embed) -> np.ndarray:
        """Embed every picture, in the order of the truth's ids."""
        position = {name: i for i, name in enumerate(self.dataset.names)}
        rows = []
        with Bars().task(name, len(self.truth)) as task:
            for picture in self.truth.names:
                rows.append(embed(self.dataset[position[picture]].read_bytes()))
                task.advance()
        return np.stack(rows)

    def system(self, rows: np.ndarray) -> Vectors:
        """Rank by these rows."""
        return Vectors(self.truth.ids, normalize(rows.astype(np.float32)))


def open_gallery(dataset: ListedDataset, model: Path, folder: Path) -> Gallery:
    """Index the pictures of a data set with the model and look up what is known of them."""
    collection = Collection.create(folder, model=model)
    collection.add(*dataset.paths, progress=Bars())
    return Gallery(collection, ground_truth(dataset, ids_by_hash(collection, dataset)), dataset)


def systems_of(gallery: Gallery, network: ForeignNetwork | None) -> dict[str, System]:
    """Ours and the baselines that every gallery can have."""
    counts = gallery.embed("HSV", hsv_counts)
    systems: dict[str, System] = {
        name: CollectionSystem(gallery.collection, weights) for name, weights in OURS.items()
    }
    systems["chance"] = RandomOrder(gallery.truth.ids)
    systems["HSV histogram"] = gallery.system(counts)
    systems["HSV histogram, root"] = gallery.system(np.sqrt(counts))
    labels = gallery.embed("Labels", OfLabels(gallery.collection.model))
    systems["ours: label probabilities"] = gallery.system(labels)
    if network is not None:
        embedding = gallery.embed("MobileNetV1", OfNetwork(network))
        systems["MobileNetV1, ImageNet"] = gallery.system(embedding)
    return systems


def pooled_masks(train: ListedDataset, embed: Embed, dim: int) -> "Callable[[bytes], np.ndarray]":
    """Learn to regress pooled and PCA-reduced masks from an embedding; return the prediction."""
    targets, given = [], []
    with Bars().task("Pooled masks", len(train)) as task:
        for image in (train[i] for i in range(len(train))):
            if image.read_label_map is not None:
                targets.append(pool_map(image.read_label_map(), len(train.classes)))
                given.append(embed(image.read_bytes()))
            task.advance()
    codes = reduce_and_standardize(np.stack(targets), dim)
    return fit_ridge(np.stack(given), codes)


def pool_map(label_map: np.ndarray, n_classes: int) -> np.ndarray:
    """Share of each class in each of 8 × 8 cells."""
    fine = shrink_label_maps(label_map[None], 8 * POOLED_SIDE)[0]
    one_hot = fine[..., None] == np.arange(1, n_classes + 1)
    cells = one_hot.reshape(POOLED_SIDE, 8, POOLED_SIDE, 8, n_classes)
    return cells.mean(axis=(1, 3)).ravel()


def reduce_and_standardize(rows: np.ndarray, dim: int) -> np.ndarray:
    """Project rows onto their first principal axes, each of variance 1."""
    centered = rows - rows.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centered, full_matrices=False)
    scores = (left * lengths)[:, : min(dim, len(rows) - 1)]
    return scores / np.maximum(scores.std(axis=0), 1e-9)


def fit_ridge(given: np.ndarray, wanted: np.ndarray) -> "Callable[[np.ndarray], np.ndarray]":
    """Ridge regression of standardized inputs; the strength has the least leave-one-out error."""
    mean, deviation = given.mean(axis=0), given.std(axis=0) + 1e-9
    x = (given - mean) / deviation
    middle = wanted.mean(axis=0)
    left, lengths, right = np.linalg.svd(x, full_matrices=False)
    projected = left.T @ (wanted - middle)

    def error(strength: float) -> float:
        shrunk = lengths**2 / (lengths**2 + strength)
        leverage = (left**2 * shrunk).sum(axis=1) + 1 / len(x)
        residual = wanted - middle - left @ (shrunk[:, None] * projected)
        return float(((residual / (1 - leverage).clip(1e-6)[:, None]) ** 2).mean())

    strength = min(RIDGE_STRENGTHS, key=error)
    weights = right.T @ ((lengths / (lengths**2 + strength))[:, None] * projected)
    return lambda row: (row - mean) / deviation @ weights + middle


def only_classes(truth: GroundTruth, names: set[str]) -> GroundTruth:
    """The same pictures, where all but these classes are background and make none relevant."""
    chosen = [i for i, name in enumerate(truth.classes) if same_name(name) in names]
    table = np.zeros(256, np.uint8)
    table[[i + 1 for i in chosen]] = [i + 1 for i in chosen]
    table[255] = 255
    maps = None if truth.label_maps is None else table[truth.label_maps]
    return replace(truth, relevant_classes=frozenset(chosen), label_maps=maps)


def figures(
    systems: Mapping[str, System], truth: GroundTruth, measures: tuple[Measure, ...]
) -> dict[str, Any]:
    """Every system's figures with intervals, and ours tested against all others."""
    at = tuple(m.k for m in measures if m.k is not None)
    found: dict[str, Evaluation] = {}
    for name, system in systems.items():
        found[name] = evaluate(system, truth, at=at, progress=Bars())
        cells = [found[name].estimates[m] for m in measures]
        print(f"  {name:34}", *(f"{e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in cells))
    some = next(iter(found.values()))
    return {
        "n_gallery": len(truth),
        "n_queries": len(some.query_ids),
        "systems": {
            name: {m.label: interval(evaluation, m) for m in measures}
            for name, evaluation in found.items()
        },
        "differences": {
            name: {m.label: _differences(found, name, m) for m in measures} for name in OURS
        },
    }


def interval(evaluation: Evaluation, measure: Measure) -> list[float]:
    """Mean, lower and upper end."""
    estimate = evaluation.estimates[measure]
    return [round(value, 4) for value in (estimate.mean, estimate.low, estimate.high)]


def _differences(found: Mapping[str, Evaluation], ours: str, measure: Measure) -> dict[str, Any]:
    """Ours minus each baseline."""
    others = [name for name in found if name not in OURS]
    paired = [compare(found[ours], found[name]).differences[measure] for name in others]
    adjusted = holm(np.array([test.p_value for test in paired]))
    return {
        name: {
            "difference": round(test.difference.mean, 4),
            "interval": [round(test.difference.low, 4), round(test.difference.high, 4)],
            "p_value": round(test.p_value, 5),
            "holm_p_value": round(float(p), 5),
        }
        for name, test, p in zip(others, paired, adjusted, strict=True)
    }


def measured_themes(data: Path, n: int | None) -> ListedDataset:
    """The pictures of `corel` whose themes were not learned; the first `n` of each for a trial."""
    themes = open_dataset(f"{data / 'corel'}@theme")
    chosen: dict[str, list[str]] = {}
    for i, name in enumerate(themes.names):
        theme = themes.classes[themes[i].labels[0]]
        if not is_learned_theme(theme):
            chosen.setdefault(theme, []).append(name)
    names = {name for of_theme in chosen.values() for name in of_theme[:n]}
    return choose(themes, names.__contains__, "measured")


def teacher_or_reason(folder: Path) -> tuple[ForeignNetwork | None, str | None]:
    """Open the reference network, or say why its rows are missing."""
    try:
        return open_network(folder / TEACHER, "imagenet", Device("cpu", False)), None
    except (MissingExtraError, UsageError) as error:
        return None, str(error)


def milliseconds(model: Path) -> float:
    """Median processor time of one picture through the network on one thread."""
    opened = Model.open(model, threads=1)
    pixels = np.zeros((1, opened.card.image_size, opened.card.image_size, 3), np.uint8)
    times = []
    for _ in range(30):
        started = time.process_time()
        opened.encode(pixels)
        times.append(time.process_time() - started)
    return 1000 * float(np.median(times))


def run(data: Path, models: Path, model: Path, folder: Path, n: int | None) -> dict[str, Any]:
    """Measure on both galleries."""
    network, reason = teacher_or_reason(models)
    card = Model.open(model).card
    results: dict[str, Any] = {
        "model": card.id,
        "bytes": sum(path.stat().st_size for path in model.iterdir()),
        "processor_milliseconds_per_picture": round(milliseconds(model), 2),
        "left_out": {"MobileNetV1 and pooled masks": reason} if reason else {},
    }
    print("corel, measured half")
    themes = open_gallery(measured_themes(data, n), model, folder / "corel.lookalike")
    results["corel"] = figures(systems_of(themes, network), themes.truth, OF_THEMES)
    print("coco#test, 80 classes")
    scenes = open_gallery(open_dataset(f"{data / 'coco'}#test"), model, folder / "coco.lookalike")
    systems = systems_of(scenes, network)
    if network is not None:
        train, embed = open_dataset(f"{data / 'coco'}#train"), OfNetwork(network)
        predict = pooled_masks(train, embed, card.code_dim)
        rows = scenes.embed("Pooled masks", lambda encoded: predict(embed(encoded)))
        systems["pooled masks, PCA, ridge"] = scenes.system(rows)
    results["coco, 80 classes"] = figures(systems, scenes.truth, (LAYOUT,))
    print("coco#test, the 20 classes of VOC")
    voc = {same_name(name) for name in read_label_names(models / SEGMENTER_LABELS)}
    truth = only_classes(scenes.truth, voc)
    results["coco, 20 classes"] = figures(systems, truth, (LAYOUT,))
    for gallery in (themes, scenes):
        gallery.collection.close()
    return results


def write_on_card(model: Path, results: Mapping[str, Any]) -> None:
    """Add the means of `content` and `layout` to the figures on the model's card."""
    card = read_card(model)
    found = {
        f"{gallery}: {name.removeprefix('ours: ')} {measure}": mean
        for gallery in ("corel", "coco, 80 classes", "coco, 20 classes")
        for name in OURS
        for measure, (mean, _, _) in results[gallery]["systems"][name].items()
    }
    write_card(model, replace(card, measured={**card.measured, **found}))


def main() -> None:
    """Measure the model and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="model folder; by default the one that ships")
    parser.add_argument("--models", type=Path, help="folder of the reference network")
    parser.add_argument("--few", type=int, help="pictures of each theme, for a trial")
    parser.add_argument("--write-card", action="store_true", help="also on the model's card")
    parser.add_argument("--out", type=Path, default=Path("docs/results/default_model.json"))
    options = parser.parse_args()
    data = Path(os.environ["LOOKALIKE_DATA"])
    model = options.model or default_model()
    with tempfile.TemporaryDirectory() as folder:
        found = run(data, models_folder(data, options.models), model, Path(folder), options.few)
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.write_card:
        write_on_card(model, found)


if __name__ == "__main__":
    main()
