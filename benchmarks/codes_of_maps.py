"""What is lost on the way from a label map to 128 numbers: layouts found by codes of true maps.

    LOOKALIKE_DATA=photographs python -m benchmarks.codes_of_maps

`coco#train`, every picture with a label map searched among the others; layout mIoU@10 over the 80
classes and over the 20 that Pascal VOC has too. Ranked by the cosine of: shares of the classes in
8 × 8 cells of the true map; their first 128 principal axes, from the origin, and the same with each
axis z-scored; the codes that the self-encoder of a model gives the true maps, which learned them.
For comparison what a trained network that sees the photograph gives: its embedding, and the shares
that ridge regression tells from its cells, where four fifths of the pictures are learned from and
the last fifth is told, in turn.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from benchmarks.default_model import LAYOUT, OfNetwork, Vectors, interval, only_classes
from lookalike.arrays import VOID, normalize
from lookalike.datasets import open_dataset
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.splits import Subset
from lookalike.datasets.union import same_name
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.features.model import Model
from lookalike.images.decoding import decode
from lookalike.images.files import content_hash
from lookalike.learning.cell_shares import average_cells, map_shares
from lookalike.learning.default_recipe import SEGMENTER_LABELS, TEACHER, models_folder
from lookalike.learning.devices import Device
from lookalike.learning.foreign import open_network
from lookalike.learning.pseudo_maps import read_label_names
from lookalike.learning.read_out import Sums
from lookalike.models import default_model

N_NUMBERS = 128
N_FOLDS = 5
PENALTY = 0.3


def opened(data: Path) -> tuple[GroundTruth, list[bytes]]:
    """The pictures that have a label map, and the truth about them."""
    pictures = open_dataset(f"{data / 'coco'}#train")
    mapped = [i for i in range(len(pictures)) if pictures[i].read_label_map is not None]
    chosen = Subset(pictures, mapped, "mapped")
    encoded = [chosen[i].read_bytes() for i in range(len(chosen))]
    truth = ground_truth(chosen, {content_hash(e): n for n, e in enumerate(encoded, 1)})
    return truth, [encoded[i - 1] for i in truth.ids]


def told_in_folds(encoded: list[bytes], shares: Tensor, network: Path) -> ndarray:
    """Shares of each picture as ridge regression tells them that did not learn from it."""
    cut = open_network(network, "imagenet", Device("cpu", False), is_cut=True)
    rows = []
    for data in encoded:
        pixels = decode(data, (cut.height, cut.width)).pixels
        cells = cut.run(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
        rows.append(average_cells(cells.permute(0, 3, 1, 2))[0].flatten(1).T.double())
    wanted = shares.flatten(2).movedim(1, 2).double()
    folds = torch.arange(len(rows)) % N_FOLDS
    told = torch.zeros_like(wanted)
    for fold in range(N_FOLDS):
        sums = Sums(rows[0].shape[1], wanted.shape[2])
        for i in (folds != fold).nonzero().flatten().tolist():
            sums.add(rows[i], wanted[i], wanted[i].sum(dim=1))
        slopes, intercepts = sums.solve(PENALTY)
        for i in (folds == fold).nonzero().flatten().tolist():
            told[i] = (rows[i] @ slopes + intercepts).clamp(min=0)
    return told[..., 1:].flatten(1).numpy()


def ways(
    truth: GroundTruth, encoded: list[bytes], model: Model, network: Path
) -> dict[str, ndarray]:
    """One row for each picture, by what it is."""
    maps = truth.label_maps
    if maps is None or not (maps != VOID).any():
        raise SystemExit("these pictures have no label maps")
    grid = shrink_label_maps(maps, model.card.grid)
    n_values = len(truth.classes) + 1
    every_share = map_shares(torch.from_numpy(grid), n_values)
    shares = every_share[:, 1:].flatten(1).numpy()
    axes = np.linalg.svd(shares, full_matrices=False)[2][:N_NUMBERS]
    projected = shares @ axes.T
    standard = (projected - projected.mean(axis=0)) / projected.std(axis=0)
    seen = OfNetwork(open_network(network, "imagenet", Device("cpu", False)))
    return {
        "embedding of MobileNetV1": np.stack([seen(data) for data in encoded]),
        "shares told from its cells, in folds": told_in_folds(encoded, every_share, network),
        "shares in 8 × 8 cells": shares,
        "128 principal axes": projected,
        "128 principal axes, z-scored": standard,
        "codes of the model's self-encoder": model.encode_label_maps(grid),
    }


def run(data: Path, model: Path) -> dict[str, Any]:
    """Measure every way."""
    truth, encoded = opened(data)
    models = models_folder(data, None)
    voc = {same_name(name) for name in read_label_names(models / SEGMENTER_LABELS)}
    truths = {"80 classes": truth, "20 classes": only_classes(truth, voc)}
    results: dict[str, Any] = {"pictures": len(truth)}
    for name, rows in ways(truth, encoded, Model.open(model), models / TEACHER).items():
        system = Vectors(truth.ids, normalize(rows.astype(np.float32)))
        results[name] = {
            which: interval(evaluate(system, known, at=(10,)), LAYOUT)
            for which, known in truths.items()
        }
        print(name, results[name])
    return results


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="model folder; by default the one that ships")
    parser.add_argument("--out", type=Path, default=Path("docs/results/codes_of_maps.json"))
    options = parser.parse_args()
    found = run(Path(os.environ["LOOKALIKE_DATA"]), options.model or default_model())
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
