"""The whole idea in one command: learn, index, search, measure, and see it.

Two models are learned from the same generated scenes, with the same network, steps and seed: one
with self-encoding, one without. Both index a gallery of scenes that neither has seen, both answer
the same queries, and the answers are compared query by query.
"""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.datasets import Dataset, open_dataset
from lookalike.datasets.scenes import write_scenes
from lookalike.errors import UsageError
from lookalike.evaluation.measurements import Comparison, Evaluation, compare
from lookalike.evaluation.protocol import System, evaluate
from lookalike.evaluation.report import write_comparison
from lookalike.evaluation.truth import ground_truth
from lookalike.judging import CollectionSystem, ids_by_hash, same_pictures
from lookalike.learning.recipes import demo_recipe, learn
from lookalike.model_folder import ModelCard
from lookalike.progress import SILENT, Progress

MARKER: Final = "demo.json"
"""Tells a folder made by the demo, which may be made anew, from a person's own."""

BOTH: Final = "content + layout"
CONTENT: Final = "content alone"
WITHOUT: Final = "no self-encoding"
"""The systems: the model with self-encoding by both of its descriptors and by `content` alone, and
the `content` of the model without, which has no other."""

WITH_STEM: Final = "with"
WITHOUT_STEM: Final = "without"
"""The two models in file names."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much the demo does.

    Attributes:
        learn_scenes: Scenes to learn from.
        gallery_scenes: Scenes to search among; queries are drawn from them.
        queries: Largest number of queries.
    """

    learn_scenes: int
    gallery_scenes: int
    queries: int


FULL: Final = Scale(learn_scenes=2000, gallery_scenes=1000, queries=500)
QUICK: Final = Scale(learn_scenes=500, gallery_scenes=300, queries=300)


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demo measured and wrote.

    Attributes:
        evaluations: By system: `BOTH`, `CONTENT`, `WITHOUT`.
        comparisons: Each of the first two minus the last.
        cards: Model card of each model, by its name in file names.
        folder: Where everything lies.
        report: The HTML report.
        seconds: Duration.
    """

    evaluations: Mapping[str, Evaluation]
    comparisons: Mapping[str, Comparison]
    cards: Mapping[str, ModelCard]
    folder: Path
    report: Path
    seconds: float

    @property
    def sheet(self) -> Path:
        """The contact sheet of example queries."""
        return self.report.with_name("contact_sheet.png")

    def to_json(self) -> dict[str, Any]:
        """Everything a program would want to know."""
        return {
            "systems": {name: found.to_json() for name, found in self.evaluations.items()},
            "comparisons": {name: found.to_json() for name, found in self.comparisons.items()},
            "learned": {name: dict(card.measured) for name, card in self.cards.items()},
            "folder": str(self.folder),
            "report": str(self.report),
            "contact_sheet": str(self.sheet),
            "seconds": self.seconds,
        }


def run_demo(
    folder: Path, *, quick: bool = False, seed: int = 0, progress: Progress = SILENT
) -> DemoResult:
    """Run the demo in a folder of its own.

    Args:
        folder: Made anew; an earlier demo there is replaced, anything else is left alone.
        quick: Do less of everything, to see in a minute and a half that it works.
        seed: Seed of scenes, training and queries.
        progress: Told of every step.

    Raises:
        UsageError: If the folder exists and is not an earlier demo.
        MissingExtraError: If PyTorch is not installed.
    """
    started = time.monotonic()
    scale = QUICK if quick else FULL
    _clear(folder)
    write_scenes(folder / "learn", scale.learn_scenes, 1000 + seed, progress=progress)
    write_scenes(folder / "gallery", scale.gallery_scenes, 2000 + seed, progress=progress)
    gallery = open_dataset(folder / "gallery")
    cards = _learn_both(folder, open_dataset(folder / "learn"), quick, seed, progress)
    collections = {stem: _index(folder, stem, progress) for stem in cards}
    reference = collections[WITH_STEM]
    truth = ground_truth(gallery, ids_by_hash(reference, gallery), progress=progress)
    systems: dict[str, System] = {
        BOTH: CollectionSystem(reference),
        CONTENT: CollectionSystem(reference, {"content": 1.0}),
        WITHOUT: same_pictures(collections[WITHOUT_STEM], truth, reference),
    }
    found = {
        name: evaluate(system, truth, n_queries=scale.queries, seed=seed, progress=progress)
        for name, system in systems.items()
    }
    report = write_comparison(
        folder / "report",
        found,
        truth,
        reference.picture,
        title="Lookalike demo",
        subtitle=f"{len(truth)} generated scenes that no model has seen, {scale.queries} queries",
    )
    result = DemoResult(
        evaluations=found,
        comparisons={name: compare(found[name], found[WITHOUT]) for name in (BOTH, CONTENT)},
        cards=cards,
        folder=folder,
        report=report,
        seconds=time.monotonic() - started,
    )
    text = json.dumps(result.to_json(), indent=2) + "\n"
    write_atomically(folder / MARKER, text.encode())
    return result


def _clear(folder: Path) -> None:
    if (folder / MARKER).is_file():
        shutil.rmtree(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} exists and is no earlier demo; choose another folder with --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    # From here on the folder is known as a demo's, even if this one is interrupted.
    write_atomically(folder / MARKER, b"{}\n")


def _learn_both(
    folder: Path, scenes: Dataset, quick: bool, seed: int, progress: Progress
) -> dict[str, ModelCard]:
    return {
        stem: learn(
            scenes,
            folder / f"model-{stem}",
            demo_recipe(quick, seed=seed, code_weight=weight),
            progress=progress,
        )
        for stem, weight in ((WITH_STEM, 1.0), (WITHOUT_STEM, 0.0))
    }


def _index(folder: Path, stem: str, progress: Progress) -> Collection:
    model = folder / f"model-{stem}"
    collection = Collection.create(folder / f"gallery-{stem}.lookalike", model=model)
    collection.add(folder / "gallery" / "images", progress=progress)
    return collection
