import pytest

from lookalike.errors import UsageError
from lookalike.learning.recipes import Recipe
from lookalike.reproduction.plan import (
    ABLATIONS,
    LETTERS,
    MIXTURE,
    MIXTURES,
    NETWORKS,
    PLAIN,
    PROPOSED,
    SECTIONS,
    Plan,
    full_plan,
    quick_plan,
)


def test_the_quick_plan_does_less_of_everything_in_all_sections():
    quick, full = quick_plan(), full_plan()
    assert quick.sections == full.sections == SECTIONS
    for name in ("n_scenes", "epochs", "self_encoder_epochs", "n_queries", "n_runs", "n_draws"):
        assert getattr(quick, name) < getattr(full, name)
    assert full.n_runs == 30
    assert full.n_draws == 200
    assert len(full.seeds) == 3


def test_all_ablations_and_networks_have_recipes_of_equal_budget():
    plan = full_plan()
    recipes = {n: plan.recipe(c, 5) for n, c in {**ABLATIONS, **NETWORKS}.items()}
    assert {(r.epochs, r.image_size, r.batch_size, r.seed) for r in recipes.values()} == {
        (7, 64, 64, 5)
    }
    assert recipes[PROPOSED].learns_self_encoder
    assert not recipes[PLAIN].needs_label_maps
    assert set(NETWORKS) == {"AlexNet", "CNN-F", "CNN-S", "NIN", "ZF"}
    assert all(not recipes[name].needs_label_maps for name in NETWORKS)
    assert list(LETTERS.values()) == list("abcdef")
    assert MIXTURE in MIXTURES


def test_parts_seeds_and_device_may_change_in_a_folder_and_nothing_else():
    first = quick_plan(sections=("figure3",), seeds=(1,), device="cpu")
    second = quick_plan(sections=("table1",), seeds=(1, 2))
    assert first.fixed() == second.fixed()
    assert first.fixed() != quick_plan(n_scenes=80).fixed()
    assert first.fixed() != quick_plan(without=("person",)).fixed()
    assert "without" not in first.fixed()  # folders begun before there was such an option go on


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sections": ("table4",)}, "'table4' is no part of the experiments; choose from: figure3"),
        ({"sections": ()}, "leave nothing to do"),
        ({"seeds": ()}, "leave nothing to do"),
        ({"seeds": (1, 1)}, "or do it twice"),
        ({"n_scenes": 8}, "n_scenes must be between 40 and"),
        ({"epochs": 0}, "epochs must be between 1 and"),
        ({"n_queries": 1}, "n_queries must be between 2 and"),
        ({"gallery": "coco"}, "without a data set to learn from"),
        ({"image_size": 70}, "image_size must be a multiple of 32"),
        ({"device": "tpu"}, "choose one of: auto, cpu, cuda"),
    ],
)
def test_wrong_plans_are_refused_with_what_to_do(changes, message):
    with pytest.raises(UsageError, match=message):
        Plan(**changes)


def test_recipes_of_the_plan_are_those_of_learn():
    assert Plan().recipe({"code_weight": 0.0}, 3) == Recipe(
        image_size=64, epochs=7, self_encoder_epochs=12, code_weight=0.0, seed=3
    )
