"""The database of the first release, brought forward to this one: everything in it still works."""

import json
import sqlite3
from datetime import UTC
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import DateTimeField, JSONField
from django.test import Client
from django.urls import reverse

from lookalike.web.models import (
    AuditEntry,
    HostedCollection,
    Job,
    SavedSearch,
    UploadedPicture,
    User,
)

DUMP = Path(__file__).with_name("first_release.sql")
PASSWORD = "another one, of anna's own"
TOKEN = "look_-zY5bV9_uE9cTO1XldzJYtelBRPIDIQ3-0Tw5oQJmuY"
MODELS = (
    "User",
    "HostedCollection",
    "Membership",
    "ApiToken",
    "UploadedPicture",
    "SavedSearch",
    "Job",
    "WelcomeLink",
    "AuditEntry",
)
"""In an order in which each refers to those before it."""


@pytest.fixture
def first_release(django_db_setup, django_db_blocker, tmp_path):
    """The database of the first release in the place of the one of the tests."""
    with django_db_blocker.unblock():
        usual = connections["default"]
        make = old_sqlite if usual.vendor == "sqlite" else old_postgres
        old = make(usual, tmp_path)
        ContentType.objects.clear_cache()
        yield old
        old.close()
        connections["default"] = usual
        ContentType.objects.clear_cache()


def stand_in(usual, name):
    """Put a connection to a database of another name in the place of the usual one."""
    named = {**usual.settings_dict, "NAME": name, "CONN_MAX_AGE": 0}
    connections["default"] = type(usual)(named, "default")
    return connections["default"]


def old_sqlite(usual, place):
    with sqlite3.connect(place / "server.sqlite") as made:
        made.executescript(DUMP.read_text(encoding="utf-8"))
    made.close()
    return stand_in(usual, str(place / "server.sqlite"))


def old_postgres(usual, place):
    """The same rows in a database that has taken the first migration and no other."""
    name = f"first_release_{place.name[-12:]}".lower().replace("-", "_")
    with usual._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {usual.ops.quote_name(name)}")
    old = stand_in(usual, name)
    call_command("migrate", "web", "0001", verbosity=0)
    apps = MigrationExecutor(old).loader.project_state([("web", "0001_initial")]).apps
    models = [apps.get_model("web", each) for each in MODELS]
    with sqlite3.connect(":memory:") as read:
        read.executescript(DUMP.read_text(encoding="utf-8"))
        read.row_factory = sqlite3.Row
        for model in models:
            rows = read.execute(f"SELECT * FROM {model._meta.db_table}").fetchall()
            model._base_manager.bulk_create([model(**_fields(model, row)) for row in rows])
    read.close()
    with old.cursor() as cursor:
        for statement in old.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
    return old


def _fields(model, row):
    return {field.attname: _value(field, row[field.column]) for field in model._meta.fields}


def _value(field, stored):
    if isinstance(field, JSONField):
        return json.loads(stored)
    if isinstance(field, DateTimeField) and stored is not None:
        return DateTimeField().to_python(stored + "+00:00").astimezone(UTC)
    return field.to_python(stored)


def test_everything_of_the_first_release_still_works(first_release):
    call_command("migrate", verbosity=0, interactive=False)
    executor = MigrationExecutor(first_release)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    assert {user.username: user.is_staff for user in User.objects.all()} == {
        "owner": True,
        "anna": False,
    }
    assert AuditEntry.objects.count() == 3
    assert AuditEntry.first_broken() is None
    assert UploadedPicture.objects.get().token == "sent-in-the-first-release"
    assert SavedSearch.objects.get().query == {"address": "like=1&q=label%3Acat"}
    states = dict(Job.objects.values_list("kind", "state"))
    assert states == {"index": "done", "map": "paused"}
    anna = Client()
    signed = anna.post(reverse("login"), {"username": "anna", "password": PASSWORD})
    assert signed.status_code == 302
    page = anna.get(reverse("collections")).content.decode()
    assert "Photos" in page
    assert "Other" not in page
    job = Job.objects.get(kind="map")
    steered = anna.post(reverse("steer_job", args=["photos", job.pk, "resume"]))
    assert steered.status_code == 302
    assert Job.take("worker").pk == job.pk
    listed = Client().get("/api/v1/collections", headers={"Authorization": f"Bearer {TOKEN}"})
    assert [(each["name"], each["role"]) for each in listed.json()] == [("photos", "editor")]
    assert AuditEntry.first_broken() is None
    assert HostedCollection.objects.create(slug="new", title="New", path="/srv/new").pk > 2


def test_no_model_lacks_a_migration(db):
    told = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=told)
    assert "No changes" in told.getvalue()
