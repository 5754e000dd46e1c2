"""Whole trainings with a teacher, a segmenter and several data sets."""

import csv
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from foreign_files import write_names, write_segmenter, write_teacher
from killing import kill_at
from toy_pictures import ToyDataset, draw_boxes, labeled

from lookalike.datasets.union import join
from lookalike.errors import UsageError
from lookalike.learning.guides import Guides, Segmenter
from lookalike.learning.recipes import Recipe, learn
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER

TINY = Recipe(
    image_size=32,
    grid=16,
    code_dim=8,
    content_dim=12,
    backbone="residual-wide",
    batch_size=8,
    epochs=2,
    self_encoder_epochs=1,
    joint_share=0.5,
    palette_bins=6,
    mapped_repeats=2,
    teacher_weight=2.0,
    half_weights=True,
    device="cpu",
    precision="float32",
)
TAUGHT = replace(
    TINY, teacher_cells_weight=1.0, mixed_share=0.25, tiled_share=0.25, set_balance=0.5,
    self_encoder="linear", shares_weight=1.0, similar_codes_weight=1.0,
)  # fmt: skip


class Listed(ToyDataset):
    """Toy boxes that name their pictures without being read."""

    paths = ()

    @property
    def names(self):
        return [image.name for image in self.images]


def boxes(n, seed, **changes):
    rng = np.random.default_rng(seed)
    maps = [draw_boxes(rng) for _ in range(n)]
    has_maps = changes.get("has_label_maps", True)
    images = [labeled(f"{i:03d}.png", m, has_label_map=has_maps) for i, m in enumerate(maps)]
    return Listed(images, **changes)


def pictures():
    """Three sets: one with label maps, one without, and one that knows other classes."""
    plain = boxes(8, 1, name="plain", has_label_maps=False)
    other = boxes(8, 2, name="other", classes=("a", "b", "red"), has_label_maps=False)
    return join([boxes(12, 0, name="mapped"), plain, other])


@pytest.fixture(scope="module")
def guides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guides")
    segmenter = Segmenter(
        network=write_segmenter(folder / "segmenter.onnx"),
        labels=write_names(folder / "names.txt"),
        parts=("plain",),
    )
    return Guides(teacher=write_teacher(folder / "teacher.onnx"), segmenter=segmenter)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, guides):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "whole"
    return folder, learn(pictures(), folder, TAUGHT, guides=guides, terms="for research")


def bits(folder):
    return [(folder / name).read_bytes() for name in (NETWORK, SELF_ENCODER, SELF_DECODER)]


def test_a_guided_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, guides, whole):
    folder, card = whole
    assert card.classes == ("red", "green", "blue")
    assert card.training_data["name"] == "mapped + plain + other"
    assert card.training_data["terms"] == "for research"
    assert card.training_data["teacher"].startswith("teacher.onnx sha256:")
    assert card.training_data["segmenter"].endswith(" for plain")
    assert card.measured["rounding_min_cosine"] > 0.999
    header = (folder / "history.csv").read_text().splitlines()[0].split(",")
    losses = ("label", "code", "teacher", "similarity", "cells", "shares", "similar_codes")
    assert {f"{name}_loss" for name in losses} <= set(header)
    out = tmp_path / "killed"
    kill_at("learning.epoch:2", lambda: learn(pictures(), out, TAUGHT, guides=guides))
    assert not out.exists()
    drawn = np.fromfile(tmp_path / "killed.training" / "pseudo-maps.done", np.uint8)
    assert drawn[:12].sum() == drawn[20:].sum() == 0
    assert drawn[12:20].sum() > 4
    resumed = learn(pictures(), out, TAUGHT, guides=guides, resume=True)
    assert bits(out) == bits(folder)
    assert resumed.training_data["digest"] == card.training_data["digest"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"teacher_weight": 0.0, "mixed_share": 0.2},
            "mixed_share is 0.2, but teacher_weight is 0",
        ),
        ({"backbone": "a.onnx", "palette_bins": 0, "mixed_share": 0.2}, "has seen every picture"),
    ],
)
def test_mixtures_need_somebody_who_knows_what_they_show(changes, message):
    with pytest.raises(UsageError, match=message):
        replace(TINY, **changes)


def test_some_pictures_of_the_smallest_batch_are_not_mixed(tmp_path, guides):
    recipe = replace(TINY, epochs=1, joint_share=0.0, mixed_share=0.9, batch_size=4)
    card = learn(pictures(), tmp_path / "a", recipe, guides=guides)
    assert card.training_data["epochs"]["network"] == 1
    rows = list(csv.DictReader((tmp_path / "a" / "history.csv").read_text().splitlines()))
    assert all(np.isfinite(float(row["loss"])) for row in rows if row["loss"])
    assert np.isfinite(float(rows[-1]["label_loss"]))


def test_cells_need_a_network_that_sees_them(tmp_path):
    with pytest.raises(UsageError, match="no network that could teach cells"):
        learn(pictures(), tmp_path / "a", replace(TINY, teacher_cells_weight=1.0))


def test_a_run_goes_on_only_with_the_guides_it_began_with(tmp_path, guides):
    out = tmp_path / "out"
    kill_at("learning.epoch:1", lambda: learn(pictures(), out, TINY, guides=guides))
    other = replace(guides, teacher=write_teacher(tmp_path / "other.onnx", is_last=True))
    with pytest.raises(UsageError, match="was begun with other training pictures"):
        learn(pictures(), out, TINY, guides=other, resume=True)


def test_a_model_of_a_union_tells_the_first_sets_classes_alone(whole):
    folder, _ = whole
    session = onnxruntime.InferenceSession(folder / NETWORK, providers=["CPUExecutionProvider"])
    shapes = {output.name: output.shape[1:] for output in session.get_outputs()}
    assert shapes == {"content": [12], "layout": [8], "labels": [3]}


def test_unions_are_measured_on_pictures_of_the_first_set(tmp_path):
    recipe = replace(TINY, epochs=1, teacher_weight=0.0, half_weights=False)
    held_out = boxes(6, 5, name="held out")
    card = learn(pictures(), tmp_path / "out", recipe, validate=held_out)
    assert card.training_data["held_out_pictures"] == 6
    assert 0 <= card.measured["label_map"] <= 1


def test_guides_that_would_not_be_used_are_refused(tmp_path, guides):
    with pytest.raises(UsageError, match="a teacher was given, but teacher_weight is 0"):
        learn(pictures(), tmp_path / "a", replace(TINY, teacher_weight=0.0), guides=guides)
    with pytest.raises(UsageError, match="a segmenter was given, but code_weight is 0"):
        learn(pictures(), tmp_path / "b", replace(TINY, code_weight=0.0), guides=guides)
