"""Options that several chapters of learning share: each pair has to work together."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from foreign_files import write_teacher
from test_guided_training import TINY, pictures
from tiny_encoders import write_encoder
from tiny_trainings import StopAfter, Stopped
from typer.main import get_command

from lookalike.cli import app
from lookalike.cli.trainings import RECIPE_OPTIONS
from lookalike.errors import UsageError
from lookalike.features.model import Model
from lookalike.learning.devices import Device
from lookalike.learning.guides import NO_GUIDES, Guides
from lookalike.learning.network import build_network
from lookalike.learning.pictures import load_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.learning.stages import Material
from lookalike.model_folder import NETWORK
from lookalike.progress import SILENT

CPU = Device("cpu", has_bfloat16=False)
PLAIN = replace(TINY, palette_bins=0, half_weights=False, teacher_weight=0.0)


def slow(changes):
    return pytest.param(changes, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    files = tmp_path_factory.mktemp("union") / "learned"
    return load_pictures(pictures(), range(28), files, side=36, map_side=32, progress=SILENT)


@pytest.fixture
def teacher(tmp_path):
    return write_teacher(tmp_path / "teacher.onnx")


def test_every_option_of_learn_that_is_one_of_a_recipe_reaches_it():
    options = {option.name for option in get_command(app).commands["learn"].params}
    assert set(RECIPE_OPTIONS) == options & {field.name for field in fields(Recipe)}


def test_a_palette_changes_no_weight_of_the_backbone():
    weights = []
    for n_bins in (0, 6):
        torch.manual_seed(0)
        network = build_network(3, Recipe(image_size=32, palette_bins=n_bins), has_code=True)
        weights.append(network.backbone.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_palette_is_read_by_pooled_content_alone():
    with pytest.raises(UsageError, match=r"palette_bins is 6.*'alexnet' reads no"):
        Recipe(backbone="alexnet", palette_bins=6)
    with pytest.raises(UsageError, match="palette_bins is 6"):
        Recipe(backbone="encoder.onnx", palette_bins=6)
    network = build_network(3, Recipe(image_size=32, palette_bins=6), has_code=True)
    with pytest.raises(UsageError, match="reads the picture too"):
        network.predict(torch.zeros(2, network.backbone.n_channels, 8, 8))


def test_a_share_of_a_union_keeps_what_is_known_of_each_picture(loaded):
    whole = Material.of(loaded, False, replace(PLAIN, label_share=0.5), CPU)
    assert len(whole.mapped) == 12
    part = whole.labeled()
    assert len(part.pictures) == 14
    assert torch.equal(part.mapped, part.pictures.mapped())
    assert 0 < len(part.mapped) < 12
    names = [loaded.pixels[row].tobytes() for row in part.pictures.rows]
    taken = part.pictures.take_pixels(torch.arange(14)).numpy()
    assert names == [picture.tobytes() for picture in taken]
    sources = loaded.source[torch.from_numpy(part.pictures.rows)]
    assert torch.equal(part.pictures.source, sources)


def test_pictures_with_maps_are_repeated_and_the_self_encoder_sees_them_alone(loaded):
    material = Material.of(loaded, False, replace(PLAIN, mapped_repeats=3), CPU)
    repeated = material.repeated()
    counts = repeated.positions.bincount(minlength=28)
    assert counts[material.mapped].tolist() == [3] * 12
    assert counts.sum() == 28 + 2 * 12
    assert repeated.of_maps().positions.unique().tolist() == material.mapped.tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {"self_encoder": "denoising", "label_share": 0.8},
        {"self_encoder": "binary", "half_weights": True},
        {"code_weight": 0.0, "segmentation_weight": 1.0},
        {"pretraining": "contrastive", "pretraining_epochs": 1, "palette_bins": 6},
        slow({"self_encoder": "belief", "hidden_dim": 8, "hidden_layers": 1}),
        slow({"code_target": "pooled-masks"}),
        slow({"is_trunk_frozen": True}),
    ],
    ids=str,
)
def test_unions_of_which_some_have_maps_are_learned_by_every_stage(tmp_path, changes):
    recipe = replace(PLAIN, epochs=1, teacher_weight=1.0, **changes)
    card = learn(pictures(), tmp_path / "model", recipe)
    assert card.classes == ("red", "green", "blue")
    assert all(np.isfinite(figure) for figure in card.measured.values())
    model = Model.open(tmp_path / "model")
    shown = np.zeros((1, 32, 32, 3), np.uint8)
    assert model.encode(shown).labels.shape == (1, 3)


@pytest.mark.slow
def test_an_encoder_of_ones_own_can_be_taught_and_goes_on_after_a_kill(tmp_path, teacher):
    encoder = write_encoder(tmp_path / "encoder.onnx")
    recipe = replace(PLAIN, backbone=str(encoder), teacher_weight=2.0)
    guides = Guides(teacher=teacher)
    learn(pictures(), tmp_path / "whole", recipe, guides=guides)
    with pytest.raises(Stopped):
        learn(pictures(), tmp_path / "cut", recipe, guides=guides, progress=StopAfter(72))
    learn(pictures(), tmp_path / "cut", recipe, guides=guides, resume=True)
    whole, cut = ((tmp_path / name / NETWORK).read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    untaught = replace(recipe, teacher_weight=0.0)
    learn(pictures(), tmp_path / "untaught", untaught, guides=NO_GUIDES)
    assert (tmp_path / "untaught" / NETWORK).read_bytes() != whole
