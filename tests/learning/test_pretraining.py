from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_trainings import TINY, StopAfter, Stopped, embeddings
from toy_pictures import boxes

from lookalike.errors import UsageError
from lookalike.learning.contrastive import Contrast, build_projection, contrastive_loss
from lookalike.learning.devices import Device, seeded
from lookalike.learning.history import HISTORY
from lookalike.learning.layerwise import Layer, build_decoders, layers_of, relative_error
from lookalike.learning.network import build_network
from lookalike.learning.pictures import load_pictures
from lookalike.learning.pretraining import PretrainingStage
from lookalike.learning.recipes import Recipe, learn
from lookalike.learning.stages import Material
from lookalike.model_folder import NETWORK
from lookalike.progress import SILENT

PRETRAINED = replace(
    TINY,
    epochs=1,
    self_encoder_epochs=1,
    code_weight=0.0,
    pretraining="contrastive",
    pretraining_epochs=3,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    files = tmp_path_factory.mktemp("pictures") / "learned"
    return load_pictures(boxes(24), range(24), files, side=36, map_side=32, progress=SILENT)


def material(pictures, **changes):
    recipe = replace(TINY, batch_size=12, learning_rate=5e-3, **changes)
    return Material.of(pictures, False, recipe, Device("cpu", False))


def run_all_epochs(stage):
    losses = []
    for epoch in range(stage.n_epochs):
        with SILENT.task("") as task, seeded(epoch) as generator:
            losses.append(stage.run_epoch(epoch, generator, task)["pretraining_loss"])
    return losses


def nt_xent(first, second, temperature):
    """The formula, one view at a time."""
    views = [row / np.linalg.norm(row) for row in np.concatenate([first, second])]
    n = len(first)
    losses = []
    for i, view in enumerate(views):
        partner = (i + n) % (2 * n)
        others = [np.exp(view @ views[j] / temperature) for j in range(2 * n) if j != i]
        losses.append(-np.log(np.exp(view @ views[partner] / temperature) / sum(others)))
    return np.mean(losses)


def test_the_contrastive_loss_is_its_formula():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 5, 7)).astype(np.float32)
    found = contrastive_loss(torch.from_numpy(first), torch.from_numpy(second), 0.3)
    assert float(found) == pytest.approx(nt_xent(first, second, 0.3), rel=1e-5)


def test_views_that_agree_cost_less_than_views_that_were_dealt_out_at_random():
    rows = torch.eye(6)
    assert contrastive_loss(rows, rows) < contrastive_loss(rows, rows.roll(1, 0)) - 3


def test_an_error_of_one_is_what_the_mean_costs():
    clean = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert float(relative_error(clean, clean)) == 0
    assert float(relative_error(torch.full_like(clean, float(clean.mean())), clean)) == (
        pytest.approx(1, rel=1e-5)
    )
    assert torch.isfinite(relative_error(torch.ones(2, 3), torch.ones(2, 3)))


@pytest.mark.parametrize(
    ("name", "n_layers"),
    [("alexnet", 7), ("nin", 4), ("residual", 2), ("resnet18", 5), ("mobilenet-v3-small", 6)],
)
def test_every_layer_has_a_decoder_that_gives_back_its_input_shape(name, n_layers):
    torch.manual_seed(0)
    network = build_network(3, Recipe(backbone=name, image_size=32), has_code=True).eval()
    decoders = build_decoders(network, 32)
    assert len(decoders) == len(layers_of(network)) == n_layers
    x = torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        for layer, decoder in zip(layers_of(network), decoders, strict=True):
            above = layer(x)
            assert decoder(above).shape == x.shape
            x = above


