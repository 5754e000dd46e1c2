"""Long work: taken once, renewed, paused, taken again when its worker has died."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from lookalike import Collection
from lookalike.web.models import HostedCollection, Job, JobState, Wish
from lookalike.web.registering import owner, register
from tests.small_sets import write_pictures
from tests.tiny_model import write_tiny_model
from tests.web.conftest import N


@pytest.fixture
def worker():
    from lookalike.web import worker as module

    return module


@pytest.fixture
def fresh(db, tmp_path):
    """A hosted collection, made but empty, and a folder of pictures for it."""
    write_tiny_model(tmp_path / "model")
    write_pictures(tmp_path / "pictures", N)
    Collection.create(tmp_path / "new.lookalike", model=tmp_path / "model").close()
    return HostedCollection.objects.create(
        slug="new",
        title="New",
        path=str(tmp_path / "new.lookalike"),
        sources=[str(tmp_path / "pictures")],
    )


def job_for(hosted):
    return Job.objects.create(collection=hosted, kind="index", options={"sources": hosted.sources})


def test_a_job_indexes_and_reports(fresh, worker):
    job_for(fresh)
    worker.run_job(Job.take("one"))
    job = Job.objects.get()
    assert job.state == JobState.DONE
    assert job.report["indexed"] == N
    with Collection.open(fresh.folder) as collection:
        assert len(collection) == N


def test_a_job_is_taken_by_one_worker_alone(fresh):
    job_for(fresh)
    assert Job.take("one") is not None
    assert Job.take("two") is None


def test_the_job_of_a_dead_worker_is_taken_by_another_and_the_first_is_refused(fresh):
    job_for(fresh)
    first = Job.take("one")
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    second = Job.take("two")
    assert second is not None
    assert first.renew() is None
    assert first.end(JobState.DONE) is False
    assert second.end(JobState.DONE) is True


@pytest.mark.parametrize(
    ("wish", "state"), [(Wish.PAUSE, JobState.PAUSED), (Wish.CANCEL, JobState.CANCELLED)]
)
def test_a_wish_stops_a_job_which_can_go_on_later(fresh, worker, wish, state):
    job = job_for(fresh)
    taken = Job.take("one")
    Job.objects.update(wish=wish)
    worker.run_job(taken)
    job.refresh_from_db()
    assert job.state == state
    Job.objects.update(state=JobState.QUEUED)
    worker.run_job(Job.take("one"))
    assert Job.objects.get().state == JobState.DONE


def test_a_fault_is_told_in_words(fresh, worker):
    Job.objects.create(collection=fresh, kind="index", options={"sources": ["/nowhere/at/all"]})
    worker.run_job(Job.take("one"))
    job = Job.objects.get()
    assert job.state == JobState.FAILED
    assert "/nowhere/at/all" in job.error


def test_a_folder_is_registered_once_and_indexed(db, tmp_path):
    write_pictures(tmp_path / "Holiday", 2)
    first = register(tmp_path / "Holiday", owner())
    assert register(tmp_path / "Holiday", owner()) == first
    assert first.title == "Holiday"
    assert Job.objects.count() == 1


def test_a_watched_job_is_asked_for_until_it_is_over(people, hosted):
    job = job_for(hosted)
    address = reverse("job", args=["photos", job.pk])
    headers = {"HX-Request": "true"}
    assert b"every 1s" in people.viewer.get(address, headers=headers).content
    Job.objects.update(state=JobState.DONE, report={"indexed": 1, "failed": []})
    answer = people.viewer.get(address, headers=headers)
    assert answer.status_code == 286
    assert b"every 1s" not in answer.content


def test_pictures_are_seen_while_they_are_indexed(people, hosted):
    job = job_for(hosted)
    headers, address = (
        {"HX-Request": "true", "HX-Target": "hits"},
        reverse("search", args=["photos"]),
    )
    assert f"?seen={N}" in people.viewer.get(address).content.decode()
    assert people.viewer.get(address, {"seen": N}, headers=headers).status_code == 204
    newer = people.viewer.get(address, {"seen": N - 1}, headers=headers)
    assert newer.content.decode().count("small.webp") == N
    job.delete()
    assert b"seen=" not in people.viewer.get(address, {"seen": N}, headers=headers).content


def test_a_page_without_pictures_goes_on_as_soon_as_there_are_some(people, hosted):
    job = job_for(hosted)
    address, headers = reverse("job", args=["photos", job.pk]), {"HX-Request": "true"}
    answer = people.viewer.get(address, {"reload": "made"}, headers=headers)
    assert answer.headers["HX-Refresh"] == "true"
    HostedCollection.objects.update(path="/nowhere")
    assert b"reload=made" in people.viewer.get(reverse("search", args=["photos"])).content
    answer = people.viewer.get(address, {"reload": "made"}, headers=headers)
    assert "HX-Refresh" not in answer.headers
