"""A training that was stopped or killed goes on to the same bits."""

from dataclasses import replace

import pytest
from killing import kill_at
from tiny_trainings import TINY, Listener, StopAfter, Stopped
from toy_pictures import boxes

from lookalike.errors import UsageError
from lookalike.learning.checkpoints import CHECKPOINT, load_checkpoint
from lookalike.learning.recipes import learn
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER, read_card


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


@pytest.mark.slow
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
