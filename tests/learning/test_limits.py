"""Passes that are settled before a training, kept while it goes on, and known again afterwards."""

from dataclasses import replace

import pytest
from tiny_trainings import TINY

from lookalike.datasets import open_dataset
from lookalike.datasets.union import join, thin_out
from lookalike.errors import UsageError
from lookalike.learning import budget
from lookalike.learning.limits import forget, settle
from tests.small_sets import write_masks

LONG = replace(TINY, epochs=100, self_encoder_epochs=50)


@pytest.fixture
def shapes(tmp_path):
    return open_dataset(write_masks(tmp_path / "shapes", 20))


@pytest.fixture
def tries(monkeypatch):
    """Counts trials, each said to have measured three seconds a pass."""
    made = []

    def tried(*words):
        made.append(words)
        passed = {"self-encoder": 1.5, "network": 3.0}
        return budget._Trial(n=18, passed=passed, reading=0.2, n_read=20, rest=3.0, total=6.0)

    monkeypatch.setattr(budget, "_tried", tried)
    return made


def test_a_run_that_goes_on_has_the_passes_it_began_with(shapes, tries, tmp_path):
    out = tmp_path / "model"
    begun = settle(shapes, out, LONG, 2.0)
    assert 1 < begun.recipe.epochs < 100
    (tmp_path / "model.training").mkdir()
    assert settle(shapes, out, LONG, 2.0, resume=True) == begun
    assert len(tries) == 1
    other = settle(shapes, out, replace(LONG, seed=7), 2.0, resume=True)
    assert other.recipe == replace(begun.recipe, seed=7)  # which `learn` refuses by name
    with pytest.raises(UsageError, match="begun with --minutes 2, which settled its passes"):
        settle(shapes, out, LONG, 3.0, resume=True)
    forget(out)
    with pytest.raises(UsageError, match="begun without --minutes"):
        settle(shapes, out, LONG, 2.0, resume=True)
    assert len(tries) == 1


def test_what_was_not_begun_is_settled_although_it_is_to_go_on(shapes, tries, tmp_path):
    assert settle(shapes, tmp_path / "model", LONG, 2.0, resume=True).recipe.epochs < 100


def test_nothing_is_tried_where_nothing_can_be_learned(shapes, tries, tmp_path):
    with pytest.raises(UsageError, match="0 minutes are no time"):
        settle(shapes, tmp_path / "model", LONG, 0.0)
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        settle(shapes, tmp_path / "there", LONG, 2.0)
    (tmp_path / "half.training").mkdir()
    with pytest.raises(UsageError, match="unfinished training"):
        settle(shapes, tmp_path / "half", LONG, 2.0)
    assert tries == []


def test_more_pictures_to_measure_on_leave_time_for_fewer_passes(shapes, tries, tmp_path):
    few = settle(shapes, tmp_path / "a", LONG, 2.0)
    others = open_dataset(write_masks(tmp_path / "others", 60))
    many = settle(shapes, tmp_path / "b", LONG, 2.0, validate=others)
    assert many.recipe.epochs < few.recipe.epochs
    assert many.overhead > few.overhead


def test_a_trial_learns_from_each_of_several_sets(shapes, tmp_path):
    other = open_dataset(write_masks(tmp_path / "other", 60))
    whole = join([shapes, other])
    part = thin_out(whole, 20)
    assert [(each.name, each.n) for each in part.sources] == [("shapes", 5), ("other", 15)]
    assert (part.classes, part.n_targets) == (whole.classes, whole.n_targets)
    assert set(part.names) < set(whole.names)
    assert thin_out(shapes, 20) is shapes
