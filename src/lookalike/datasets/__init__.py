"""Labeled pictures to learn from and to be judged on."""

from lookalike.datasets.base import Dataset, LabeledImage, ListedDataset
from lookalike.datasets.opening import needs_opening, open_dataset, picture_files

__all__ = [
    "Dataset",
    "LabeledImage",
    "ListedDataset",
    "needs_opening",
    "open_dataset",
    "picture_files",
]
