"""Evaluations in the browser: what is refused, what is kept, what is shown of it."""

import csv
import json
import shutil
import uuid

import pytest
from django.urls import reverse

from lookalike import Collection
from lookalike.errors import UsageError
from lookalike.judging import judge_by, truth_of_labels
from lookalike.storage.annotations import Statement
from lookalike.web import evaluating
from lookalike.web.models import HostedCollection, Job, JobState
from tests.small_sets import write_masks
from tests.web.evaluations import write_evaluation

PLAIN = {"truth": "labels", "at": "1,5"}


@pytest.fixture
def worker(monkeypatch):
    from lookalike.web import worker as module

    monkeypatch.setattr(module, "LEASE_SECONDS", 600.0)  # no second thread at the database
    return module


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOKALIKE_ROOTS", str(tmp_path / "open"))
    return tmp_path


@pytest.fixture
def labeled(home, people, gallery):
    """The gallery with two labels, half the pictures each, hosted in place of the plain one."""
    place = shutil.copytree(gallery, home / gallery.name)
    with Collection.open(place, writable=True) as opened:
        said = [Statement(n, ("cat", "dog")[n % 2], True) for n in range(1, 13)]
        opened.catalog.knowledge.annotations.add("label", {}, said)
    HostedCollection.objects.update(path=str(place))
    return place


def start(people, **changes):
    return people.editor.post(
        reverse("start_evaluation", args=["photos"]), {**PLAIN, **changes}, follow=True
    )


def evaluated(people, worker, **changes):
    """The job of an evaluation that was asked for on the page and done by the worker."""
    start(people, **changes)
    worker.run_job(Job.take("one"))
    job = Job.objects.filter(kind="evaluate").order_by("-created").first()
    assert (job.error, job.state) == ("", JobState.DONE)
    return job


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"truth": "/etc"}, "does not lie below"),
        ({"at": "0"}, "no numbers of hits"),
        ({"at": ",".join(map(str, range(1, 20)))}, "no numbers of hits"),
        ({"at": "²"}, "no numbers of hits"),
        ({"queries": "0"}, "queries must be a number"),
        ({"seed": "-1"}, "seed must be a number"),
        ({"mixture": "beauty"}, "no descriptor"),
        ({"mixture": "own"}, "all weights are 0"),
        ({"mixture": "own", "weight-content": "nan"}, "weight of content"),
        ({"level": "words"}, "no level"),
    ],
)
def test_an_evaluation_that_makes_no_sense_is_refused_in_words(labeled, people, changes, words):
    assert words in start(people, **changes).content.decode()
    assert not Job.objects.exists()


def test_without_any_label_there_is_nothing_to_judge_by(home, people):
    assert (
        b"no picture was given a label"
        in people.editor.get(reverse("evaluate", args=["photos"])).content
    )
    assert b"label some, or choose a data set" in start(people).content


def test_what_is_kept_is_what_python_finds(labeled, people, worker):
    job = evaluated(people, worker, mixture="content")
    kept = evaluating.read_evaluation(job.collection, job.pk)
    with Collection.open(labeled) as collection:
        truth = truth_of_labels(collection)
        weights = {name: float(name == "content") for name in collection.catalog.descriptors}
        found = judge_by(collection, truth, at=(1, 5), weights=weights)
    assert kept["measures"] == json.loads(json.dumps(found.to_json()))
    assert [each["label"] for each in kept["labels"]] in (["cat", "dog"], ["dog", "cat"])
    assert kept["title"] == "content, own labels"
    assert job.report["headline"]["mAP"] == pytest.approx(
        kept["measures"]["mean_average_precision"]
    )


