"""REST as it is written down, and against requests that nobody would make by hand."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lookalike.web.api import api
from lookalike.web.models import ApiToken, User

WRITTEN = Path(__file__).parents[2] / "docs" / "openapi.json"
N_REQUESTS = int(os.environ.get("LOOKALIKE_FUZZ", "5"))
"""Generated requests per route; `LOOKALIKE_FUZZ=500` looks longer."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def described():
    return json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), default=str))


def test_the_description_in_docs_is_the_one_that_holds():
    if os.environ.get("LOOKALIKE_WRITE_DOCS"):
        WRITTEN.write_text(json.dumps(described(), indent=2) + "\n", encoding="utf-8")
    assert json.loads(WRITTEN.read_text(encoding="utf-8")) == described(), (
        "REST has changed; write it down with: LOOKALIKE_WRITE_DOCS=1 pytest tests/web/test_rest.py"
    )


@cache
def read_schema():
    from lookalike.web.wsgi import application

    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)


ROUTES = [(path, method) for path, each in described()["paths"].items() for method in each]


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_no_request_brings_an_error_or_an_answer_that_is_not_written_down(path, method, people):
    token = ApiToken.make(User.objects.get(username="owner"), "fuzz", may_write=True, days=1)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    schema = read_schema()

    @given(case=schema[path][method.upper()].as_strategy(), is_ours=booleans())
    @settings(max_examples=N_REQUESTS, deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case, is_ours):
        if is_ours and "name" in case.path_parameters:
            case.path_parameters["name"] = "photos"
        case.call_and_validate(checks=CHECKS, headers=headers)

    ask()
