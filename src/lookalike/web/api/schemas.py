"""What goes into REST and comes out of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from lookalike.web.asking import MOST_HITS


class Fault(Schema):
    """What was wrong and what to do, in one line."""

    error: str


class CollectionOut(Schema):
    """A collection."""

    name: str = Field(description="Its name in addresses.")
    title: str
    images: int
    role: str
    descriptors: list[str]
    has_layout: bool
    has_words: bool


class SearchIn(Schema):
    """A query value as in Python and on the command line; uploads as `{"upload": TOKEN}`."""

    query: dict[str, Any] | None = Field(
        None, examples=[{"positives": [{"id": 17}], "weights": {"content": 1}}]
    )
    saved: str | None = Field(None, description="Instead: the name of one of your saved searches.")
    k: int = Field(10, ge=1, le=MOST_HITS)
    cursor: str = Field("", description="Of the hits before; 409 if the collection has changed.")


class Hit(Schema):
    """One hit."""

    rank: int
    id: int
    path: str
    score: float
    scores: dict[str, float]


class Found(Schema):
    """Hits, best first."""

    hits: list[Hit]
    took_ms: float
    probed_clusters: int
    exact: bool
    revision: int = Field(description="State of the collection that was searched.")
    cursor: str = Field("", description="Leads to the next hits; empty at the end.")


class ImageOut(Schema):
    """What is known of an image; never where it was taken."""

    id: int
    hash: str
    bytes: int
    width: int
    height: int
    format: str
    paths: list[str]
    labels: dict[str, float]


class JobOut(Schema):
    """Long work and how far it is."""

    id: UUID
    kind: str
    state: str
    step: str
    done: int
    expected: int | None
    note: str
    report: dict[str, Any]
    error: str
    created: datetime
    started: datetime | None
    finished: datetime | None


class Upload(Schema):
    """A picture that was sent, and what it is called in queries."""

    upload: str
    width: int
    height: int
    expires: datetime
