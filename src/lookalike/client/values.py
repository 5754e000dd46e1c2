"""What a server answers, as named values."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from lookalike.errors import LookalikeError


@dataclass(frozen=True, slots=True)
class RemoteHit:
    """One hit.

    Attributes:
        rank: From 1.
        id: Of the image.
        path: Where it lies on the server.
        score: In decades, see `lookalike.search.calibration`.
        scores: The score under each part of the query.
    """

    rank: int
    id: int
    path: str
    score: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RemoteFound:
    """What a search found.

    Attributes:
        hits: Best first.
        took_ms: Time that the server took.
        probed_clusters: Clusters that were visited.
        exact: Whether every image was compared.
        revision: State of the collection that was searched.
        cursor: Leads to the hits after these; empty at the end.
    """

    hits: tuple[RemoteHit, ...]
    took_ms: float
    probed_clusters: int
    exact: bool
    revision: int
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class RemoteCollection:
    """A collection on a server.

    Attributes:
        name: By which it is asked for.
        title: As people see it.
        images: How many it holds.
        role: What you may do with it.
        descriptors: What pictures can be compared by.
        has_layout: Whether layouts can be painted.
        has_words: Whether words can be compared with pictures.
    """

    name: str
    title: str
    images: int
    role: str
    descriptors: tuple[str, ...]
    has_layout: bool
    has_words: bool


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """Long work on a server.

    Attributes:
        id: By which it is asked for.
        kind: `index`, `clusters`, `map`, `verify`, `backup` or `restore`.
        state: `queued`, `running`, `paused`, `done`, `failed` or `cancelled`.
        step: What it is at.
        done: Units of the step that are done.
        expected: Units that are needed; `None` while unknown.
        report: What came of it, once it is done.
        error: Why it failed.
    """

    id: str
    kind: str
    state: str
    step: str
    done: int
    expected: int | None
    report: Mapping[str, Any]
    error: str

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen to it any more by itself."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class RemoteLabel:
    """A label, and how many images likely have it by who says so."""

    label: str
    person: int
    propagated: int
    data_set: int
    model: int


@dataclass(frozen=True, slots=True)
class RemoteProposal:
    """What to label next.

    Attributes:
        clusters: Name of the clusters; empty if there are none.
        cluster: The one whose labels would tell most; `None` if all are labeled.
        size: Images in it.
        labeled: How many of them are labeled.
        words: What is known of it: words and their shares.
        images: Images of it to look at, nearest to the center first.
    """

    clusters: str
    cluster: int | None
    size: int
    labeled: int
    words: Mapping[str, float]
    images: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RemoteDoubt:
    """An image and a label of which it is not sure whether it fits."""

    id: int
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class RemoteGroup:
    """Nearly equal pictures.

    Attributes:
        kind: `copies` or `mirrored`.
        keep: The one suggested to be kept, or decided.
        reason: Why.
        members: What is known of each, the one to keep first.
    """

    kind: str
    keep: int
    reason: str
    members: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class RemoteSearch:
    """A search under a name; `query` can be given to `Query.from_json` unless it has uploads."""

    id: int
    name: str
    address: str
    query: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteBackup:
    """A copy of a collection that was found sound; `checksum` covers all of its files."""

    id: str
    made: str
    images: int
    bytes: int
    checksum: str


Value = TypeVar("Value")


def read(kind: type[Value], content: Mapping[str, Any]) -> Value:
    """Return a value of what a server sent; what this program does not know is left out.

    Raises:
        LookalikeError: If something is missing.
    """
    given: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in content:
            value = content[field.name]
            given[field.name] = tuple(value) if isinstance(value, list) else value
        elif field.default is MISSING:
            raise LookalikeError(
                f"the server's answer lacks {field.name!r}; is it of another version than this?"
            )
    return kind(**given)


def read_found(content: Mapping[str, Any]) -> RemoteFound:
    """Return what a search found."""
    hits = [read(RemoteHit, hit) for hit in content["hits"]]
    return read(RemoteFound, {**content, "hits": hits})
