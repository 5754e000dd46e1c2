"""Every address against every kind of person; an address without a row here fails."""

import uuid

import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from lookalike.storage.backups import back_up
from lookalike.web import backups, trainings
from lookalike.web.api import api
from lookalike.web.models import Backup, Job, LearningRun, ServerBackupJob
from tests.web.evaluations import write_evaluation

KINDS = ("anonymous", "other", "viewer", "editor", "owner", "staff")
IN, GONE, OUT, BAD = "in", 404, "login", "bad request"

ALL = dict.fromkeys(KINDS, IN)
SIGNED_IN = {**ALL, "anonymous": OUT}
STAFF = {**dict.fromkeys(KINDS, GONE), "anonymous": OUT, "staff": IN}
VIEWERS = {**SIGNED_IN, "other": GONE}
EDITORS = {**VIEWERS, "viewer": GONE}
OWNERS = {**EDITORS, "editor": GONE}

NOBODY = {**dict.fromkeys(KINDS, GONE), "anonymous": OUT}

IMAGE = {"slug": "photos", "image_id": 1}
COLLECTION = {"slug": "photos"}
BACKUP = {"slug": "photos", "backup_id": uuid.UUID(int=8)}
JOB = {"slug": "photos", "job_id": uuid.UUID(int=7)}
EVALUATION = {"slug": "photos", "job_id": uuid.UUID(int=8)}
RUN = {"run_id": uuid.UUID(int=9)}
SERVER_JOB = {"job_id": uuid.UUID(int=10)}
SERVER_BACKUP = {"backup_id": uuid.UUID(int=8)}

ROUTES = {
    "start": ("get", {}, SIGNED_IN),
    "login": ("get", {}, ALL),
    "logout": ("post", {}, ALL),
    "welcome": ("get", {"secret": "nothing"}, ALL),
    "account": ("get", {}, SIGNED_IN),
    "make_token": ("post", {}, SIGNED_IN),
    "revoke_token": ("post", {"token_id": 1}, SIGNED_IN),
    "people": ("get", {}, STAFF),
    "audit": ("get", {}, STAFF),
    "collections": ("get", {}, SIGNED_IN),
    "learn": ("get", {}, STAFF),
    "start_learning": ("post", {}, STAFF),
    "learning_run": ("get", RUN, STAFF),
    "steer_learning": ("post", {**RUN, "action": "pause"}, STAFF),
    "use_model": ("post", RUN, STAFF),
    "delete_learning": ("post", RUN, STAFF),
    "learning_examples": ("get", RUN, STAFF),
    "learning_history": ("get", RUN, STAFF),
    "search": ("get", COLLECTION, VIEWERS),
    "suggest": ("get", COLLECTION, VIEWERS),
    "details": ("get", COLLECTION, EDITORS),
    "index": ("post", COLLECTION, EDITORS),
    "share": ("post", COLLECTION, OWNERS),
    "verify": ("post", COLLECTION, EDITORS),
    "make_backup": ("post", COLLECTION, OWNERS),
    "backup_file": ("get", BACKUP, OWNERS),
    "delete_backup": ("post", BACKUP, OWNERS),
    "restore_backup": ("post", BACKUP, OWNERS),
    "server_backups": ("get", {}, STAFF),
    "server_job": ("get", SERVER_JOB, STAFF),
    "steer_server_job": ("post", {**SERVER_JOB, "action": "pause"}, STAFF),
    "any_backup_file": ("get", {"backup_id": uuid.UUID(int=8)}, STAFF),
    "delete_any_backup": ("post", {"backup_id": uuid.UUID(int=8)}, STAFF),
    "browse": ("get", COLLECTION, VIEWERS),
    "cluster": ("get", {**COLLECTION, "number": 0}, VIEWERS),
    "subjects": ("get", COLLECTION, VIEWERS),
    "map": ("get", COLLECTION, VIEWERS),
    "map_points": ("get", COLLECTION, VIEWERS),
    "atlas": ("get", {**COLLECTION, "key": "0" * 32, "number": 0}, VIEWERS),
    "group": ("post", {**COLLECTION, "kind": "clusters"}, EDITORS),
    "picked": ("post", COLLECTION, VIEWERS),
    "image": ("get", IMAGE, VIEWERS),
    "thumbnail": ("get", IMAGE, VIEWERS),
    "large": ("get", IMAGE, VIEWERS),
    "layout": ("get", IMAGE, VIEWERS),
    "original": ("get", IMAGE, VIEWERS),
    "label": ("get", COLLECTION, EDITORS),
    "label_pictures": ("post", COLLECTION, EDITORS),
    "label_clusters": ("post", COLLECTION, EDITORS),
    "label_preview": ("get", COLLECTION, EDITORS),
    "label_propagate": ("post", COLLECTION, EDITORS),
    "label_review": ("get", COLLECTION, EDITORS),
    "label_undo": ("post", COLLECTION, EDITORS),
    "duplicates": ("get", COLLECTION, VIEWERS),
    "decide_duplicates": ("post", COLLECTION, EDITORS),
    "find_duplicates": ("post", COLLECTION, EDITORS),
    "removable_duplicates": ("get", COLLECTION, VIEWERS),
    "save_search": ("post", COLLECTION, VIEWERS),
    "delete_search": ("post", {**COLLECTION, "search_id": 1}, VIEWERS),
    "export": ("get", {**COLLECTION, "kind": "csv"}, VIEWERS),
    "evaluate": ("get", COLLECTION, EDITORS),
    "start_evaluation": ("post", COLLECTION, EDITORS),
    "evaluation": ("get", EVALUATION, EDITORS),
    "export_evaluation": ("get", {**EVALUATION, "kind": "csv"}, EDITORS),
    "job": ("get", JOB, VIEWERS),
    "steer_job": ("post", {**JOB, "action": "pause"}, EDITORS),
    "upload": ("post", {}, SIGNED_IN),
    "uploaded": ("get", {"token": "nothing"}, SIGNED_IN),
    "live": ("get", {}, ALL),
    "ready": ("get", {}, ALL),
    "metrics": ("get", {}, {**dict.fromkeys(KINDS, GONE), "staff": IN}),
}

