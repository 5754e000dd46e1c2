"""What a collection holds, told briefly and as plain values."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lookalike.images.scanning import display_path
from lookalike.model_folder import ModelCard
from lookalike.shelves.images import IndexState
from lookalike.shelves.regions import RegionState
from lookalike.storage.catalog import Catalog
from lookalike.storage.derived import length_of
from lookalike.storage.folder import CollectionFolder, Manifest


def overview(
    folder: CollectionFolder,
    manifest: Manifest,
    card: ModelCard,
    catalog: Catalog,
    indexes: Sequence[IndexState],
    regions: RegionState,
) -> dict[str, Any]:
    """Tell what a collection holds; of each index, how accurate it was when it was built."""
    return {
        "path": str(folder.path),
        "format": manifest.format,
        "created": manifest.created,
        "model": manifest.model,
        "selection": dict(card.selection) or None,
        "classes": len(card.classes),
        "images": catalog.n_images,
        "files": dict(catalog.n_files),
        "folders": [display_path(root) for root in catalog.roots()],
        "descriptors": dict(catalog.descriptors),
        "lacking": catalog.chosen.n_lacking(),
        "revision": catalog.revision,
        "knowledge": catalog.knowledge.counts(),
        "regions": asdict(regions),
        "indexes": [asdict(state) for state in indexes],
        "bytes": folder.n_bytes,
        "bytes_of": _bytes_of(folder),
    }


def _bytes_of(folder: CollectionFolder) -> dict[str, int]:
    """Return the room that each part takes; the catalog with its log."""
    parts = {
        "catalog": folder.path.glob(f"{folder.catalog.name}*"),
        "model": folder.model.glob("*"),
        "indexes": folder.index.glob("*"),
        "thumbnails": folder.path.glob(f"{folder.thumbnails.name}*"),
    }
    return {name: sum(map(length_of, paths)) for name, paths in parts.items()}
