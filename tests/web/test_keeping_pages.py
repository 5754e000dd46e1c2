"""Whether a collection is sound, and its backups, as people see them."""

import io
import os
import shutil
import sqlite3
import tarfile
import time

import pytest
from django.db import connection
from django.urls import reverse

from lookalike import Collection
from lookalike.storage.backups import check_backup
from lookalike.web import backups, server_backups, worker
from lookalike.web.home import ServerHome
from lookalike.web.models import (
    AuditEntry,
    Backup,
    HostedCollection,
    Job,
    JobState,
    Membership,
    ServerBackupJob,
    User,
)
from tests.killing import failpoints_of, kill_at
from tests.web.conftest import N


@pytest.fixture
def own(gallery, hosted, tmp_path):
    """The hosted collection, which a test may damage."""
    hosted.path = str(shutil.copytree(gallery, tmp_path / "own.lookalike"))
    hosted.save()
    return hosted


def do(browser, name, follow=True, **words):
    """Ask for something and do what was asked."""
    sent = words.pop("sent", {})
    response = browser.post(reverse(name, args=["photos", *words.values()]), sent)
    job = Job.take("one")
    if job is not None:
        worker.run_job(job)
        job.refresh_from_db()
    return job or response


def details(browser):
    return browser.get(reverse("details", args=["photos"])).content.decode()


def test_a_verification_tells_what_it_found_by_name(people, own):
    assert "Nobody has looked yet" in details(people.editor)
    job = do(people.editor, "verify")
    assert (job.state, job.report["clean"]) == (JobState.DONE, True)
    assert f"{N} pictures" in details(people.editor)
    [rows] = (own.folder / "index").glob("layout-*.rows.npy")
    rows.unlink()
    job = do(people.editor, "verify")
    page = details(people.editor)
    assert "Not sound: 1 finding" in page
    assert f"index/layout.json: its file {rows.name} is missing" in page
    watched = people.viewer.get(reverse("job", args=["photos", job.pk])).content.decode()
    assert rows.name in watched
    assert str(own.folder) not in watched


def test_a_backup_is_listed_with_date_size_and_checksum_for_owners(people, own):
    job = do(people.owner, "make_backup")
    kept = Backup.objects.get()
    assert check_backup(backups.place_of(kept.pk)).checksum == kept.checksum
    assert kept.pk == job.pk
    page = details(people.owner)
    assert kept.checksum in page
    assert f"{kept.made:%Y-%m-%d %H:%M}" in page
    assert "Back up now" not in details(people.editor)
    assert kept.checksum not in details(people.editor)


def test_a_backup_is_downloaded_whole(people, own):
    do(people.owner, "make_backup")
    kept = Backup.objects.get()
    response = people.owner.get(reverse("backup_file", args=["photos", kept.pk]))
    data = b"".join(response.streaming_content)
    assert len(data) == int(response.headers["Content-Length"])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        manifest = archive.extractfile(next(each for each in names if "collection.json" in each))
        assert manifest.read() == (own.folder / "collection.json").read_bytes()
    assert len({name.partition("/")[0] for name in names}) == 1
    assert AuditEntry.objects.filter(what="backup taken along").exists()


def test_a_backup_becomes_a_new_collection_of_whoever_restored_it(people, own):
    do(people.owner, "make_backup")
    kept = Backup.objects.get()
    job = do(people.owner, "restore_backup", backup=kept.pk, sent={"title": "Once more"})
    made = HostedCollection.objects.get(title="Once more")
    assert job.report == {"name": made.slug, "title": "Once more", "images": N}
    assert [each.user.username for each in Membership.objects.filter(collection=made)] == ["owner"]
    assert people.editor.get(reverse("search", args=[made.slug])).status_code == 404
    with Collection.open(made.folder) as found, Collection.open(own.folder) as before:
        assert found.search(3).scores.tolist() == before.search(3).scores.tolist()
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)  # done again after a kill
    worker.run_job(Job.take("two"))
    assert HostedCollection.objects.filter(title="Once more").count() == 1


def test_a_damaged_backup_is_told_and_makes_nothing(people, own):
    do(people.owner, "make_backup")
    kept = Backup.objects.get()
    (backups.place_of(kept.pk) / "catalog.sqlite").write_bytes(b"no")
    job = do(people.owner, "restore_backup", backup=kept.pk, sent={"title": "Broken"})
    assert job.state == JobState.FAILED
    assert "catalog.sqlite is not as it was written" in job.error
    assert not HostedCollection.objects.filter(title="Broken").exists()


def test_what_could_not_be_finished_takes_no_room(people, own):
    next((own.folder / "index").glob("content-*.rows.npy")).unlink()
    (own.folder / "model" / "network.onnx").write_bytes(b"no")
    job = do(people.owner, "make_backup")
    assert job.state == JobState.FAILED
    assert list(ServerHome.from_environment().backups.glob(f"*{job.pk}*")) == []


def test_jobs_of_owners_are_none_of_others_concern(people, own):
    job = do(people.owner, "make_backup")
    for browser in (people.viewer, people.editor):
        assert browser.get(reverse("job", args=["photos", job.pk])).status_code == 404
        steer = browser.post(reverse("steer_job", args=["photos", job.pk, "cancel"]))
        assert steer.status_code == 404
        assert browser.get(reverse("api:list_jobs", args=["photos"])).json() == []
        assert browser.get(reverse("api:get_job", args=["photos", job.pk])).status_code == 404
    assert str(job.pk) not in details(people.editor)
    assert str(job.pk) in details(people.owner)


