"""From generated scenes on disk to a report, with a small real system in between."""

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.datasets import open_dataset
from lookalike.datasets.scenes import write_scenes
from lookalike.evaluation import Measure, RandomOrder, compare, evaluate, ground_truth, write_report
from lookalike.images.decoding import decode
from lookalike.images.scanning import content_hash
from tests.rankers import ExactRanking


@pytest.mark.slow
def test_label_maps_find_layouts_and_random_order_does_not(tmp_path: Path):
    write_scenes(tmp_path / "scenes", 24, seed=3, pictures_px=64, workers=1)
    scenes = open_dataset(tmp_path / "scenes")
    data = [scenes[position].read_bytes() for position in range(len(scenes))]
    ids_by_hash = {content_hash(encoded): 100 + i for i, encoded in enumerate(data)}
    truth = ground_truth(scenes, ids_by_hash, grid=16)
    assert (len(truth), truth.n_missing, truth.n_unknown) == (24, 0, 0)
    assert truth.label_maps is not None

    one_hot = truth.label_maps.reshape(24, -1, 1) == np.arange(1, len(truth.classes) + 1)
    system = ExactRanking(truth.ids, one_hot.reshape(24, -1).astype(np.float32))
    layouts = evaluate(system, truth, at=(3,))
    chance = evaluate(RandomOrder(truth.ids), truth, at=(3,))
    paired = compare(layouts, chance).differences[Measure("layout_miou_at_k", 3)]
    assert paired.difference.low > 0
    assert paired.p_value < 0.001

    pixels = {id_: decode(encoded).pixels for id_, encoded in enumerate(data, start=100)}
    report = write_report(
        tmp_path / "report", layouts, truth, pixels.__getitem__, title="Scenes", n_examples=2
    )
    found = json.loads((report.parent / "evaluation.json").read_text(encoding="utf-8"))
    assert found["n_gallery"] == 24
    assert found["layout_miou_at_k"]["3"] > found["random"]["layout_miou_at_k"]["3"]
