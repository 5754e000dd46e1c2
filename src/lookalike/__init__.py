"""Lookalike finds pictures by what is in them and where it is.

The names below are the public ones. Each is loaded when it is first used, so that the command line
starts fast and nobody pays for what is not needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.datasets.base import Dataset, LabeledImage
    from lookalike.datasets.opening import open_dataset
    from lookalike.errors import LookalikeError
    from lookalike.evaluation.measurements import Evaluation, compare
    from lookalike.features.model import Model
    from lookalike.gathering.ingest import IngestReport
    from lookalike.index.base import Hits
    from lookalike.judging import judge
    from lookalike.learning.recipes import Recipe, learn
    from lookalike.model_folder import ModelCard
    from lookalike.search.queries import (
        FileExample,
        IdExample,
        PixelsExample,
        Query,
        TextExample,
    )

__version__ = "0.1.0"

__all__ = [
    "Collection",
    "Dataset",
    "Evaluation",
    "FileExample",
    "Hits",
    "IdExample",
    "IngestReport",
    "LabeledImage",
    "LookalikeError",
    "Model",
    "ModelCard",
    "PixelsExample",
    "Query",
    "Recipe",
    "TextExample",
    "compare",
    "judge",
    "learn",
    "open_dataset",
]

_HOMES = {
    "Collection": "collection",
    "Dataset": "datasets.base",
    "Evaluation": "evaluation.measurements",
    "FileExample": "search.queries",
    "Hits": "index.base",
    "IdExample": "search.queries",
    "IngestReport": "gathering.ingest",
    "LabeledImage": "datasets.base",
    "LookalikeError": "errors",
    "Model": "features.model",
    "ModelCard": "model_folder",
    "PixelsExample": "search.queries",
    "Query": "search.queries",
    "Recipe": "learning.recipes",
    "TextExample": "search.queries",
    "compare": "evaluation.measurements",
    "judge": "judging",
    "learn": "learning.recipes",
    "open_dataset": "datasets.opening",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lookalike.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