ONE_JOB = {"name": "photos", "job_id": uuid.UUID(int=7)}
NAMED = {"name": "photos"}
ONE_BACKUP = {**NAMED, "backup_id": uuid.UUID(int=8)}
ONE_EVALUATION = {"name": "photos", "job_id": uuid.UUID(int=8)}
API_ROUTES = {
    "list_collections": ("get", {}, SIGNED_IN),
    "get_collection": ("get", NAMED, VIEWERS),
    "get_status": ("get", NAMED, EDITORS),
    "search": ("post", NAMED, VIEWERS),
    "search_picture": ("post", NAMED, SIGNED_IN),
    "export_list": ("post", {**NAMED, "kind": "csv"}, VIEWERS),
    "upload": ("post", {}, SIGNED_IN),
    "images": ("get", NAMED, VIEWERS),
    "get_known": ("get", {**NAMED, "image_id": 1}, VIEWERS),
    "list_jobs": ("get", NAMED, VIEWERS),
    "make_job": ("post", NAMED, EDITORS),
    "get_job": ("get", ONE_JOB, VIEWERS),
    "steer_job": ("post", {**ONE_JOB, "action": "pause"}, EDITORS),
    "list_searches": ("get", NAMED, VIEWERS),
    "make_search": ("post", NAMED, VIEWERS),
    "get_search": ("get", {**NAMED, "search_id": 1}, NOBODY),
    "forget_search": ("delete", {**NAMED, "search_id": 1}, NOBODY),
    "list_clusterings": ("get", NAMED, VIEWERS),
    "get_clusters": ("get", {**NAMED, "of": "content"}, VIEWERS),
    "list_maps": ("get", NAMED, VIEWERS),
    "get_map": ("get", {**NAMED, "of": "content"}, VIEWERS),
    "get_subjects": ("get", NAMED, VIEWERS),
    "list_labels": ("get", NAMED, VIEWERS),
    "propose_label": ("get", NAMED, EDITORS),
    "add_labels": ("post", NAMED, EDITORS),
    "preview_labels": ("get", NAMED, EDITORS),
    "propagate_labels": ("post", NAMED, EDITORS),
    "list_doubts": ("get", NAMED, EDITORS),
    "answer_doubts": ("post", NAMED, EDITORS),
    "list_actions": ("get", NAMED, EDITORS),
    "undo_labels": ("post", NAMED, EDITORS),
    "list_duplicates": ("get", NAMED, VIEWERS),
    "list_removable": ("get", NAMED, VIEWERS),
    "list_decisions": ("get", NAMED, VIEWERS),
    "make_decision": ("post", NAMED, EDITORS),
    "list_backups": ("get", NAMED, OWNERS),
    "make_backup": ("post", NAMED, OWNERS),
    "get_backup_file": ("get", ONE_BACKUP, OWNERS),
    "forget_backup": ("delete", ONE_BACKUP, OWNERS),
    "restore_from": ("post", ONE_BACKUP, OWNERS),
    "list_server_backups": ("get", {}, STAFF),
    "make_server_backup": ("post", {}, STAFF),
    "get_server_job": ("get", SERVER_JOB, STAFF),
    "steer_server_job": ("post", {**SERVER_JOB, "action": "pause"}, STAFF),
    "get_server_backup_file": ("get", SERVER_BACKUP, NOBODY),
    "forget_server_backup": ("delete", SERVER_BACKUP, NOBODY),
    "list_learning": ("get", {}, STAFF),
    "look_at_dataset": ("get", {}, STAFF),
    "start_learning": ("post", {}, STAFF),
    "get_learning": ("get", RUN, STAFF),
    "delete_learned": ("delete", RUN, STAFF),
    "use_learned": ("post", RUN, STAFF),
    "steer_learning": ("post", {**RUN, "action": "pause"}, STAFF),
    "list_evaluations": ("get", {"name": "photos"}, EDITORS),
    "start_evaluation": ("post", {"name": "photos"}, EDITORS),
    "get_evaluation": ("get", ONE_EVALUATION, EDITORS),
    "evaluation_report": ("get", ONE_EVALUATION, EDITORS),
    "cancel_evaluation": ("post", ONE_EVALUATION, EDITORS),
}
SENT = {
    "search": {"query": {"positives": [{"id": 1}]}},
    "make_job": {"kind": "index"},
    "make_search": {"name": "mine", "query": {"positives": [{"id": 1}]}},
    # Nothing is said that would change the collection, which other tests read.
    "add_labels": {"labels": ["cat"]},
    "answer_doubts": {"label": "cat"},
    "make_decision": {"verdict": "forget", "images": [999]},
    "undo_labels": {"action": 0},
    "propagate_labels": {},
    "export_list": {"ids": [1]},
    "restore_from": {},
    "start_learning": {"title": "Any", "dataset": "scenes:5"},
    "use_learned": {"title": "Any", "source": "/"},
    "start_evaluation": {},
}
ASKED = {"images": "?ids=x", "look_at_dataset": "?dataset=scenes:5"}


