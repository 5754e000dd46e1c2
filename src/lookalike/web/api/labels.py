"""REST: what people say of pictures, and what follows from it for all others."""

from typing import Annotated, Any, Final
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from lookalike.errors import UsageError
from lookalike.search.previewing import AT_LEAST
from lookalike.storage.annotations import Statement
from lookalike.web import labels
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing, hosted, opened, person
from lookalike.web.api.jobs import job_out
from lookalike.web.api.schemas import JobOut
from lookalike.web.galleries import open_collections
from lookalike.web.given_numbers import MOST_IDS
from lookalike.web.idempotency import HEADER, id_for
from lookalike.web.models import JobKind, Role
from lookalike.web.steering import make_once
from lookalike.web.writing import note

router = Router()

_MOST_AT: Final = 100_000
_Place = Annotated[int, Query(ge=0, le=_MOST_AT)]
_Id = Annotated[int, Field(ge=0, lt=2**62)]


class LabelOut(Schema):
    """A label and how many images likely have it, by who says so."""

    label: str
    person: int
    propagated: int
    data_set: int
    model: int


class ProposalOut(Schema):
    """The cluster whose labels would tell most, with images of it that nobody labeled yet."""

    clusters: str = Field(description="Name of the clusters; empty if there are none.")
    cluster: int | None
    size: int
    labeled: int
    words: dict[str, float]
    images: list[int]
    at: int
    upcoming: list[int] = Field(description="Clusters that follow.")


class LabelIn(Schema):
    """Labels, the images that show them, and those that do not."""

    labels: list[str] = Field(min_length=1, max_length=labels.MOST_WORDS)
    images: list[_Id] = Field(default_factory=list, max_length=MOST_IDS)
    not_images: list[_Id] = Field(default_factory=list, max_length=MOST_IDS)
    clusters: str = ""
    cluster: int | None = Field(None, description="The one that was proposed.")


class AnswersIn(Schema):
    """Whether images show a label that was worked out for them."""

    label: str
    images: list[_Id] = Field(default_factory=list, max_length=MOST_IDS)
    not_images: list[_Id] = Field(default_factory=list, max_length=MOST_IDS)


class ActionOut(Schema):
    """Something that was done at once, and can be taken back."""

    action: int
    statements: int


class DoneOut(Schema):
    """An action of the past."""

    action: int
    made: float = Field(description="Seconds since 1970.")
    kind: str
    labels: list[str]
    statements: int


class UndoIn(Schema):
    """The action that is meant: it is only taken back if it is the last one."""

    action: int | None = Field(None, ge=0, lt=2**62)


class UndoneOut(Schema):
    """What was taken back, or is by a job, since earlier probabilities are worked out again."""

    kind: str
    statements: int
    job: UUID | None = None


class PropagateIn(Schema):
    """Clusters to go by; those of `content` if none are named."""

    clusters: str = ""


class ImageProbability(Schema):
    """An image and the probability of a label."""

    id: int
    probability: float


class PreviewOut(Schema):
    """What a label would be said of."""

    label: str
    said: int = Field(description="Images of which a person says so.")
    counts: dict[str, int] = Field(description="Other images that reach each probability.")
    surest: list[ImageProbability]
    doubtful: list[ImageProbability]


class DoubtOut(Schema):
    """An image and a label of which it is not sure whether it fits."""

    id: int
    label: str
    probability: float


@router.get("/collections/{name}/labels", response={200: list[LabelOut], **FAULTS}, tags=["labels"])
def list_labels(request: HttpRequest, name: str) -> Any:
    """List all labels with the number of images, by who says so."""
    return [
        {
            "label": each["label"],
            **{
                by.replace(" ", "_"): n
                for by, n in zip(labels.PROVENANCES, each["counts"], strict=True)
            },
        }
        for each in labels.label_table(opened(request, name))
    ]


@router.get(
    "/collections/{name}/labels/proposal", response={200: ProposalOut, **FAULTS}, tags=["labels"]
)
def propose_label(request: HttpRequest, name: str, clusters: str = "", at: _Place = 0) -> Any:
    """Propose what to label: the cluster in place `at` of those that would tell most."""
    collection = opened(request, name, Role.EDITOR)
    _, chosen = labels.clusterings_of(collection, clusters)
    found = labels.proposal(collection, chosen, at) if chosen else {}
    proposed = found.get("proposed")
    return {
        "clusters": chosen,
        "cluster": proposed and proposed.cluster,
        "size": proposed.size if proposed else 0,
        "labeled": proposed.n_labeled if proposed else 0,
        "words": dict(proposed.words) if proposed else {},
        "images": list(proposed.exemplars) if proposed else [],
        "at": at,
        "upcoming": [each["cluster"].cluster for each in found.get("upcoming", ())],
    }


@router.post(
    "/collections/{name}/labels", response={200: ActionOut, **FAULTS_OF_CHANGES}, tags=["labels"]
)
@changing(Role.EDITOR)
def add_labels(request: HttpRequest, name: str, sent: LabelIn) -> Any:
    """Say which images show some labels, and which do not."""
    words = labels.read_words(",".join(sent.labels))
    detail = {"labels": words, "cluster": sent.cluster, "clusters": sent.clusters}
    return _said(request, name, detail, sent.images, sent.not_images)