def test_a_data_set_below_the_roots_judges_with_its_label_maps(home, people, worker):
    masks = write_masks(home / "open" / "shapes", 12)
    collection = HostedCollection.objects.get()
    place = shutil.copytree(collection.folder, home / "own.lookalike")
    with Collection.open(place, writable=True) as opened:
        opened.add(masks / "images", workers=0)
    HostedCollection.objects.update(path=str(place))
    job = evaluated(people, worker, truth=str(masks))
    page = people.editor.get(reverse("evaluation", args=["photos", job.pk]))
    titles = [chart.title for chart in page.context["charts"]]
    assert titles == ["Precision", "Recall", "Precision against recall", "nDCG", "Layout overlap"]
    assert b"pictures of which nothing is known" in page.content


def test_evaluations_with_the_same_queries_are_compared_query_by_query(home, people, hosted):
    write_evaluation(hosted, uuid.UUID(int=1), title="One", values=(0.9, 0.8, 0.7, 0.6))
    write_evaluation(hosted, uuid.UUID(int=2), title="Two", values=(0.4, 0.3, 0.2, 0.1))
    address = reverse("evaluation", args=["photos", uuid.UUID(int=1)])
    page = people.editor.get(address, {"with": str(uuid.UUID(int=2))})
    [row] = page.context["comparison"]
    assert (row.first, row.second) == ("0.75", "0.25")
    assert row.difference.startswith("+0.500")
    names = [line.name for line in page.context["charts"][0].lines]
    assert names == ["One", "Two", "by chance"]


def test_evaluations_with_other_queries_are_only_drawn_together(home, people, hosted):
    write_evaluation(hosted, uuid.UUID(int=1))
    other = write_evaluation(hosted, uuid.UUID(int=2))
    place = home / "home" / "evaluations" / f"{other.pk}.json"
    content = json.loads(place.read_text())
    content["queries"]["ids"] = [1, 2, 3, 9]
    place.write_text(json.dumps(content))
    address = reverse("evaluation", args=["photos", uuid.UUID(int=1)])
    page = people.editor.get(address, {"with": str(other.pk)})
    assert page.context["comparison"] is None
    assert b"asked with other pictures" in page.content


def test_labels_on_most_pictures_are_pointed_out_and_left_out_next_time(labeled, people, worker):
    with Collection.open(labeled, writable=True) as opened:
        sky = [Statement(n, "sky", True) for n in range(1, 13)]
        opened.catalog.knowledge.annotations.add("label", {}, sky)
    job = evaluated(people, worker)
    page = people.editor.get(reverse("evaluation", args=["photos", job.pk]))
    assert page.context["common"] == ["sky"]
    again = evaluated(people, worker, **page.context["again"])
    assert again.options["without"] == ["sky"]
    assert again.report["headline"]["mAP"] < job.report["headline"]["mAP"] == 1.0


def test_an_evaluation_is_exported_whole_and_as_tables(home, people, hosted):
    job = write_evaluation(hosted, uuid.UUID(int=1))

    def exported(kind):
        address = reverse("export_evaluation", args=["photos", job.pk, kind])
        return people.editor.get(address).content.decode()

    assert json.loads(exported("json"))["title"] == "As it is"
    rows = csv.DictReader(exported("csv").splitlines())
    means = {(row["measure"], row["k"]): row["mean"] for row in rows}
    assert means["precision_at_k", "5"] == means["mean_average_precision", ""] == "0.5"
    assert next(csv.DictReader(exported("labels").splitlines()))["label"] == "cat"


def test_an_evaluation_of_another_collection_is_not_shown(home, people, hosted, gallery):
    other = HostedCollection.objects.create(slug="other", title="Other", path="/nowhere")
    job = write_evaluation(other, uuid.UUID(int=1))
    address = reverse("evaluation", args=["photos", job.pk])
    assert people.editor.get(address).status_code == 404


def test_weights_of_a_program_are_checked_like_those_of_a_form(labeled):
    with Collection.open(labeled) as collection:
        with pytest.raises(UsageError, match="no descriptor 'beauty'"):
            evaluating.checked_weights({"beauty": 1.0}, collection)
        with pytest.raises(UsageError, match="all weights are 0"):
            evaluating.checked_weights({"content": 0.0}, collection)
        assert evaluating.checked_weights({"content": 2.0}, collection)["content"] == 2.0