@pytest.mark.parametrize(
    ("backbone", "index"),
    [("residual", 0), ("residual", 1), pytest.param("alexnet", 5, marks=pytest.mark.slow)],
)
def test_a_layer_learns_to_restore_what_is_below_and_moves_nothing_else(pictures, backbone, index):
    whole = material(pictures, backbone=backbone)
    torch.manual_seed(0)
    network = build_network(3, whole.recipe, has_code=True)
    decoders = build_decoders(network, 32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stage = PretrainingStage("", "", Layer(network, index, decoders[index]), whole, 12)
    losses = run_all_epochs(stage)
    assert losses[-1] < 0.7 * losses[0]
    moved = {name for name, value in network.state_dict().items() if (value != before[name]).any()}
    layer = layers_of(network)[index]
    own = {id(value) for value in layer.state_dict(keep_vars=True).values()}
    named = network.state_dict(keep_vars=True)
    assert moved
    assert moved <= {name for name, value in named.items() if id(value) in own}


def test_contrast_brings_views_of_a_picture_together_and_moves_no_head(pictures):
    whole = material(pictures)
    torch.manual_seed(0)
    network = build_network(3, whole.recipe, has_code=True)
    heads = [network.label_head.weight.clone(), network.code_head.weight.clone()]
    objective = Contrast(network, build_projection(network.content_dim))
    stage = PretrainingStage("", "", objective, whole, 15)
    losses = run_all_epochs(stage)
    assert losses[-1] < losses[0] - 0.3
    assert (network.label_head.weight == heads[0]).all()
    assert (network.code_head.weight == heads[1]).all()


@pytest.fixture(scope="module", params=["layerwise", "contrastive"])
def pretrained(request, tmp_path_factory):
    torch.set_num_threads(1)
    recipe = replace(PRETRAINED, pretraining=request.param)
    out = tmp_path_factory.mktemp(request.param) / "toy"
    return learn(boxes(20), out, recipe), out, recipe


def test_the_log_and_the_card_tell_of_pre_training(pretrained):
    card, out, recipe = pretrained
    stages = (
        ["layer 1"] * 2 + ["layer 2"] * 2
        if recipe.pretraining == "layerwise"
        else (["contrastive"] * 3)
    )
    lines = (out / HISTORY).read_text().splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == [*stages, "network"]
    column = lines[0].split(",").index("pretraining_loss")
    assert all(float(line.split(",")[column]) > 0 for line in lines[1:-1])
    assert card.training_data["epochs"]["network"] == 1


@pytest.mark.parametrize("n_pictures", [pytest.param(10, marks=pytest.mark.slow), 40])
def test_pre_training_continues_to_the_same_bits(pretrained, tmp_path, n_pictures):
    _, whole, recipe = pretrained
    out = tmp_path / "toy"
    # The progress counts tasks that say "Learning"; here those of pre-training count too.
    with pytest.raises(Stopped):
        learn(boxes(20), out, recipe, progress=StopAfterAnything(n_pictures))
    learn(boxes(20), out, recipe, resume=True)
    assert (out / NETWORK).read_bytes() == (whole / NETWORK).read_bytes()


class StopAfterAnything(StopAfter):
    def task(self, description, total=None, unit="images"):
        super().task(description, total, unit)
        self.counts = not description.startswith("Reading")
        return self


@pytest.mark.slow
def test_pre_training_changes_what_is_learned(pretrained, tmp_path):
    _, whole, recipe = pretrained
    learn(boxes(20), tmp_path / "toy", replace(recipe, pretraining=None, pretraining_epochs=None))
    plain, other = embeddings(tmp_path / "toy"), embeddings(whole)
    assert not np.allclose(plain["content"], other["content"])


def test_a_share_of_labels_is_drawn_by_the_seed_and_kept_apart(pictures):
    few = material(pictures, label_share=0.25).labeled()
    again = material(pictures, label_share=0.25).labeled()
    other = material(pictures, label_share=0.25, seed=1).labeled()
    assert len(few.pictures) == 6
    np.testing.assert_array_equal(few.pictures.rows, again.pictures.rows)
    assert list(few.pictures.rows) != list(other.pictures.rows)
    assert len(set(few.pictures.rows)) == 6
    positions = torch.tensor([4, 1])
    rows = torch.from_numpy(few.pictures.rows[[4, 1]])
    for take in ("take_pixels", "take_label_maps", "take_labels"):
        found, expected = getattr(few.pictures, take)(positions), getattr(pictures, take)(rows)
        torch.testing.assert_close(found, expected)
    assert len(material(pictures, label_share=1e-3).labeled().pictures) == 2


def test_pre_training_sees_all_pictures_and_the_rest_only_the_labeled(tmp_path):
    recipe = replace(PRETRAINED, pretraining="contrastive", label_share=0.2, code_weight=1.0)
    card = learn(boxes(40), tmp_path / "toy", recipe)
    data = card.training_data
    assert data["pictures"] + data["held_out_pictures"] == 40
    assert data["labeled_pictures"] == round(0.2 * data["pictures"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretraining": "dreams"}, "choose one of: layerwise, contrastive"),
        ({"pretraining_epochs": 3}, "pretraining_epochs is 3, but there is no pretraining"),
        ({"label_share": 0.0}, "label_share must be above 0, got 0"),
        ({"label_share": 1.5}, "label_share must be between 0 and 1"),
        ({"image_size": 227}, "image_size must be a multiple of 32, got 227; use 224"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**changes)


def test_alexnet_may_have_its_own_size():
    assert Recipe(backbone="alexnet", image_size=227).image_size == 227