def test_a_deleted_backup_is_gone(people, own):
    do(people.owner, "make_backup")
    kept = Backup.objects.get()
    do(people.owner, "delete_backup", backup=kept.pk)
    assert not Backup.objects.exists()
    assert not backups.place_of(kept.pk).exists()


@pytest.mark.django_db(transaction=True)  # SQLite copies no file that is being changed
def test_staff_see_all_backups_and_copy_the_server(people, own):
    do(people.owner, "make_backup")
    answer = people.staff.post(reverse("server_backups"), follow=True)
    if connection.vendor != "sqlite":
        assert "copy them with its tools" in answer.content.decode()
        return
    assert "Waiting for the worker" in answer.content.decode()
    people.staff.post(reverse("server_backups"))  # a second one would show the same
    job = ServerBackupJob.take("one")
    worker.run_job(job)
    shown = people.staff.get(reverse("server_job", args=[job.pk]))
    assert (shown.status_code, shown.headers["HX-Refresh"]) == (286, "true")
    assert ServerBackupJob.take("one") is None
    of_server = Backup.objects.get(is_of_server=True)
    check_backup(backups.place_of(of_server.pk))
    page = people.staff.get(reverse("server_backups")).content.decode()
    assert all(each.checksum in page for each in Backup.objects.all())
    response = people.staff.get(reverse("any_backup_file", args=[of_server.pk]))
    with tarfile.open(fileobj=io.BytesIO(b"".join(response.streaming_content))) as archive:
        assert any(name.endswith("server.sqlite") for name in archive.getnames())
    assert of_server.checksum not in details(people.owner)
    assert (
        people.owner.get(reverse("backup_file", args=["photos", of_server.pk])).status_code == 404
    )
    people.staff.post(reverse("delete_any_backup", args=[of_server.pk]))
    assert not backups.place_of(of_server.pk).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has tools of its own")
def test_a_copy_of_the_server_whose_worker_was_killed_is_made_once(people):
    job = server_backups.ask(User.objects.get(username="staff"))
    unfinished = backups.unfinished_place(backups.place_of(job.pk))
    unfinished.mkdir(parents=True)
    (unfinished / "server.sqlite").write_bytes(b"half")
    for _ in range(2):  # the second time between copying and telling so
        Backup.objects.all().delete()
        ServerBackupJob.objects.update(state=JobState.QUEUED)
        worker.run_job(ServerBackupJob.take("one"))
        assert ServerBackupJob.objects.get().state == JobState.DONE
    kept = Backup.objects.get()
    assert check_backup(backups.place_of(kept.pk)).checksum == kept.checksum
    assert not unfinished.exists()
    copied = backups.place_of(kept.pk) / "server.sqlite"
    with sqlite3.connect(copied) as read:
        assert read.execute("SELECT count(*) FROM web_user").fetchone() == (5,)
    read.close()
    backups.delete(kept)


def test_a_copy_of_the_server_is_cancelled_before_it_begins(people):
    if connection.vendor != "sqlite":
        return
    people.staff.post(reverse("server_backups"))
    [job] = ServerBackupJob.objects.all()
    people.staff.post(reverse("steer_server_job", args=[job.pk, "cancel"]))
    assert ServerBackupJob.objects.get().state == JobState.CANCELLED
    assert ServerBackupJob.take("one") is None


def test_a_killed_backup_is_made_once_when_the_job_is_taken_again(people, own, tmp_path):
    job = Job.objects.create(collection=own, kind="backup")

    def back_up():
        backups.copies.back_up(own.folder, backups.place_of(job.pk))

    passed = [each for each in failpoints_of(back_up, tmp_path / "log") if "storage." in each]
    for name in (passed[3], passed[-2], passed[-1]):
        shutil.rmtree(backups.place_of(job.pk), ignore_errors=True)
        Backup.objects.all().delete()
        kill_at(name, back_up)
        assert not Backup.objects.exists()
        Job.objects.update(state=JobState.QUEUED)
        worker.run_job(Job.take("one"))
        assert Job.objects.get().state == JobState.DONE
        kept = Backup.objects.get()
        assert check_backup(backups.place_of(kept.pk)).checksum == kept.checksum


def test_folders_that_nobody_knows_of_are_deleted_after_a_day(people, own):
    do(people.owner, "make_backup")
    kept = Backup.objects.get()
    folder = ServerHome.from_environment().backups
    waiting = Job.objects.create(collection=own, kind="backup")
    strays = [folder / "stray", folder / ".other.partial"]
    stay = [folder / str(kept.pk), folder / f".{waiting.pk}.partial", folder / "fresh"]
    for path in (*strays, *stay):
        path.mkdir(exist_ok=True)
    day_ago = time.time() - 90_000
    for path in (*strays, *stay[:-1]):
        os.utime(path, (day_ago, day_ago))
    worker.clean(Job)
    assert not any(path.exists() for path in strays)
    assert all(path.exists() for path in stay)
    shutil.rmtree(folder)
