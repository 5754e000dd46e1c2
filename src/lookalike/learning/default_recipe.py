"""The recipe of the model that ships: which pictures, which guides, which options.

Importing this module does not import PyTorch.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike.datasets.base import ListedDataset
from lookalike.datasets.opening import open_dataset
from lookalike.datasets.union import join
from lookalike.datasets.views import FrequentClasses, OneClass, choose
from lookalike.errors import UsageError
from lookalike.learning.guides import Guides, Segmenter
from lookalike.learning.recipes import Recipe
from lookalike.progress import SILENT, Progress

PARTS: Final = ("coco", "clothing", "corel", "tiny-imagenet")
TEACHER: Final = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
SEGMENTER: Final = "deeplabv3_mnv2_pascal_quant.tflite"
SEGMENTER_LABELS: Final = "pascal_voc_segmentation_labels.txt"
_LEARNED_SHARE: Final = 0.5153
"""Twenty of the forty themes have a smaller hash than this share of all hashes."""
_FEWEST_PICTURES: Final = 5

TERMS: Final = (
    "Research data: COCO photographs under Creative Commons licenses, mostly non-commercial; "
    "clothing photographs of persons for internal use; Corel photographs for research use; "
    "ImageNet pictures for non-commercial research. Take this model for research, trials and "
    "comparison."
)

DEFAULT_RECIPE: Final = Recipe(
    image_size=128,
    shown_size=224,
    grid=32,
    code_dim=128,
    self_encoder="linear",
    content_dim=256,
    backbone="separable",
    pretraining="hints",
    pretraining_epochs=3,
    is_trunk_frozen=True,
    epochs=2,
    self_encoder_epochs=4,
    joint_share=0.0,
    batch_size=128,
    learning_rate=4e-3,
    set_balance=0.75,
    smallest_crop=0.4,
    color_jitter=0.2,
    palette_bins=128,
    teacher_weight=5.0,
    color_share=0.26,
    mixed_share=0.5,
    shares_weight=1.0,
    similar_codes_weight=1.0,
    half_weights=True,
)
"""What the model that ships was learned by, in one go: 75 minutes on two processor cores."""


@dataclass(frozen=True, slots=True)
class Training:
    """What to learn from, and how.

    Attributes:
        dataset: The pictures.
        recipe: The options.
        guides: The networks that help.
        terms: On which terms the pictures may be used.
    """

    dataset: ListedDataset
    recipe: Recipe
    guides: Guides
    terms: str = ""


def is_learned_theme(theme: str) -> bool:
    """Tell whether pictures of a theme of `corel` may be learned from; the others measure.

    A hash of the theme's name decides. Of the forty themes twenty are learned: 17, 20, 34, 101,
    109, 113, 119, 121, 122, 131, 143, 144, 161, 173, 174, 182, 183, 189, 276 and 335.
    """
    digest = hashlib.blake2b(theme.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < _LEARNED_SHARE


def default_training(
    data: Path, models: Path | None, recipe: Recipe = DEFAULT_RECIPE, progress: Progress = SILENT
) -> Training:
    """Open what the default model is learned from.

    `coco`: two thirds of the pictures, with their label maps. `clothing`: everything worn or bare
    is a person. `corel`: keywords of the themes that are not kept for measuring.
    `tiny-imagenet`: classes.

    Args:
        data: A folder that holds these four.
        models: A folder that holds teacher and segmentation network; by default `models` in or
            beside `data`.
        recipe: The options.
        progress: Where progress is shown.

    Raises:
        UsageError: If a data set or network is missing.
    """
    missing = [part for part in PARTS if not (data / part).is_dir()]
    if missing:
        raise UsageError(
            f"{data} lacks {', '.join(missing)}; the default recipe learns from a folder with "
            f"{', '.join(PARTS)}"
        )
    networks = models_folder(data, models)
    themes = open_dataset(f"{data / 'corel'}@theme")
    learned = {
        name
        for position, name in enumerate(themes.names)
        if is_learned_theme(themes.classes[themes[position].labels[0]])
    }
    keywords = choose(open_dataset(f"{data / 'corel'}@keywords"), learned.__contains__, "learned")
    parts: list[ListedDataset] = [
        open_dataset(f"{data / 'coco'}#train", progress=progress),
        OneClass(open_dataset(data / "clothing"), "person"),
        FrequentClasses(keywords, _FEWEST_PICTURES),
        open_dataset(data / "tiny-imagenet"),
    ]
    guides = Guides(teacher=networks / TEACHER, segmenter=default_segmenter(networks))
    return Training(join(parts), recipe, guides, TERMS)


def models_folder(data: Path, models: Path | None) -> Path:
    """Find the folder of the networks that help: `models`, or `models` in or beside `data`.

    Raises:
        UsageError: If the teacher is in none of them.
    """
    places = [models] if models else [data / "models", data.parent / "models"]
    found = next((place for place in places if (place / TEACHER).is_file()), None)
    if found is None:
        raise UsageError(
            f"no {TEACHER} in {' or '.join(str(place) for place in places)}; "
            "say where the networks that teach are with --models"
        )
    return found


def default_segmenter(folder: Path) -> Segmenter:
    """Return the network that draws label maps for `corel`, out of a folder of networks.

    On these small pictures it calls a third of all pixels a screen, so that class is left out.
    """
    return Segmenter(
        network=folder / SEGMENTER,
        labels=folder / SEGMENTER_LABELS,
        without=("tvmonitor",),
        parts=("corel#learned",),
    )
