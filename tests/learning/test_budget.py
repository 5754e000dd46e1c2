"""Trainings that have to end in time: measured first, shortened alike, refused if too short."""

from dataclasses import replace

import pytest
import torch
from tiny_trainings import TINY

from lookalike.datasets import open_dataset
from lookalike.errors import UsageError
from lookalike.learning import budget
from lookalike.learning.budget import Plan, fitted, planned
from tests.small_sets import write_masks


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return open_dataset(write_masks(tmp_path_factory.mktemp("sets") / "shapes", 20))


@pytest.fixture
def trial():
    """What a trial may have measured."""
    passed = {"self-encoder": 0.5, "network": 1.0, "joint": 1.5}
    return budget._Trial(n=18, passed=passed, reading=0.2, n_read=20, rest=3.0, total=6.0)


@pytest.fixture
def fit(shapes, monkeypatch, tmp_path):
    """Plan with what a trial is said to have measured."""

    def plan(trial, minutes, recipe=TINY):
        monkeypatch.setattr(budget, "_tried", lambda *words: trial)
        return fitted(shapes, recipe, minutes, tmp_path / "trial")

    return plan


@pytest.mark.slow
def test_a_trial_measures_a_pass_of_each_part(shapes, tmp_path):
    torch.set_num_threads(1)
    trial = budget._tried(shapes, TINY, tmp_path / "trial", None, budget.NO_GUIDES, budget.SILENT)
    assert set(trial.passed) == {"self-encoder", "network", "joint"}
    assert all(seconds > 0 for seconds in trial.passed.values())
    assert 0 < trial.reading < trial.total
    assert trial.rest > 0
    assert not (tmp_path / "trial").exists()


def test_what_fits_is_left_as_it_is(trial, fit):
    plan = fit(trial, 600.0)
    assert (plan.recipe.epochs, plan.recipe.self_encoder_epochs) == (4, 2)
    assert plan.passes == {"self-encoder": 2, "network": 4}
    assert Plan.from_json(plan.to_json()) == plan


def test_what_does_not_fit_is_shortened_alike_and_then_fits(trial, fit):
    slow = replace(trial, passed=dict.fromkeys(trial.passed, 6.0), rest=10.0, total=20.0)
    long = replace(TINY, epochs=100, self_encoder_epochs=50)
    plan = fit(slow, 5.0, long)
    n, m = plan.recipe.epochs, plan.recipe.self_encoder_epochs
    assert 2 <= n < 100
    assert abs(n - 2 * m) <= 1
    assert slow.total + plan.expected_seconds <= 300
    longer = fit(slow, 6.0, long)
    assert longer.recipe.epochs > n
    tried_long = replace(slow, total=100.0)  # the trial itself counts
    assert fit(tried_long, 5.0, long).recipe.epochs < n


def test_pre_training_is_shortened_with_the_rest(trial, fit):
    passed = {"hints apart": 6.0, "hints in a row": 9.0, "self-encoder": 3.0, "network": 6.0}
    slow = replace(trial, passed=passed, rest=10.0, total=20.0)
    few = replace(
        TINY, epochs=2, self_encoder_epochs=4, pretraining="hints", pretraining_epochs=6,
        teacher_weight=1.0,
    )  # fmt: skip
    whole = fit(slow, 600.0, few)
    assert whole.passes == {"pretraining": 6, "self-encoder": 4, "network": 2}
    assert budget.is_whole(whole, few, 18)
    # Passes of the slowest stage of pre-training count for all of it.
    assert whole.expected_seconds == pytest.approx(6 * 9 + 4 * 3 + 2 * 6 + whole.overhead)
    short = fit(slow, (20.0 + 1.1 * (whole.expected_seconds - 15)) / 60, few)
    assert 2 <= short.recipe.pretraining_epochs < 6
    assert not budget.is_whole(short, few, 18)
    assert short.expected_seconds <= whole.expected_seconds - 15 + 1e-6


def test_what_can_not_fit_is_refused_with_what_would(trial, fit):
    slow = replace(trial, passed=dict.fromkeys(trial.passed, 90.0))
    with pytest.raises(UsageError, match=r"1 minutes are too few .* give about [4-9]"):
        fit(slow, 1.0)


def test_without_a_limit_the_passes_are_those_of_the_recipe(shapes):
    assert planned(shapes, TINY).passes == {"self-encoder": 2, "network": 4}
    assert planned(shapes, replace(TINY, pretraining="contrastive")).passes == {}
    assert planned(shapes, TINY).expected_seconds is None
