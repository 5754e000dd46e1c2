import subprocess
import sys

import pytest

from lookalike.errors import UsageError
from lookalike.learning.recipes import Recipe, demo_recipe, differences


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 16}, "image_size must be between 32 and 512, got 16"),
        ({"image_size": 100}, "image_size must be a multiple of 32, got 100; use 96"),
        ({"grid": 30}, "grid must be a multiple of 8, got 30; use 24"),
        ({"code_dim": 1}, "code_dim must be between 2 and 1024"),
        ({"code_weight": -0.5}, "code_weight must be between 0 and 1000"),
        ({"code_weight": float("nan")}, "code_weight must be between"),
        ({"epochs": 0}, "epochs must be between 1 and"),
        ({"batch_size": 1}, "batch_size must be between 2 and"),
        ({"learning_rate": 0.0}, "learning_rate must be between"),
        ({"joint_share": 1.5}, "joint_share must be between 0 and 1"),
        ({"seed": -1}, "seed must be between 0 and"),
        ({"backbone": "vgg"}, "backbone 'vgg' is not known; choose one of: residual"),
        ({"self_encoder": "variational"}, "choose one of: convolutional, linear, dense, denoising"),
        ({"map_input": "palette"}, "choose one of: auto, embedding, one-hot"),
        ({"code_control": "zeros"}, "choose one of: shuffled, noise"),
        ({"device": "tpu"}, "choose one of: auto, cpu, cuda"),
        ({"precision": "int8"}, "choose one of: auto, float32, bfloat16"),
        (
            {"tied_weights": True},
            "tied_weights means nothing to a self-encoder of kind 'conv.*stacked",
        ),
        ({"corruption": 0.5, "self_encoder": "dense"}, "choose one of: denoising, stacked"),
        ({"corruption": 0.95, "self_encoder": "denoising"}, "corruption must be between 0 and 0.9"),
        ({"sparsity_target": 0.0}, "sparsity_target must be between"),
        ({"self_encoder": "k-sparse", "active_units": 200}, "a code has only 128 numbers; use at"),
        ({"self_encoder": "belief", "map_input": "embedding"}, "use 'one-hot' or 'auto'"),
        (
            {"self_encoder": "dense", "tied_weights": True, "map_input": "embedding"},
            "tied weights cannot read map_input 'embedding'",
        ),
        ({"self_encoder": "belief", "sleep_phase": "fantasy"}, "choose one of: wake-sleep"),
        ({"sleep_phase": "nap"}, "choose one of: contrastive, fantasy"),
        ({"code_weight": 0.0, "code_control": "noise"}, "needs codes, but code_weight is 0"),
        ({"code_target": "masks"}, "choose one of: self-encoder, pooled-masks"),
        ({"code_weight": 0.0, "code_target": "pooled-masks"}, "code_target='pooled-masks' needs"),
        ({"code_weight": 0.0, "is_trunk_frozen": True}, "is_trunk_frozen=True needs codes"),
        ({"segmentation_weight": 1.0}, "in the place of the code, but code_weight is 1.0"),
        ({"segmentation_weight": -1.0}, "segmentation_weight must be between 0 and 1000"),
    ],
)
def test_wrong_values_are_refused_with_what_to_do(changes, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**changes)


def test_a_recipe_is_plain_json_values():
    recipe = Recipe(seed=3)
    assert Recipe(**recipe.to_dict()) == recipe


def test_epochs_follow_the_size_of_the_data_set_unless_given():
    assert Recipe(epochs=7).epochs_for(100) == 7
    assert Recipe(self_encoder_epochs=7).self_encoder_epochs_for(100) == 7
    few, many = Recipe().epochs_for(250), Recipe().epochs_for(20_000)
    assert few > many >= 5
    assert Recipe().self_encoder_epochs_for(250) > Recipe().self_encoder_epochs_for(20_000)


def test_defaults_follow_the_kind_of_self_encoder():
    assert Recipe(self_encoder="denoising").corruption_share == 0.25
    assert Recipe(self_encoder="stacked").corruption_share == 0
    assert Recipe(self_encoder="stacked", corruption=0.1).corruption_share == 0.1
    assert Recipe(self_encoder="sparse").sparsity_factor == 3
    assert Recipe(self_encoder="belief").sparsity_factor == 0
    assert Recipe(self_encoder="k-sparse").kept_units == 32
    assert not Recipe().has_one_hot_maps
    assert Recipe(self_encoder="belief").has_one_hot_maps
    assert Recipe(self_encoder="dense", tied_weights=True).has_one_hot_maps
    assert Recipe(map_input="one-hot").has_one_hot_maps
    assert Recipe(self_encoder="stacked", self_encoder_epochs=9).layer_epochs_for(10) == 4


@pytest.mark.parametrize("quick", [False, True])
def test_the_demo_compares_equal_budgets(quick):
    with_codes = demo_recipe(quick, seed=5)
    without = demo_recipe(quick, seed=5, code_weight=0.0)
    assert differences(with_codes.to_dict(), without.to_dict()) == [
        f"code_weight {with_codes.code_weight} and 0.0"
    ]


def test_recipes_are_read_without_pytorch():
    code = "import sys, lookalike.learning.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
