"""The typed client against a real server: what it returns is what Python returns."""

import uuid

import pytest

from lookalike import Collection, IdExample, Query
from lookalike.client import Client
from lookalike.errors import EnvironmentFault, LookalikeError, UsageError
from lookalike.web.models import ApiToken, User
from tests.web.conftest import N
from tests.web.evaluations import write_evaluation


@pytest.fixture
def client(live_server, people):
    token = ApiToken.make(User.objects.get(username="viewer"), "t", may_write=False, days=1)
    with Client(live_server.url, token) as opened:
        yield opened


def test_a_server_answers_as_the_collection_does(client, gallery):
    query = Query((IdExample(3),), weights={"content": 1.0, "layout": 2.0})
    with Collection.open(gallery) as collection:
        hits = collection.search(query, 5)
    found = client.search("photos", query, 5)
    assert [hit.id for hit in found.hits] == hits.ids[0].tolist()
    assert [hit.score for hit in found.hits] == hits.scores[0].tolist()


def test_it_lists_collections_and_images(client):
    [only] = client.collections()
    assert (only.name, only.images, only.role) == ("photos", N, "viewer")
    assert [each["id"] for each in client.images("photos", [2, 1, 999])] == [2, 1]


def test_a_file_is_sent_and_searched_with(client, gallery):
    [record] = Collection.open(gallery).images([7])
    found = client.search_picture("photos", record.paths[0].decode(), 3)
    assert found.hits[0].id == 7
    assert len(client.upload(record.paths[0].decode())) > 20


def test_what_is_wrong_is_told_in_the_words_of_the_server(client):
    with pytest.raises(LookalikeError, match="no image with id 999"):
        client.search("photos", Query((IdExample(999),)))
    with pytest.raises(LookalikeError, match="no such collection"):
        client.search("nothing", Query((IdExample(1),)))
    with pytest.raises(UsageError, match="cannot be read"):
        client.upload("/nowhere.jpg")


def test_without_a_server_or_a_token_it_says_so(monkeypatch):
    monkeypatch.delenv("LOOKALIKE_TOKEN", raising=False)
    with pytest.raises(UsageError, match="token"):
        Client("http://127.0.0.1:9")
    with (
        Client("http://127.0.0.1:9", "look_x", patience=0) as client,
        pytest.raises(EnvironmentFault),
    ):
        client.collections()


@pytest.fixture
def staff(live_server, people, tmp_path, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    token = ApiToken.make(User.objects.get(username="staff"), "t", may_write=True, days=1)
    with Client(live_server.url, token) as opened:
        yield opened


def test_a_model_is_ordered_watched_and_cancelled(staff):
    run = staff.learning.start(
        "Scenes", "scenes:50", recipe="quick", minutes=5, changes={"epochs": 3}
    )
    told = staff.learning.get(run)
    assert (told["state"], told["minutes"], told["recipe"]["epochs"]) == ("queued", 5, 3)
    with pytest.raises(LookalikeError, match="not learned to its end"):
        staff.learning.use(run, "Mine", "/")
    with pytest.raises(LookalikeError, match="already"):
        staff.learning.start("scenes", "scenes:50")
    assert staff.learning.steer(run, "cancel")["state"] == "cancelled"


def test_an_evaluation_is_read_as_it_was_kept(staff, hosted):
    kept = write_evaluation(hosted, uuid.UUID(int=1))
    assert staff.evaluations.get("photos", str(kept.pk))["headline"] == {"mAP": 0.5}
    assert staff.evaluations.report("photos", str(kept.pk))["measures"]["prevalence"] == 0.25
    with pytest.raises(LookalikeError, match="was given a label"):
        staff.evaluations.start("photos", weights={"content": 1.0})


def test_those_who_are_not_staff_learn_nothing(client):
    with pytest.raises(LookalikeError, match="only reads"):
        client.learning.start("Scenes", "scenes:50")
    with pytest.raises(LookalikeError, match="no such page"):
        client.learning.get(str(uuid.UUID(int=1)))
