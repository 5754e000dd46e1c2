"""A server with one collection of real files, and people who may do different things with it."""

from dataclasses import dataclass

import pytest
from django.test import Client

from lookalike import Collection
from lookalike.web.models import HostedCollection, Membership, Role, User
from tests.small_sets import write_pictures
from tests.tiny_model import write_tiny_model
from tests.web.browsing import browser, page, served, signed_in

__all__ = ["browser", "page", "served", "signed_in"]

N = 24
PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """Folder of a collection, and of its pictures beside it; tests only read it."""
    place = tmp_path_factory.mktemp("web")
    write_tiny_model(place / "model")
    write_pictures(place / "pictures", N)
    with Collection.create(place / "photos.lookalike", model=place / "model") as made:
        made.add(place / "pictures", workers=0)
    return place / "photos.lookalike"


@dataclass
class People:
    """One person of each kind, with a browser each."""

    anonymous: Client
    other: Client
    viewer: Client
    editor: Client
    owner: Client
    staff: Client

    def __iter__(self):
        return iter(self.__dict__.items())


def browser_of(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


@pytest.fixture
def hosted(db, gallery):
    return HostedCollection.objects.create(slug="photos", title="Photos", path=str(gallery))


@pytest.fixture
def people(hosted):
    for name in ("other", "viewer", "editor", "owner", "staff"):
        user = User(username=name, is_staff=name == "staff")
        user.set_unusable_password()
        user.save()
    for role in Role:
        user = User.objects.get(username=role.label)
        Membership.objects.create(collection=hosted, user=user, role=role)
    named = {name: browser_of(name) for name in ("other", "viewer", "editor", "owner", "staff")}
    return People(anonymous=Client(), **named)


@pytest.fixture
def viewer(people):
    return people.viewer
