"""The typed client against a real server: what it returns is what Python returns."""

import pytest

from lookalike import Collection, IdExample, Query
from lookalike.client import Client
from lookalike.errors import EnvironmentFault, LookalikeError, UsageError
from lookalike.web.models import ApiToken, User
from tests.web.conftest import N


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
