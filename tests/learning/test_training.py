import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_trainings import TINY, Listener, embeddings
from toy_pictures import ToyDataset, boxes, draw_boxes, labeled, single_boxes

from lookalike.errors import DatasetError, EnvironmentFault
from lookalike.learning.history import CURVES, HISTORY
from lookalike.learning.recipes import Recipe, learn
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER, check_files, read_card


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