@router.get(
    "/collections/{name}/labels/preview",
    response={200: list[PreviewOut], **FAULTS},
    tags=["labels"],
)
def preview_labels(request: HttpRequest, name: str, clusters: str = "") -> Any:
    """Tell what propagating would say of which images; nothing is stored."""
    collection = opened(request, name, Role.EDITOR)
    _, chosen = labels.clusterings_of(collection, clusters)
    return [
        {
            "label": each.word,
            "said": each.n_said,
            "counts": {f"{p:g}": n for p, n in zip(AT_LEAST, each.counts, strict=True)},
            "surest": [{"id": image, "probability": p} for image, p in each.surest],
            "doubtful": [{"id": image, "probability": p} for image, p in each.doubtful],
        }
        for each in labels.previews(collection, chosen)
    ]


@router.post(
    "/collections/{name}/labels/propagation",
    response={200: JobOut, **FAULTS_OF_CHANGES},
    tags=["labels"],
)
@changing(Role.EDITOR)
def propagate_labels(request: HttpRequest, name: str, sent: PropagateIn) -> Any:
    """Ask for every image to be given the probability of every label."""
    place = hosted(request, name, Role.EDITOR)
    chosen = labels.ready_to_propagate(open_collections.get(place), sent.clusters)
    options = {"clusters": chosen}
    job = make_once(place, person(request), JobKind.PROPAGATE, options, id_for(request))
    note(request, place, "labels propagated", chosen)
    return job_out(job)


@router.get(
    "/collections/{name}/labels/review", response={200: list[DoubtOut], **FAULTS}, tags=["labels"]
)
def list_doubts(
    request: HttpRequest,
    name: str,
    label: str = "",
    at: _Place = 0,
    n: Annotated[int, Query(ge=1, le=MOST_IDS)] = 20,
) -> Any:
    """List images whose probability is nearest to one half, from place `at` on."""
    annotations = opened(request, name, Role.EDITOR).catalog.knowledge.annotations
    found = annotations.doubtful(n, label=label or None, offset=at)
    return [{"id": image, "label": word, "probability": p} for image, word, p in found]


@router.post(
    "/collections/{name}/labels/review",
    response={200: ActionOut, **FAULTS_OF_CHANGES},
    tags=["labels"],
)
@changing(Role.EDITOR)
def answer_doubts(request: HttpRequest, name: str, sent: AnswersIn) -> Any:
    """Say whether images that were in doubt show a label."""
    detail = {"labels": [sent.label], "cluster": None, "clusters": "", "review": True}
    return _said(request, name, detail, sent.images, sent.not_images)


@router.get(
    "/collections/{name}/labels/actions", response={200: list[DoneOut], **FAULTS}, tags=["labels"]
)
def list_actions(request: HttpRequest, name: str) -> Any:
    """List what was done and not taken back, the last first."""
    annotations = opened(request, name, Role.EDITOR).catalog.knowledge.annotations
    return [
        {
            "action": each.id,
            "made": each.made,
            "kind": each.kind,
            "labels": list(each.detail.get("labels", each.detail.get("words", ()))),
            "statements": each.n,
        }
        for each in annotations.history()[:MOST_IDS]
    ]


@router.post(
    "/collections/{name}/labels/undo",
    response={200: UndoneOut, **FAULTS_OF_CHANGES},
    tags=["labels"],
)
@changing(Role.EDITOR)
def undo_labels(request: HttpRequest, name: str, sent: UndoIn) -> Any:
    """Take back the last action whole; with its number, only if it is that one."""
    if sent.action is None and request.headers.get(HEADER):
        raise UsageError(f"with an {HEADER} name the action, so that no other one is taken back")
    place = hosted(request, name, Role.EDITOR)
    long = labels.long_undo(open_collections.get(place))
    if long is not None and sent.action in (None, long):
        job = make_once(place, person(request), JobKind.UNDO, {"action": long}, id_for(request))
        note(request, place, "labeling undone", "propagate")
        return {"kind": "propagate", "statements": 0, "job": job.pk}
    undone = labels.undone(place, sent.action)
    note(request, place, "labeling undone", undone["kind"])
    return undone


def _said(
    request: HttpRequest, name: str, detail: dict[str, Any], fits: list[int], others: list[int]
) -> dict[str, int]:
    if set(fits) & set(others):
        raise UsageError("an image cannot both show a label and not; name it once")
    shown = list(dict.fromkeys((*fits, *others)))
    said: list[Statement] = labels.statements(detail["labels"], shown, fits)
    place = hosted(request, name, Role.EDITOR)
    action = labels.say(place, detail, said, once=str(id_for(request)))
    what = "reviewed" if detail.get("review") else "labeled"
    note(request, place, what, f"{', '.join(detail['labels'])}: {len(shown)} pictures")
    return {"action": action, "statements": len(said)}
