"""Every kind of self-encoder is learned, exported and resumed with the network."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_trainings import TINY, StopAfter, Stopped, embeddings, run
from toy_pictures import boxes, draw_boxes

from lookalike.learning.history import HISTORY
from lookalike.learning.recipes import learn
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER

ALL_KINDS = [
    {"self_encoder": "dense", "map_input": "one-hot"},
    {"self_encoder": "dense", "tied_weights": True, "reconstruction_loss": "squared"},
    {"self_encoder": "denoising"},
    {"self_encoder": "linear", "similar_codes_weight": 1.0},
    {"self_encoder": "sparse"},
    {"self_encoder": "k-sparse"},
    {"self_encoder": "binary"},
    {"self_encoder": "stacked", "hidden_dim": 12, "layer_epochs": 1, "corruption": 0.2},
    {"self_encoder": "belief", "hidden_dim": 12, "layer_epochs": 1, "persistent_chains": True},
    {"self_encoder": "wake-sleep", "hidden_dim": 12, "layer_epochs": 1, "sleep_phase": "fantasy"},
]


@pytest.mark.parametrize(
    "changes", ALL_KINDS, ids=lambda changes: "-".join(map(str, changes.values()))
)
def test_every_kind_of_self_encoder_can_be_learned_and_exported(tmp_path, changes):
    recipe = replace(TINY, self_encoder_epochs=1, epochs=2, **changes)
    card = learn(boxes(20), tmp_path / "toy", recipe)
    assert card.measured["parity_max_difference"] < 1e-3
    assert np.isfinite(card.measured["reconstruction_miou"])
    codes = run(tmp_path / "toy" / SELF_ENCODER, label_maps=small_maps())["code"]
    assert codes.shape == (4, 8)
    layout = embeddings(tmp_path / "toy")["layout"]
    are_bits = set(np.unique(np.concatenate([codes, layout])).tolist()) <= {-1.0, 1.0}
    assert are_bits == (changes["self_encoder"] == "binary")
    # What only helped to learn is not exported.
    assert (tmp_path / "toy" / SELF_ENCODER).stat().st_size < 250_000


def small_maps():
    rng = np.random.default_rng(1)
    return np.stack([draw_boxes(rng, 16) for _ in range(4)])


LAYERS = ["map layer 1", "map layer 2", "map layer 3"]


@pytest.mark.parametrize(
    ("changes", "stages", "n_pictures"),
    [
        ({"self_encoder": "stacked", "corruption": 0.2}, LAYERS, 40),
        pytest.param({"self_encoder": "belief"}, LAYERS, 90, marks=pytest.mark.slow),
        pytest.param(
            {"self_encoder": "belief", "persistent_chains": True},
            LAYERS,
            50,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"self_encoder": "wake-sleep"},
            [*LAYERS, "wake-sleep"],
            100,
            marks=pytest.mark.slow,
        ),
        pytest.param({"self_encoder": "denoising"}, [], 24, marks=pytest.mark.slow, id="denoising"),
    ],
)
def test_layers_that_were_stopped_continue_to_the_same_bits(tmp_path, changes, stages, n_pictures):
    options = {"hidden_dim": 12, "layer_epochs": 2} if stages else {}
    recipe = replace(TINY, self_encoder_epochs=1, epochs=1, **options, **changes)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    card = learn(boxes(20), whole, recipe)
    assert list(card.training_data["epochs"]) == [*stages, "self-encoder", "network"]
    with pytest.raises(Stopped):
        learn(boxes(20), resumed, recipe, progress=StopAfter(n_pictures))
    learn(boxes(20), resumed, recipe, resume=True)
    for name in (NETWORK, SELF_ENCODER, SELF_DECODER):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()
    rows = (whole / HISTORY).read_text().splitlines()
    assert [row.partition(",")[0] for row in rows[1:-2:2]] == stages
