import pytest

from lookalike.errors import EnvironmentFault
from lookalike.features.model import Model
from lookalike.learning.default_recipe import DEFAULT_RECIPE, TERMS
from lookalike.model_folder import CARD, check_files, read_card
from lookalike.models import FOLDER, default_model
from tests.tiny_model import write_tiny_model

LARGEST = 12 * 2**20


def test_the_model_is_the_folder_beside_the_code_or_another_one(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    assert default_model(tmp_path / "tiny") == tmp_path / "tiny"
    assert FOLDER.name == "default"


def test_a_missing_model_says_how_it_is_made(tmp_path):
    with pytest.raises(EnvironmentFault, match="lookalike learn --recipe default DATA --out") as e:
        default_model(tmp_path)
    assert e.value.exit_code == 3
    assert "\n" not in str(e.value)


@pytest.mark.skipif(not (FOLDER / CARD).is_file(), reason="the default model is not trained yet")
def test_the_shipped_model_is_whole_small_and_described():
    card = read_card(default_model())
    check_files(FOLDER, card)
    assert card.has_layout
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= LARGEST
    assert {"teacher", "segmenter"} <= set(card.training_data)
    assert card.recipe == DEFAULT_RECIPE.to_dict()
    assert card.training_data["terms"] == TERMS
    assert Model.open(FOLDER).id == card.id
