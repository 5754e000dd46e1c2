"""A network that learned from small pictures is shown larger ones."""

from dataclasses import replace

import numpy as np
import pytest
from toy_pictures import boxes

from lookalike.errors import UsageError
from lookalike.features.model import Model
from lookalike.learning.recipes import Recipe, learn

SMALL = Recipe(
    image_size=32, grid=16, code_dim=8, content_dim=16, epochs=2, self_encoder_epochs=2,
    joint_share=0.0, batch_size=8, device="cpu", precision="float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, size in (("as learned", None), ("larger", 64)):
        learn(boxes(20), folder / name, replace(SMALL, shown_size=size))
    return {name: Model.open(folder / name, threads=1) for name in ("as learned", "larger")}


def test_what_is_learned_is_the_same_and_what_is_read_is_larger(learned):
    plain, larger = learned["as learned"], learned["larger"]
    assert (plain.card.image_size, larger.card.image_size) == (32, 64)
    assert (plain.card.recipe["shown_size"], larger.card.recipe["shown_size"]) == (None, 64)
    # Measured at the larger size too, by the very same weights.
    assert plain.card.measured["predicted_miou"] != larger.card.measured["predicted_miou"]
    assert plain.card.measured["reconstruction_miou"] == larger.card.measured["reconstruction_miou"]
    maps = np.zeros((1, 16, 16), np.uint8)
    np.testing.assert_array_equal(plain.encode_label_maps(maps), larger.encode_label_maps(maps))
    pixels = np.full((1, 32, 32, 3), 90, np.uint8)
    pixels[:, 8:24, 4:20] = (200, 40, 40)
    enlarged = pixels.repeat(2, axis=1).repeat(2, axis=2)
    of_small, of_large = plain.encode(pixels), larger.encode(enlarged)
    assert of_large.layout.shape == of_small.layout.shape == (1, 8)
    assert float((of_small.content * of_large.content).sum()) > 0.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shown_size": 48}, "shown_size must be a multiple of 32"),
        ({"image_size": 96, "shown_size": 64}, "shown_size is 64, below image_size 96"),
        ({"backbone": "cnn-f", "shown_size": 64}, "shown_size is 64, but .* published network"),
        (
            {"code_weight": 0.0, "segmentation_weight": 1.0, "shown_size": 64},
            "shown_size is 64, but a segmentation head",
        ),
    ],
)
def test_sizes_that_cannot_be_shown_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        replace(SMALL, **changes)
