"""The collections of a server: making them, filling them, and who may see them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lookalike.web.access import person, with_collection
from lookalike.web.galleries import open_collections
from lookalike.web.home import ServerHome, allowed_roots
from lookalike.web.models import (
    AuditEntry,
    Backup,
    HostedCollection,
    Job,
    JobKind,
    JobState,
    Membership,
    Role,
    User,
)
from lookalike.web.models.jobs import OVER
from lookalike.web.naming import unused_slug

_PARTS: Final = {
    "catalog": "Catalog",
    "model": "Model",
    "indexes": "Indexes",
    "thumbnails": "Small pictures",
}


class NewCollection(forms.Form):
    """What a new collection needs."""

    title = forms.CharField(max_length=120, label="Name")
    source = forms.ChoiceField(label="Folder to index")

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        choices = [(str(root), str(root)) for root in allowed_roots()]
        self.fields["source"].choices = choices  # type: ignore[attr-defined]


@require_http_methods(["GET", "POST"])
@login_required
def collections(request: HttpRequest) -> HttpResponseBase:
    """List the collections a person may see; staff can make new ones."""
    user = person(request)
    form = NewCollection(request.POST or None) if user.is_staff else None
    if form is not None and request.method == "POST" and form.is_valid():
        hosted = _create(user, form.cleaned_data["title"], form.cleaned_data["source"])
        AuditEntry.write(request, "collection made", hosted.slug)
        return redirect("search", slug=hosted.slug)
    shown = [_summary(each, user) for each in HostedCollection.objects.open_to(user)]
    content = {"shown": shown, "form": form, "has_roots": bool(allowed_roots())}
    return render(request, "web/collections.html", content)


@transaction.atomic
def _create(user: User, title: str, source: str) -> HostedCollection:
    slug = unused_slug(title)
    place = ServerHome.from_environment().created / f"{slug}.lookalike"
    hosted = HostedCollection.objects.create(
        slug=slug, title=title, path=str(place), sources=[source]
    )
    Membership.objects.create(collection=hosted, user=user, role=Role.OWNER)
    Job.objects.create(
        collection=hosted, created_by=user, kind="index", options={"sources": [source]}
    )
    return hosted


def _summary(hosted: HostedCollection, user: User) -> dict[str, Any]:
    n_images = len(open_collections.get(hosted)) if hosted.exists else 0
    return {"hosted": hosted, "n_images": n_images, "role": hosted.role_of(user)}


@require_GET
@with_collection(Role.EDITOR)
def details(request: HttpRequest, hosted: HostedCollection) -> HttpResponse:
    """Show what a collection holds, how accurate its indexes are, and its jobs."""
    status = open_collections.get(hosted).status() if hosted.exists else None
    content = {
        "collection": hosted,
        "status": status,
        "room": _room(status["bytes_of"]) if status else (),
        **_keeping(hosted),
        "jobs": hosted.jobs.all()[:20],
        "roots": [str(root) for root in allowed_roots()],
        "members": hosted.memberships.select_related("user"),
        "people": User.objects.filter(is_active=True).order_by("username"),
        "roles": Role.choices,
        "role": hosted.role_of(person(request)),
        "Role": Role,
    }
    return render(request, "web/details.html", content)


def _room(parts: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Return name, percents and bytes of each part of a collection."""
    total = max(1, sum(parts.values()))
    return [(_PARTS.get(name, name), round(100 * n / total), n) for name, n in parts.items()]


def _keeping(hosted: HostedCollection) -> dict[str, Any]:
    """Return when it was verified, which backups there are, and what of that is at work."""

    def at_work(kind: JobKind) -> Job | None:
        return hosted.jobs.filter(kind=kind).exclude(state__in=OVER).first()

    return {
        "verified": hosted.jobs.filter(kind=JobKind.VERIFY, state=JobState.DONE).first(),
        "verifying": at_work(JobKind.VERIFY),
        "backups": Backup.objects.filter(collection=hosted),
        "backing_up": at_work(JobKind.BACKUP),
    }


@require_POST
@with_collection(Role.EDITOR)
def index(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for the collection to be brought up to date."""
    added = request.POST.get("source", "")
    if added:
        if Path(added).resolve() not in allowed_roots():
            messages.error(request, "that folder may not be indexed from here")
            return redirect("details", slug=hosted.slug)
        hosted.sources = sorted({*hosted.sources, added})
        hosted.save(update_fields=["sources"])
    job = Job.objects.create(
        collection=hosted,
        created_by=person(request),
        kind="index",
        options={"sources": hosted.sources},
    )
    AuditEntry.write(request, "indexing asked", hosted.slug)
    return redirect("job", slug=hosted.slug, job_id=job.pk)


@require_POST
@with_collection(Role.OWNER)
def share(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Let a person see or change a collection, or no longer."""
    user = User.objects.filter(username=request.POST.get("username", "")).first()
    role = request.POST.get("role", "")
    if user is None or role not in {"0", *(str(value) for value in Role.values)}:
        messages.error(request, "choose a person and a role")
    elif role == "0":
        hosted.memberships.filter(user=user).delete()
        AuditEntry.write(request, "no longer shared", f"{hosted.slug} with {user}")
    else:
        Membership.objects.update_or_create(
            collection=hosted, user=user, defaults={"role": int(role)}
        )
        AuditEntry.write(request, "shared", f"{hosted.slug} with {user} as {Role(int(role)).label}")
    return redirect("details", slug=hosted.slug)
