"""What the command line changes beside a running server: no hit of before is shown again."""

import re
import subprocess
import sys

import pytest
from django.urls import reverse

from lookalike import Collection
from lookalike.knowing.deduplicating import decide
from lookalike.knowing.noting import annotate_ids
from tests.web.copies import HALF, SMALL, copy_of


@pytest.fixture
def gallery(gallery, tmp_path):
    own = copy_of(gallery, tmp_path)
    with Collection.open(own, writable=True) as collection:
        decide(collection, "same", [1, HALF, SMALL])
        annotate_ids(collection, [5], labels=("beach",), attributes={"photographer": "Anna"})
    return own


def command(*words):
    subprocess.run([sys.executable, "-m", "lookalike", *map(str, words)], check=True)


def shown(browser, **asked):
    response = browser.get(reverse("search", args=["photos"]), asked)
    assert response.status_code == 200
    return set(re.findall(r'/c/photos/i/(\d+)/"', response.content.decode()))


def test_a_label_from_the_command_line_is_found_at_once(viewer, gallery):
    assert shown(viewer, q="label:beach") == {"5"}
    command("label", "add", gallery, "beach", "--id", 7)
    assert shown(viewer, q="label:beach") == {"5", "7"}


@pytest.mark.slow
def test_facts_and_decisions_from_the_command_line_are_found_at_once(viewer, gallery):
    by_anna, copies = "photographer:Anna", {str(HALF), str(SMALL)}
    assert shown(viewer, q=by_anna) == shown(viewer, q="label:beach") == {"5"}
    command("annotate", gallery, "--id", 9, "--set", "photographer=Anna", "--label", "beach")
    assert shown(viewer, q=by_anna) == shown(viewer, q="label:beach") == {"5", "9"}
    assert len(shown(viewer, like="1", hide="duplicates") & copies) == 1
    command("duplicates", gallery, "--decide", f"different=1,{HALF},{SMALL}")
    assert copies < shown(viewer, like="1", hide="duplicates")


@pytest.mark.slow
def test_pictures_that_go_are_seen_at_once(viewer, gallery, tmp_path):
    before = shown(viewer, like="1")
    assert str(SMALL) in before
    (tmp_path / "more" / "b.jpg").unlink()
    command("index", gallery, tmp_path / "more")
    assert shown(viewer, like="1") == before - {str(SMALL)}
