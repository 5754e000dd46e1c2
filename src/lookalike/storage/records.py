"""What goes into a catalog and what comes out of it.

An *image* is a content: equal bytes are one image, however many files hold them. A *file* is a
path that was seen. Paths are bytes, since file names need not be text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from jaxtyping import Float32
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.images.perceptual_hash import Fingerprint

FileState: TypeAlias = Literal["indexed", "failed", "skipped"]

GivenBy: TypeAlias = Literal["person", "data set"]
PERSON: Final = "person"
DATA_SET: Final = "data set"
FILE: Final = "file"
"""Provenance of attributes that were read from the file's own metadata."""
FILE_TIME: Final = "file time"
"""Provenance of a date that is only that of the file's last change."""


@dataclass(frozen=True, slots=True, eq=False)
class NewImage:
    """A content seen for the first time.

    Attributes:
        hash: Content hash of the file's bytes.
        n_bytes: Length of the file.
        width: Pixels, after orientation.
        height: Pixels, after orientation.
        format: Name of the file format, for instance `JPEG`.
        embeddings: One vector for each descriptor of the catalog.
        labels: Names and probabilities that the model predicts.
        fingerprint: For near-duplicates; where it is missing the next `index` makes it.
    """

    hash: bytes
    n_bytes: int
    width: int
    height: int
    format: str
    embeddings: Mapping[str, Float32[ndarray, " _"]]
    labels: tuple[tuple[str, float], ...] = ()
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A path that was seen, and what became of it.

    Attributes:
        path: Absolute.
        root: The folder or file, given by the user, under which it was found.
        size: Bytes when it was read; `None` if it was not.
        mtime_ns: Time of last change when it was read, nanoseconds; `None` if it was not.
        state: What became of it.
        hash: Content hash; `None` where the content was not read.
        reason: Why it is not indexed.
        transient: Whether the same file may well succeed next time.

    Raises:
        UsageError: If an indexed file lacks its hash, or another one its reason.
    """

    path: bytes
    root: bytes
    size: int | None
    mtime_ns: int | None
    state: FileState
    hash: bytes | None
    reason: str | None
    transient: bool = False

    def __post_init__(self) -> None:
        if self.state == "indexed" and self.hash is None:
            raise UsageError(f"indexed file {self.path!r} has no content hash; give it one")
        if self.state != "indexed" and self.reason is None:
            raise UsageError(f"{self.state} file {self.path!r} has no reason; give one")


@dataclass(frozen=True, slots=True)
class Batch:
    """What is stored together or not at all.

    Attributes:
        images: Contents seen for the first time; each is held by at least one of `files`.
        files: Files indexed, failed or skipped. An indexed one holds one of `images` or an image
            that is stored already.
        details: What the pictures' files say of themselves; of images stored already, too.
    """

    images: tuple[NewImage, ...]
    files: tuple[FileRecord, ...]
    details: "tuple[ImageDetails, ...]" = ()


@dataclass(frozen=True, slots=True)
class Known:
    """An attribute of an image: a key, its value, and who says so."""

    key: str
    value: str
    provenance: str


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """What a file says of itself.

    Attributes:
        hash: Content hash.
        attributes: From its metadata, or from its time of last change.
        colors: Basic color terms and their shares of the picture, from 0 to 1.
    """

    hash: bytes
    attributes: tuple[Known, ...]
    colors: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """Something to be known of one picture, given by a person or a data set.

    Attributes:
        hash: Content hash of the picture, which need not be in the catalog.
        provenance: Who says so.
        captions: Sentences to add.
        labels: Names to add.
        attributes: Values by key; each takes the place of what the same provenance said before.
        remove_captions: Captions to take away, whoever gave them.
        remove_labels: Given labels to take away; what a model predicts stays.
        remove_attributes: Keys of attributes to take away that this provenance gave.
        replace: Whether captions and labels take the place of those of the same provenance.
    """

    hash: bytes
    provenance: GivenBy
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    remove_captions: tuple[str, ...] = ()
    remove_labels: tuple[str, ...] = ()
    remove_attributes: tuple[str, ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """All that is known of one image.

    Attributes:
        id: Of the image.
        captions: Texts, and who gave each.
        labels: Names, who says so (`model` for predictions), and how probable each is.
        attributes: Of each key, the most trusted first.
        colors: Basic color terms and their shares of the picture.
    """

    id: int
    captions: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str, float], ...]
    attributes: tuple[Known, ...]
    colors: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A stored image.

    Attributes:
        id: Never used for another image, even after this one is gone.
        hash: Content hash.
        n_bytes: Length of the file.
        width: Pixels, after orientation.
        height: Pixels, after orientation.
        format: Name of the file format.
        paths: All files that hold it, ascending; at least one.
        labels: Names and probabilities above 0, most probable first; what a person says counts
            before what was propagated or predicted.
    """

    id: int
    hash: bytes
    n_bytes: int
    width: int
    height: int
    format: str
    paths: tuple[bytes, ...]
    labels: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run over the folders.

    Attributes:
        id: Number of the run, counted from 1.
        started: Seconds since 1970.
        finished: Seconds since 1970; `None` if it was interrupted or is still going on.
    """

    id: int
    started: float
    finished: float | None
