"""What `serve` shows: collections and folders become rows, the first person becomes the owner."""

import getpass
from pathlib import Path

from django.db import transaction

from lookalike.web.home import ServerHome
from lookalike.web.models import HostedCollection, Job, JobState, User
from lookalike.web.naming import unused_slug

LOCAL_NAME = "owner"


def owner() -> User:
    """Return the first person who may do everything; made without a password if there is none."""
    found = User.objects.filter(is_staff=True, is_active=True).order_by("pk").first()
    if found is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):
            name = LOCAL_NAME
        found = User(username=name, is_staff=True, is_superuser=True)
        found.set_unusable_password()
        found.save()
    return found


@transaction.atomic
def register(place: Path, user: User) -> HostedCollection:
    """Show a collection, or a collection of a folder of pictures, which is indexed at once."""
    if (place / "collection.json").is_file():
        title = place.name.removesuffix(".lookalike")
        return _known(place) or HostedCollection.objects.create(
            slug=unused_slug(title), title=title, path=str(place)
        )
    found = next(
        (each for each in HostedCollection.objects.all() if each.sources == [str(place)]), None
    )
    if found is None:
        slug = unused_slug(place.name)
        target = ServerHome.from_environment().created / f"{slug}.lookalike"
        found = HostedCollection.objects.create(
            slug=slug, title=place.name, path=str(target), sources=[str(place)]
        )
    waiting = found.jobs.filter(state__in=[JobState.QUEUED, JobState.RUNNING])
    if not waiting.exists():
        options = {"sources": found.sources}
        Job.objects.create(collection=found, created_by=user, kind="index", options=options)
    return found


def _known(place: Path) -> HostedCollection | None:
    return HostedCollection.objects.filter(path=str(place)).first()
