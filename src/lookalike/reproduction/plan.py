"""What is repeated, and how much of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lookalike.datasets.coco import Level
from lookalike.errors import UsageError
from lookalike.learning.recipes import Recipe

SECTIONS: Final = ("figure3", "table1", "figure4", "table2", "table3", "ablations")
"""In the order of the report."""

PROPOSED: Final = "self-encoding"
PLAIN: Final = "no self-encoding"
SEGMENTED: Final = "segmentation head"

ABLATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    PROPOSED: {},
    PLAIN: {"code_weight": 0.0},
    "codes shuffled": {"code_control": "shuffled"},
    "codes of noise": {"code_control": "noise"},
    "pooled masks, PCA": {"code_target": "pooled-masks"},
    SEGMENTED: {"code_weight": 0.0, "segmentation_weight": 1.0},
    "frozen trunk": {"is_trunk_frozen": True},
}
"""Ablations: name → how the recipe differs. All have the trunk of the proposed features."""

LETTERS: Final[Mapping[str, str]] = dict(zip(list(ABLATIONS)[1:], "abcdef", strict=True))

NETWORKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "AlexNet": {"code_weight": 0.0, "backbone": "alexnet"},
    "CNN-F": {"code_weight": 0.0, "backbone": "cnn-f"},
    "CNN-S": {"code_weight": 0.0, "backbone": "cnn-s"},
    "NIN": {"code_weight": 0.0, "backbone": "nin"},
    "ZF": {"code_weight": 0.0, "backbone": "zf"},
}
"""The networks that the paper compares with: name shown → how the recipe differs."""

CLUSTERS: Final = (5, 10, 20, 40, 80, 160, 320)
TABLE_2_CLUSTERS: Final = 20
N_RETURNED: Final = (2, 5, 8, 10)
MIXTURES: Final = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""Values of β, the share of `layout` in a mixture with `content`."""
MIXTURE: Final = 0.2
"""The one in tables: `layout` weighs a quarter of `content`, as by default in a search."""

_RANGES: Final = {
    "n_scenes": (40, 100_000),
    "epochs": (1, 100_000),
    "self_encoder_epochs": (1, 100_000),
    "n_queries": (2, 100_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All options of a reproduction.

    Attributes:
        dataset: What is learned from: a data set in words, or `None` for generated scenes.
        gallery: Pictures that are searched and judged; without it the data set's part `test`,
            and `train` is learned from.
        level: Whether COCO's categories are the classes or their supercategories.
        without: Classes that do not make pictures relevant, because nearly all have them.
        sections: Which of `SECTIONS`.
        seeds: Each learned model is learned once with each.
        n_scenes: Scenes to learn from; three eighths as many more are the gallery.
        epochs: Passes of each network over its pictures.
        self_encoder_epochs: Passes of the self-encoder over the label maps.
        image_size: Side of the networks' input in pixels.
        n_queries: Queries of one evaluation or run; all there are, if fewer.
        n_runs: Runs of Tables 2 and 3.
        n_draws: Draws of each number of pixels in Figure 3.
        dims: Those numbers.
        device: `cpu`, `cuda` or `auto`.

    Raises:
        UsageError: If a value makes no sense.
    """

    dataset: str | None = None
    gallery: str | None = None
    level: Level = "names"
    without: tuple[str, ...] = ()
    sections: tuple[str, ...] = SECTIONS
    seeds: tuple[int, ...] = (1, 2, 3)
    n_scenes: int = 1000
    epochs: int = 7
    self_encoder_epochs: int = 12
    image_size: int = 64
    n_queries: int = 400
    n_runs: int = 30
    n_draws: int = 200
    dims: tuple[int, ...] = (20, 50, 80, 112, 140, 170, 200, 240, 280, 340, 400, 500, 640, 784)
    device: str = "auto"

    def __post_init__(self) -> None:
        for section in self.sections:
            if section not in SECTIONS:
                raise UsageError(
                    f"{section!r} is no part of the experiments; choose from: {', '.join(SECTIONS)}"
                )
        if not self.sections or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(
                f"sections {list(self.sections)} and seeds {list(self.seeds)} leave nothing to do "
                "or do it twice; give at least one of each, and no seed twice"
            )
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(
                    f"{name} must be between {low} and {high}, got {getattr(self, name)}"
                )
        if self.gallery is not None and self.dataset is None:
            raise UsageError(
                f"gallery {self.gallery!r} was given without a data set to learn from; "
                "give both or neither"
            )
        for seed in self.seeds:
            self.recipe({}, seed)

    def recipe(self, changes: Mapping[str, Any], seed: int) -> Recipe:
        """Return the recipe of one model."""
        common = Recipe(
            image_size=self.image_size,
            epochs=self.epochs,
            self_encoder_epochs=self.self_encoder_epochs,
            device=self.device,
            seed=seed,
        )
        return replace(common, **changes)

    @property
    def n_gallery_scenes(self) -> int:
        """Scenes that are searched."""
        return self.n_scenes * 3 // 8

    def fixed(self) -> dict[str, Any]:
        """Return what must stay the same while a folder is added to: all but parts and seeds."""
        options = json.loads(json.dumps(asdict(self)))
        if not self.without:
            del options["without"]
        return {k: v for k, v in options.items() if k not in ("sections", "seeds", "device")}


def full_plan(**changes: Any) -> Plan:
    """Return the plan of the whole, about forty minutes on two cores."""
    return Plan(**changes)


def quick_plan(**changes: Any) -> Plan:
    """Return a plan of minutes: the same experiments, far too small to conclude from.

    Args:
        changes: What shall be otherwise.
    """
    small: dict[str, Any] = {
        "seeds": (1,),
        "n_scenes": 400,
        "epochs": 4,
        "self_encoder_epochs": 6,
        "n_queries": 150,
        "n_runs": 10,
        "n_draws": 20,
        "dims": (50, 112, 140, 170, 200, 280, 400, 784),
    }
    return Plan(**{**small, **changes})
