import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from killing import kill_at
from toy_pictures import ToyDataset, boxes, draw_boxes, labeled, single_boxes

from lookalike.errors import DatasetError, EnvironmentFault, UsageError
from lookalike.learning.checkpoints import CHECKPOINT, load_checkpoint
from lookalike.learning.history import CURVES, HISTORY
from lookalike.learning.recipes import Recipe, learn
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER, check_files, read_card

TINY = Recipe(
    image_size=32,
    grid=16,
    code_dim=8,
    content_dim=12,
    batch_size=8,
    epochs=4,
    self_encoder_epochs=2,
    joint_share=0.5,
    device="cpu",
    precision="float32",
)


class Stopped(Exception):
    """What a test throws into a running training."""


class StopAfter:
    """A progress that throws when so many pictures have been learned."""

    def __init__(self, n):
        self.left = n

    def task(self, description, total=None, unit="images"):
        self.counts = description.startswith("Learning")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def advance(self, n=1):
        if self.counts:
            self.left -= n
            if self.left < 0:
                raise Stopped

    def expect(self, total):
        pass

    def note(self, text):
        pass


class Listener(StopAfter):
    """Remembers what was shown."""

    def __init__(self):
        super().__init__(10**9)
        self.tasks, self.notes = [], []

    def task(self, description, total=None, unit="images"):
        self.tasks.append(description)
        return super().task(description, total, unit)

    def note(self, text):
        self.notes.append(text)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def embeddings(folder):
    rng = np.random.default_rng(0)
    return run(folder / NETWORK, images=rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("models") / "toy"
    listener = Listener()
    card = learn(boxes(20), out, TINY, progress=listener)
    return out, card, listener


def test_a_model_folder_is_complete_and_described(trained):
    out, card, _ = trained
    assert read_card(out) == card
    check_files(out, card)
    assert set(card.files) == {NETWORK, SELF_ENCODER, SELF_DECODER, HISTORY, CURVES}
    assert (card.image_size, card.grid, card.content_dim, card.code_dim) == (32, 16, 12, 8)
    assert card.classes == ("red", "green", "blue")
    assert Recipe(**card.recipe) == TINY
    assert card.training_data["epochs"] == {"self-encoder": 2, "network": 2, "joint": 2}
    assert card.training_data["pictures"] + card.training_data["held_out_pictures"] == 20


def test_the_card_tells_what_was_measured(trained):
    _, card, _ = trained
    assert {
        "label_map",
        "label_f",
        "reconstruction_miou",
        "reconstruction_class_miou",
        "predicted_miou",
        "predicted_class_miou",
        "parity_max_difference",
        "parity_min_cosine",
    } == set(card.measured)
    assert all(np.isfinite(figure) for figure in card.measured.values())


def test_nothing_is_left_beside_the_model(trained):
    out, _, _ = trained
    assert [path.name for path in out.parent.iterdir()] == ["toy"]


def test_the_log_has_a_line_per_epoch(trained):
    out, _, _ = trained
    lines = (out / HISTORY).read_text().splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == (
        ["self-encoder"] * 2 + ["network"] * 2 + ["joint"] * 2
    )


def test_progress_shows_stages_and_losses(trained):
    _, _, listener = trained
    assert listener.tasks == [
        "Reading pictures",
        "Reading pictures",
        "Learning label maps",
        "Learning labels and codes",
    ]
    assert "label 0." in listener.notes[-1]
    assert "code " in listener.notes[-1]


def test_the_same_seed_gives_the_same_model_and_another_seed_another(trained, tmp_path):
    out, _, _ = trained
    learn(boxes(20), tmp_path / "twin", TINY)
    learn(boxes(20), tmp_path / "other", replace(TINY, seed=1))
    for name in (NETWORK, SELF_ENCODER, SELF_DECODER):
        assert (tmp_path / "twin" / name).read_bytes() == (out / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (out / name).read_bytes()


def test_the_random_state_of_the_caller_is_not_touched(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learn(boxes(20), tmp_path / "model", replace(TINY, epochs=1, self_encoder_epochs=1))
    torch.testing.assert_close(torch.rand(3), expected)


# Of the pictures kept to learn from, 16 fill batches of 8 in each of 2 + 2 + 2 epochs.
@pytest.mark.parametrize(
    "n_pictures",
    [pytest.param(5, marks=pytest.mark.slow), 20, pytest.param(50, marks=pytest.mark.slow), 90],
)
def test_a_run_that_was_stopped_continues_to_the_same_bits(trained, tmp_path, n_pictures):
    out = tmp_path / "toy"
    with pytest.raises(Stopped):
        learn(boxes(20), out, TINY, progress=StopAfter(n_pictures))
    assert not out.exists()
    learn(boxes(20), out, TINY, resume=True)
    for name in (NETWORK, SELF_ENCODER, SELF_DECODER):
        assert (out / name).read_bytes() == (trained[0] / name).read_bytes()


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("learning.epoch:1", marks=pytest.mark.slow),
        "learning.epoch:4",
        pytest.param("learning.epoch:6", marks=pytest.mark.slow),
        pytest.param("learning.model.written:1", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_killed_continues_to_the_same_bits(trained, tmp_path, place):
    out = tmp_path / "toy"
    kill_at(place, lambda: learn(boxes(20), out, TINY))
    assert not out.exists()
    learn(boxes(20), out, TINY, resume=True)
    for name in (NETWORK, SELF_ENCODER, SELF_DECODER):
        assert (out / name).read_bytes() == (trained[0] / name).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_run_killed_after_its_model_was_finished_has_nothing_more_to_learn(trained, tmp_path):
    out = tmp_path / "toy"
    kill_at("learning.model.renamed:1", lambda: learn(boxes(20), out, TINY))
    listener = Listener()
    card = learn(boxes(20), out, TINY, resume=True, progress=listener)
    assert card == read_card(out)
    assert listener.tasks == []
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_resuming_in_bfloat16_gives_the_same_bits(tmp_path):
    recipe = replace(TINY, precision="bfloat16", epochs=2, self_encoder_epochs=1)
    learn(boxes(20), tmp_path / "whole", recipe)
    with pytest.raises(Stopped):
        learn(boxes(20), tmp_path / "resumed", recipe, progress=StopAfter(40))
    learn(boxes(20), tmp_path / "resumed", recipe, resume=True)
    whole, resumed = tmp_path / "whole" / NETWORK, tmp_path / "resumed" / NETWORK
    assert whole.read_bytes() == resumed.read_bytes()


def stopped_run(tmp_path):
    with pytest.raises(Stopped):
        learn(boxes(20), tmp_path / "toy", TINY, progress=StopAfter(40))
    return tmp_path / "toy"


def test_an_unfinished_run_is_not_overwritten_by_accident(tmp_path):
    out = stopped_run(tmp_path)
    with pytest.raises(UsageError, match=r"toy\.training holds an unfinished training; continue"):
        learn(boxes(20), out, TINY)
    assert load_checkpoint(tmp_path / "toy.training")["epochs"] == 2


def test_resuming_with_another_recipe_is_refused_and_names_the_difference(tmp_path):
    out = stopped_run(tmp_path)
    with pytest.raises(
        UsageError, match=r"another recipe \(learning_rate 0\.002 and 0\.1, seed 0 "
    ):
        learn(boxes(20), out, replace(TINY, seed=3, learning_rate=0.1), resume=True)


def test_resuming_with_other_pictures_is_refused(tmp_path):
    out = stopped_run(tmp_path)
    with pytest.raises(UsageError, match="begun with other training pictures than toy boxes has"):
        learn(boxes(60), out, TINY, resume=True)


def test_resuming_a_finished_model_with_another_recipe_is_refused(trained):
    with pytest.raises(UsageError, match=r"toy was begun with another recipe \(seed 0 and 9\)"):
        learn(boxes(20), trained[0], replace(TINY, seed=9), resume=True)


def test_a_damaged_checkpoint_is_told(tmp_path):
    out = stopped_run(tmp_path)
    (tmp_path / "toy.training" / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"checkpoint\.pt is damaged"):
        learn(boxes(20), out, TINY, resume=True)


def test_an_existing_model_is_not_overwritten(trained):
    with pytest.raises(UsageError, match="toy exists already; choose another place"):
        learn(boxes(20), trained[0], TINY)


def test_resuming_what_never_began_begins(tmp_path):
    recipe = replace(TINY, epochs=1, self_encoder_epochs=1)
    assert learn(boxes(20), tmp_path / "toy", recipe, resume=True).code_dim == 8


def test_without_code_weight_the_same_network_is_trained_without_layout(tmp_path):
    card = learn(boxes(20), tmp_path / "plain", replace(TINY, code_weight=0.0))
    assert (card.code_dim, card.grid) == (0, 0)
    assert set(card.files) == {NETWORK, HISTORY, CURVES}
    assert card.training_data["epochs"] == {"network": 4}
    assert set(embeddings(tmp_path / "plain")) == {"content", "labels"}


def test_sets_without_label_maps_train_labels_alone_and_say_so(tmp_path):
    listener = Listener()
    card = learn(single_boxes(20), tmp_path / "single", TINY, progress=listener)
    assert (card.code_dim, card.is_single_label) == (0, True)
    assert not card.training_data["has_label_maps"]
    assert any("without label maps" in task for task in listener.tasks)
    labels = embeddings(tmp_path / "single")["labels"]
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("control", "epochs"),
    [
        ("shuffled", {"self-encoder": 2, "network": 2, "joint": 2}),
        # Random numbers say nothing about label maps, so the self-encoder stays as it is.
        ("noise", {"self-encoder": 2, "network": 4}),
    ],
)
def test_controls_take_as_many_steps_on_wrong_codes(trained, tmp_path, control, epochs):
    card = learn(boxes(20), tmp_path / control, replace(TINY, code_control=control))
    assert card.code_dim == 8
    assert card.training_data["epochs"] == epochs
    assert not np.allclose(
        embeddings(tmp_path / control)["layout"], embeddings(trained[0])["layout"]
    )


ALL_KINDS = [
    {"self_encoder": "dense", "map_input": "one-hot"},
    {"self_encoder": "dense", "tied_weights": True, "reconstruction_loss": "squared"},
    {"self_encoder": "denoising"},
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
        ({"self_encoder": "wake-sleep"}, [*LAYERS, "wake-sleep"], 100),
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


def test_validation_pictures_are_measured_and_not_learned(tmp_path):
    recipe = replace(TINY, epochs=1, self_encoder_epochs=1)
    card = learn(boxes(20), tmp_path / "toy", recipe, validate=boxes(12, seed=9))
    assert card.training_data["pictures"] == 20
    assert card.training_data["held_out_pictures"] == 12


def test_validation_with_other_classes_is_refused(tmp_path):
    other = boxes(5, classes=("a", "b", "c"))
    with pytest.raises(DatasetError, match="has other classes than toy boxes"):
        learn(boxes(20), tmp_path / "toy", TINY, validate=other)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_pictures_are_refused(tmp_path, n):
    with pytest.raises(DatasetError, match=f"toy boxes has {n} pictures to learn from; at least 2"):
        learn(boxes(n), tmp_path / "toy", TINY, validate=boxes(3))


def test_two_pictures_are_enough(tmp_path):
    learn(boxes(2), tmp_path / "toy", replace(TINY, epochs=1), validate=boxes(2, seed=1))


def test_sets_without_classes_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="has no classes; there is nothing to learn"):
        learn(boxes(4, classes=()), tmp_path / "toy", TINY)


def test_pictures_that_cannot_be_read_are_named_in_the_card(tmp_path):
    rng = np.random.default_rng(0)
    images = [labeled(f"{i}.png", draw_boxes(rng)) for i in range(12)]
    images.append(labeled("broken.png", draw_boxes(rng), data=b"no picture"))
    recipe = replace(TINY, epochs=1, self_encoder_epochs=1)
    card = learn(ToyDataset(images), tmp_path / "toy", recipe, validate=boxes(3))
    assert len(card.training_data["unreadable"]) == 1
    assert card.training_data["unreadable"][0].startswith("broken.png: ")


def test_label_maps_of_nothing_but_void_do_no_harm(tmp_path):
    images = [labeled(f"{i}.png", np.full((48, 48), 255, np.uint8)) for i in range(9)]
    recipe = replace(TINY, epochs=1, self_encoder_epochs=1)
    card = learn(ToyDataset(images), tmp_path / "toy", recipe, validate=boxes(3))
    assert np.isfinite(next(iter(embeddings(tmp_path / "toy").values()))).all()
    assert all(np.isfinite(figure) for figure in card.measured.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_a_fault_of_the_machine(tmp_path):
    with pytest.raises(EnvironmentFault, match="'cuda' was asked for, but this PyTorch finds no"):
        learn(boxes(20), tmp_path / "toy", replace(TINY, device="cuda"))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match=r"could not be written: Not a directory"):
        learn(boxes(20), tmp_path / "file" / "toy", TINY)


def test_the_card_is_plain_json(trained):
    content = json.loads((trained[0] / "card.json").read_text())
    assert content["recipe"]["code_weight"] == 1.0
