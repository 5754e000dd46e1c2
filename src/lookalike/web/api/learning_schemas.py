"""What goes into and comes out of the routes to learn and to evaluate."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema


class DatasetOut(Schema):
    """What labeled pictures hold."""

    name: str
    pictures: int
    learned_from: int
    held_out: int
    classes: list[str]
    has_label_maps: bool
    is_single_label: bool


class LearnIn(Schema):
    """A model to be learned."""

    title: str = Field(description="What people call it; no other model may.")
    dataset: str = Field(description="A folder below the server's, or `scenes:N`.")
    level: str = Field("names", description="`names` or `supercategories`, of COCO.")
    recipe: str = Field("standard", description="`quick`, `small` or `standard`.")
    minutes: int | None = Field(None, description="The most that it may take.")
    changes: dict[str, int | float | str] = Field(
        default_factory=dict, description="Options of the recipe under their own names."
    )


class RunSummary(Schema):
    """A model that is learned."""

    id: UUID
    title: str
    dataset: str
    state: str
    created: datetime
    finished: datetime | None


class RunOut(RunSummary):
    """A model that is learned, and how far it is."""

    recipe: dict[str, Any]
    minutes: int | None
    step: str
    done: int
    expected: int | None
    note: str
    error: str
    passes: int
    planned_passes: int | None
    seconds_left: float | None
    report: dict[str, Any]
    history: list[dict[str, float | str]]


class UseIn(Schema):
    """A collection to be made with a model."""

    title: str
    source: str = Field(description="A folder of the server, or `collection:NAME` for its folders.")


class MadeOut(Schema):
    """A collection that was made, and the job that fills it."""

    name: str
    job: UUID


class EvaluateIn(Schema):
    """How a collection is to be judged."""

    title: str = ""
    truth: str = Field("labels", description="`labels` of its own pictures, or a data set.")
    level: str = "names"
    queries: int | None = Field(None, description="Pictures to ask with; all by default.")
    at: list[int] = Field([1, 2, 5, 10, 20], description="Numbers of hits.")
    without: list[str] = Field(default_factory=list, description="Labels that do not count.")
    weights: dict[str, float] | None = Field(
        None, description="Weight of each descriptor; the default mixture without."
    )
    seed: int = 0


class EvaluationOut(Schema):
    """An evaluation and how far it is."""

    id: UUID
    title: str
    state: str
    step: str
    done: int
    expected: int | None
    error: str
    created: datetime
    headline: dict[str, float]