@pytest.fixture
def things(hosted, tmp_path, monkeypatch):
    """A job, an evaluation and a model that was learned, with the files that they have."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    Job.objects.create(pk=uuid.UUID(int=7), collection=hosted, kind="index")
    ServerBackupJob.objects.create(pk=uuid.UUID(int=10))
    write_evaluation(hosted, uuid.UUID(int=8))
    order = {"dataset": "scenes:5", "recipe": {}, "minutes": None}
    run = LearningRun.objects.create(pk=uuid.UUID(int=9), title="Scenes", options=order)
    folder = trainings.folder_of(run)
    (folder / "model.training").mkdir(parents=True)
    (folder / "examples.webp").write_bytes(b"RIFF")
    (folder / "model.training" / "history.csv").write_text("stage,epoch\n")


def page_routes():
    return {each.name for each in get_resolver().url_patterns if hasattr(each, "name")}


def api_operations():
    return {
        operation.operation_id or operation.view_func.__name__: operation
        for _, router in api._routers
        for view in router.path_operations.values()
        for operation in view.operations
    }


def test_every_address_has_a_row():
    assert page_routes() == set(ROUTES)
    assert {each.view_func.__name__ for each in api_operations().values()} == set(API_ROUTES)


def keep_backup(hosted):
    """A backup that each person in turn could take along or delete."""
    facts = {"made": timezone.now(), "n_images": 24, "n_bytes": 1, "checksum": "0" * 64}
    backup, _ = Backup.objects.get_or_create(
        pk=uuid.UUID(int=8), defaults={"collection": hosted, "name": "Photos", **facts}
    )
    place = backups.place_of(backup.pk)
    if not place.exists():
        back_up(hosted.folder, place)


def check(response, expected, is_api):
    if expected == GONE:
        assert response.status_code == 404
    elif expected == OUT and is_api:
        assert response.status_code == 401
    elif expected == OUT:
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/login/")
    else:
        assert response.status_code not in (401, 403, 404), response.content[:300]
        assert response.status_code < 500, response.content[:300]
        assert not response.headers.get("Location", "").startswith("/login/?next")


@pytest.mark.parametrize("name", ROUTES)
def test_a_page_is_open_to_whom_it_should_be(name, people, things, hosted):
    method, words, expected = ROUTES[name]
    for kind, browser in people:
        if "backup_id" in words:
            keep_backup(hosted)
        response = getattr(browser, method)(reverse(name, kwargs=words))
        check(response, expected[kind], is_api=False)


@pytest.mark.parametrize("name", API_ROUTES)
def test_rest_is_open_to_whom_it_should_be(name, people, things, hosted):
    method, words, expected = API_ROUTES[name]
    address = reverse(f"api:{name}", kwargs=words) + ASKED.get(name, "")
    for kind, browser in people:
        if "backup_id" in words:
            keep_backup(hosted)
        response = getattr(browser, method)(
            address, SENT.get(name), content_type="application/json"
        )
        check(response, expected[kind], is_api=True)


def test_pages_of_a_collection_do_not_tell_whether_it_exists(people):
    for slug in ("photos", "nothing"):
        response = people.other.get(reverse("search", args=[slug]))
        assert response.status_code == 404
        assert b"photos" not in response.content.replace(b"/c/photos/", b"").lower()


def test_what_others_add_changes_nothing_a_person_sees(people):
    before = people.other.get(reverse("collections"))
    assert b"Photos" not in before.content
    assert b"There is no collection yet" in before.content
