"""The model that ships with the program, for people who have pictures and no labels.

It lies in the folder `default` beside this file, a model folder like any other (`model_folder`);
how it was made and measured: docs/default-model.md.
"""

from pathlib import Path
from typing import Final

from lookalike.errors import EnvironmentFault
from lookalike.model_folder import CARD

FOLDER: Final = Path(__file__).with_name("default")
"""Where the shipped model lies."""


def default_model(folder: Path | None = None) -> Path:
    """Return the model folder that is used where none is given.

    Args:
        folder: Another place for it than `FOLDER`.

    Raises:
        EnvironmentFault: If this copy of the program came without it.
    """
    place = FOLDER if folder is None else folder
    if not (place / CARD).is_file():
        raise EnvironmentFault(
            f"no model was given, and none lies in {place}; give --model MODEL, or make the "
            f"default one: lookalike learn --recipe default DATA --out {place}"
        )
    return place
