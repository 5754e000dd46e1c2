"""Models learned in the browser, from the order to the collection that is made with them."""

import uuid
from pathlib import Path
from typing import Final

from django.db import IntegrityError, transaction

from lookalike.errors import MissingExtraError, UsageError
from lookalike.learning.kinds import KINDS
from lookalike.web import trainings
from lookalike.web.home import ServerHome, allowed_roots
from lookalike.web.models import HostedCollection, Job, LearningRun, Membership, Role, User
from lookalike.web.naming import unused_slug

CHOICES: Final = {
    "backbone": (
        *("residual", "residual-wide", "resnet18", "resnet50", "mobilenet-v3-large"),
        *("mobilenet-v3-small", "separable", "alexnet", "cnn-f", "cnn-m", "cnn-s", "nin", "zf"),
    ),
    "self_encoder": tuple(KINDS),
    "pretraining": ("layerwise", "contrastive"),
    "device": ("auto", "cpu", "cuda"),
}
"""What can be chosen for the options of a recipe that are no numbers."""

_OF_COLLECTION: Final = "collection:"


def unused_title(name: str) -> str:
    """Return a name for a model that no other has."""
    stem = " ".join(name.replace("#", " ").replace(":", " ").split())[:100] or "model"
    taken = set(LearningRun.objects.values_list("title", flat=True))
    numbered = (stem if n == 1 else f"{stem} {n}" for n in range(1, len(taken) + 2))
    return next(title for title in numbered if title not in taken)


def begin(user: User, sent: dict[str, str], run_id: uuid.UUID | None = None) -> LearningRun:
    """Order a model to be learned, once; see `trainings.ordered` for what is sent.

    Raises:
        UsageError: If something is missing, contradicts something else, or is not allowed.
        MissingExtraError: If the extra `learn` is not installed.
        DatasetError: If there is no such data set.
    """
    begun = LearningRun.objects.filter(pk=run_id).first() if run_id else None
    if begun is not None:
        return begun
    order = trainings.ordered(sent)
    absent = trainings.missing_extra()
    if absent is not None:
        raise MissingExtraError(absent, "learn", "learning")
    trainings.look_at(order)
    try:
        with transaction.atomic():
            return LearningRun.objects.create(
                pk=run_id or uuid.uuid4(),
                title=order.title,
                created_by=user,
                options=order.to_json(),
            )
    except IntegrityError as error:
        text = f"there is a model called {order.title!r} already; choose another name"
        raise UsageError(text) from error


@transaction.atomic
def make_collection(user: User, run: LearningRun, title: str, source: str) -> HostedCollection:
    """Make a collection whose pictures are described by the model of a run.

    Args:
        user: Who will own it.
        run: A run that is done.
        title: The name of the collection.
        source: One of the allowed folders, or `collection:` and the name of a collection whose
            folders are taken.

    Raises:
        UsageError: If the run is not done, or the folder is not allowed.
    """
    model = trainings.model_of(run)
    if model is None:
        raise UsageError(f"{run.title} is not learned to its end; it can be used when it is")
    title = " ".join(title.split())
    if not title or not title.isprintable() or len(title) > 120:
        raise UsageError("give the collection a name of at most 120 characters")
    sources = _sources(source)
    slug = unused_slug(title)
    place = ServerHome.from_environment().created / f"{slug}.lookalike"
    hosted = HostedCollection.objects.create(
        slug=slug, title=title, path=str(place), sources=sources
    )
    Membership.objects.create(collection=hosted, user=user, role=Role.OWNER)
    options = {"sources": sources, "model": str(model)}
    Job.objects.create(collection=hosted, created_by=user, kind="index", options=options)
    return hosted


def _sources(source: str) -> list[str]:
    if source.startswith(_OF_COLLECTION):
        slug = source.removeprefix(_OF_COLLECTION)
        found = HostedCollection.objects.filter(slug=slug).first()
        if found is None or not found.sources:
            raise UsageError(f"no collection {slug[:60]!r} has folders; choose a folder")
        return list(found.sources)
    if source not in {str(root) for root in allowed_roots()}:
        raise UsageError("that folder may not be indexed from here; choose one of those shown")
    return [source]


def delete(run: LearningRun) -> None:
    """Delete a run with its model; collections that were made with it keep their own copy.

    Raises:
        UsageError: If it is not over, or a collection is still to be made with it.
    """
    if not run.is_over:
        raise UsageError(f"{run.title} is being learned; cancel it first")
    waiting = [each.title for each in uses_of(run) if not each.exists]
    if waiting:
        raise UsageError(f"{waiting[0]} is still to be made with {run.title}; wait for that")
    run.delete()
    trainings.delete_abandoned()


def uses_of(run: LearningRun) -> list[HostedCollection]:
    """Return the collections that were made with the model of a run."""
    model = str(trainings.folder_of(run) / "model")
    jobs = Job.objects.filter(kind="index", options__model=model).select_related("collection")
    return list({job.collection.pk: job.collection for job in jobs}.values())


def examples_of(run: LearningRun) -> Path | None:
    """Return the picture of what the model sees; `None` if there is none."""
    place = trainings.folder_of(run) / "examples.webp"
    return place if place.is_file() else None
