"""Networks that somebody else trained and that help to learn; does not import PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmenter:
    """A segmentation network that draws label maps for pictures without.

    Attributes:
        network: Its file, ONNX or TFLite.
        labels: Its class names, one a line.
        without: Classes of it, by its own names, that are taken for background.
        parts: Names of the data sets for whose pictures it draws; `None` for all that have no
            label maps of their own.
        normalization: What brings pixels to what it reads, if it does not read bytes.
    """

    network: Path
    labels: Path
    without: tuple[str, ...] = ()
    parts: tuple[str, ...] | None = None
    normalization: str = "imagenet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """Networks that somebody else trained and that help to learn; none of them is exported.

    Attributes:
        teacher: Network whose embeddings `content` is taught, ONNX or TFLite.
        teacher_normalization: What brings pixels to what it reads, if it does not read bytes.
        segmenter: Draws label maps for pictures without.
    """

    teacher: Path | None = None
    teacher_normalization: str = "imagenet"
    segmenter: Segmenter | None = None


NO_GUIDES: Final = Guides()
