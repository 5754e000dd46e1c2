"""REST: nearly equal pictures, and what is decided about them. Nothing is ever deleted."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from django.http import HttpRequest, JsonResponse
from ninja import Field, Query, Router, Schema

from lookalike.images.scanning import display_path
from lookalike.knowing.deduplicating import decide as store_decision
from lookalike.knowing.deduplicating import removable_paths, to_json
from lookalike.web import duplicates, queueing
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing, hosted
from lookalike.web.api.cursors import cursor_to, read_cursor
from lookalike.web.galleries import open_collections
from lookalike.web.models import HostedCollection, JobKind, Role
from lookalike.web.writing import note, writing

router = Router()

MOST_GROUPS = 200
_Id = Annotated[int, Field(ge=0, lt=2**62)]


class MemberOut(Schema):
    """A picture of a group."""

    id: int
    paths: list[str]
    width: int
    height: int
    bytes: int
    format: str
    score: float | None = Field(description="Likeness to the one to keep; none for itself.")
    is_decided: bool
    is_removable: bool


class GroupOut(Schema):
    """Pictures that are nearly equal, the one to keep first."""

    kind: str
    keep: int
    reason: str
    members: list[MemberOut]


class GroupsOut(Schema):
    """Some groups, the largest first; `cursor` leads to those after them."""

    groups: list[GroupOut]
    total: int
    cursor: str


class RemovableOut(Schema):
    """Files that could go; those of pictures to be kept are never among them."""

    files: list[str]


class DecisionIn(Schema):
    """`keep`: these stay. `same`, `different`: these are copies, or not. `forget`: take back."""

    verdict: Literal["keep", "same", "different", "forget"]
    images: list[_Id] = Field(min_length=1, max_length=duplicates.MOST_DECIDED)


class DecisionOut(Schema):
    """What was decided."""

    verdict: str
    images: list[int]


class DecisionsOut(Schema):
    """All that is decided about images that are there."""

    keep: list[int]
    same: list[list[int]]
    different: list[list[int]]


@router.get(
    "/collections/{name}/duplicates", response={200: GroupsOut, **FAULTS}, tags=["duplicates"]
)
def list_duplicates(
    request: HttpRequest,
    name: str,
    k: Annotated[int, Query(ge=1, le=MOST_GROUPS)] = duplicates.PAGE,
    cursor: str = "",
) -> Any:
    """List groups of nearly equal pictures; 409 before a job has looked for them."""
    place = hosted(request, name)
    collection, kept = open_collections.get(place), duplicates.kept_groups(place)
    state = f"{collection.catalog.revision} {duplicates.told(collection)}"
    start = read_cursor(cursor, [name, "duplicates"], state)
    if kept.standing(collection) is None and len(collection):
        return _not_yet(place)
    chosen, end = kept.groups(start, k), start + k
    total, _ = kept.count()
    shown = to_json(collection, chosen)["groups"] if chosen else []
    for member in (each for group in shown for each in group["members"]):
        member["bytes"] = member["n_bytes"]
    goes_on = end < total
    following = cursor_to([name, "duplicates"], state, end) if goes_on else ""
    return {"groups": shown, "total": total, "cursor": following}


@router.get(
    "/collections/{name}/duplicates/removable",
    response={200: RemovableOut, **FAULTS},
    tags=["duplicates"],
)
def list_removable(request: HttpRequest, name: str) -> Any:
    """List the files that could go; 409 before a job has looked for them."""
    place = hosted(request, name)
    collection, kept = open_collections.get(place), duplicates.kept_groups(place)
    if kept.standing(collection) is None and len(collection):
        return _not_yet(place)
    paths = removable_paths(collection, kept.groups())
    return {"files": [display_path(path) for path in paths]}


@router.get(
    "/collections/{name}/duplicates/decisions",
    response={200: DecisionsOut, **FAULTS},
    tags=["duplicates"],
)
def list_decisions(request: HttpRequest, name: str) -> Any:
    """List what was decided."""
    decisions = open_collections.get(hosted(request, name)).catalog.duplicates.decisions()
    return {
        "keep": sorted(decisions.keeps),
        "same": sorted(map(list, decisions.same)),
        "different": sorted(map(list, decisions.different)),
    }


@router.post(
    "/collections/{name}/duplicates/decisions",
    response={200: DecisionOut, **FAULTS_OF_CHANGES},
    tags=["duplicates"],
)
@changing(Role.EDITOR)
def make_decision(request: HttpRequest, name: str, sent: DecisionIn) -> Any:
    """Decide about pictures; it holds for what they show, however their files are called."""
    place = hosted(request, name, Role.EDITOR)
    with writing(place) as collection:
        store_decision(collection, sent.verdict, sent.images)
    note(request, place, f"duplicates {sent.verdict}", ", ".join(map(str, sent.images)))
    return {"verdict": sent.verdict, "images": sent.images}


def _not_yet(place: HostedCollection) -> JsonResponse:
    if queueing.waiting(place, JobKind.DUPLICATES):
        text = "nearly equal pictures are being looked for; ask again when that job is done"
    else:
        text = "nearly equal pictures were not looked for yet; make a job of kind 'duplicates'"
    return JsonResponse({"error": text}, status=HTTPStatus.CONFLICT)
