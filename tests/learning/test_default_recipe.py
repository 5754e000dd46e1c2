import pytest

from lookalike.datasets import open_dataset
from lookalike.datasets.union import n_targets_of
from lookalike.errors import UsageError
from lookalike.learning.default_recipe import (
    DEFAULT_RECIPE,
    PARTS,
    TEACHER,
    default_training,
    is_learned_theme,
)

LEARNED = (
    *("17", "20", "34", "101", "109", "113", "119", "121", "122", "131"),
    *("143", "144", "161", "173", "174", "182", "183", "189", "276", "335"),
)


def test_the_learned_half_of_the_themes_is_fixed():
    assert all(is_learned_theme(theme) for theme in LEARNED)


def test_missing_parts_are_named(tmp_path):
    (tmp_path / "coco").mkdir()
    with pytest.raises(UsageError, match="lacks clothing, corel, tiny-imagenet; the default"):
        default_training(tmp_path, None)


def test_missing_networks_are_named(tmp_path):
    for part in PARTS:
        (tmp_path / "data" / part).mkdir(parents=True)
    with pytest.raises(UsageError, match=rf"no {TEACHER} in .*models or .*with --models"):
        default_training(tmp_path / "data", None)


@pytest.mark.data
@pytest.mark.slow
def test_measured_themes_and_held_back_pictures_are_never_learned(photographs):
    themes = open_dataset(f"{photographs / 'corel'}@theme")
    assert sorted(filter(is_learned_theme, themes.classes)) == sorted(LEARNED)
    assert len(themes.classes) == 40
    training = default_training(photographs, None)
    learned = set(training.dataset.names)
    measured = {
        f"corel#learned/{name}"
        for i, name in enumerate(themes.names)
        if themes.classes[themes[i].labels[0]] not in LEARNED
    }
    assert len(measured) == 2000
    assert not learned & measured
    held_back = {f"coco#train/{name}" for name in open_dataset(photographs / "coco#test").names}
    assert not learned & held_back
    assert sum(name.startswith("coco#train/") for name in learned) > 200
    assert n_targets_of(training.dataset) == 80
    assert training.recipe is DEFAULT_RECIPE
