"""The server's database comes forward from every earlier version, with all that is in it."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

FIRST = [("web", "0001_initial")]


@pytest.fixture
def first(transactional_db):
    """The models as they were at first, in a database of that time."""
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    executor.migrate(FIRST)
    yield executor.loader.project_state(FIRST).apps
    MigrationExecutor(connection).migrate(newest)


def test_a_database_of_the_first_version_comes_forward_with_its_rows(first):
    user = first.get_model("web", "User").objects.create(username="ann", is_staff=True)
    collection = first.get_model("web", "HostedCollection").objects.create(
        slug="photos", title="Photos", path="/photos"
    )
    job = first.get_model("web", "Job").objects.create(
        collection=collection, created_by=user, kind="index", state="paused", n_done=7
    )
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    executor.migrate(newest)
    now = executor.loader.project_state(newest).apps
    kept = now.get_model("web", "Job").objects.get(pk=job.pk)
    assert (kept.kind, kept.state, kept.n_done) == ("index", "paused", 7)
    assert (kept.collection.slug, kept.created_by.username) == ("photos", "ann")
    run = now.get_model("web", "LearningRun").objects.create(
        title="Scenes", created_by=kept.created_by
    )
    assert run.state == "queued"
