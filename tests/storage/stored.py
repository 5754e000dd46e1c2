"""Small real batches for the tests of storage."""

import hashlib
from collections.abc import Mapping

import numpy as np

from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Batch, FileRecord, NewImage

DESCRIPTORS = {"content": 6, "layout": 4}


def content_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=20).digest()


def vectors_of(text: str, descriptors: Mapping[str, int] = DESCRIPTORS):
    """Embeddings that are told by the content alone, as those of a network are."""
    rng = np.random.default_rng(list(content_of(text)))
    return {name: rng.standard_normal(dim).astype(np.float32) for name, dim in descriptors.items()}


def image_of(text: str, labels=(), **changes) -> NewImage:
    values = {
        "hash": content_of(text),
        "n_bytes": len(text),
        "width": 4,
        "height": 3,
        "format": "PNG",
        "embeddings": vectors_of(text),
        "labels": labels,
    }
    return NewImage(**{**values, **changes})


def file_of(path: str | bytes, text: str, root: bytes = b"/photos", mtime_ns: int = 7):
    path = path.encode() if isinstance(path, str) else path
    return FileRecord(path, root, len(text), mtime_ns, "indexed", content_of(text), None)


def failed(path: bytes, reason="truncated", root: bytes = b"/photos", *, transient=False):
    return FileRecord(path, root, 3, 7, "failed", content_of("bad"), reason, transient)


def skipped(path: bytes, reason="a link", root: bytes = b"/photos"):
    return FileRecord(path, root, None, None, "skipped", None, reason)


def batch_of(*pairs: tuple[str, str], root: bytes = b"/photos") -> Batch:
    """A batch of files, each with its content: `("/photos/a", "red")`."""
    texts = dict.fromkeys(text for _, text in pairs)
    files = tuple(file_of(path, text, root) for path, text in pairs)
    return Batch(tuple(image_of(text) for text in texts), files)


def index(catalog: Catalog, pairs: Mapping[str, str], roots=(b"/photos",), **options) -> int:
    """One run that finds exactly `pairs`; returns the number of files removed."""
    run = catalog.begin_run()
    catalog.commit(batch_of(*pairs.items()), run=run)
    return catalog.remove_unseen(run, list(roots), **options)


def files_by_content(catalog: Catalog) -> dict[str, bytes]:
    """Path and content hash of all that is indexed."""
    records = catalog.images(catalog.ids())
    return {path.decode(): record.hash for record in records for path in record.paths}
