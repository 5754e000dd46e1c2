"""What those who run a server look at: health, figures, logs, faults, overload."""

import json
import logging
import os

from django.db import connection
from django.test import Client
from django.urls import reverse

from lookalike.web import settings
from lookalike.web.logs import JsonLines
from lookalike.web.models import ApiToken, User


def test_a_healthy_server_says_so(db):
    assert Client().get(reverse("live")).content == b"ok\n"
    assert Client().get(reverse("ready")).content == b"ok\n"


def test_figures_count_requests_and_name_nobody(people):
    people.viewer.get(reverse("search", args=["photos"]))
    token = ApiToken.make(User.objects.get(username="staff"), "p", may_write=False, days=1)
    text = Client(headers={"Authorization": f"Bearer {token}"}).get(reverse("metrics")).content
    assert b'lookalike_request_seconds_count{route="search",status="200"}' in text
    assert b"photos" not in text
    assert b"viewer" not in text


def test_a_line_of_the_log_is_one_json_object_whatever_a_name_holds():
    record = logging.LogRecord("n", logging.INFO, "f", 1, "GET %s", ("/a\nb\x1b[2J\u202e",), None)
    record.ms = 3.5
    line = JsonLines().format(record)
    assert "\n" not in line
    assert line.isascii()
    assert json.loads(line)["ms"] == 3.5


def test_a_page_that_is_not_there_shows_no_trace(viewer):
    answer = viewer.get("/nothing/at/all")
    assert answer.status_code == 404
    assert b"Traceback" not in answer.content
    assert settings.DEBUG is False


def test_the_database_is_the_one_that_was_named(db):
    is_postgres = bool(os.environ.get("LOOKALIKE_TEST_DATABASE"))
    assert connection.vendor == ("postgresql" if is_postgres else "sqlite")
