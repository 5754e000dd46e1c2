"""Learning in the browser: what is refused, what is shown, what the worker makes of it."""

import json
import sys
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from lookalike import Collection
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.web import labeled_sets, learned_models, trainings
from lookalike.web.models import HostedCollection, Job, JobState, LearningRun, User, Wish
from tests.small_sets import write_masks, write_pictures

TINY = {
    "preset": "quick",
    "image_size": "32",
    "code_dim": "8",
    "batch_size": "8",
    "epochs": "2",
    "self_encoder_epochs": "2",
    "device": "cpu",
}


@pytest.fixture
def worker(monkeypatch):
    from lookalike.web import worker as module

    # Its second thread would wait for the database that a test holds in a transaction.
    monkeypatch.setattr(module, "LEASE_SECONDS", 600.0)
    return module


@pytest.fixture
def root(tmp_path, monkeypatch, settings):
    """A folder that the server may read, with a set of masks in it; the home is beside."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOKALIKE_ROOTS", str(tmp_path / "open"))
    write_masks(tmp_path / "open" / "shapes", 24)
    write_pictures(tmp_path / "closed" / "a", 2)
    return tmp_path / "open"


@pytest.fixture
def order(root, people):
    """What a form sends."""
    return {"title": "Shapes", "dataset": str(root / "shapes"), **TINY}


def begun(order):
    return learned_models.begin(User.objects.get(username="staff"), order)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": " "}, "name of at most"),
        ({"dataset": "/etc"}, "does not lie below"),
        ({"dataset": "{root}/../closed"}, "does not lie below"),
        ({"dataset": "scenes:0"}, "with N from 1"),
        ({"dataset": "scenes:9999999"}, "with N from 1"),
        ({"dataset": "{root}/nothing"}, "no data set"),
        ({"dataset": "a\0b"}, "give a folder"),
        ({"preset": "large"}, "no recipe"),
        ({"minutes": "0"}, "no number of minutes"),
        ({"minutes": "²"}, "no number of minutes"),
        ({"epochs": "many"}, "must be a number"),
        ({"epochs": "0"}, "between 1 and"),
        ({"learning_rate": "nan"}, "between"),
        ({"image_size": "50"}, "multiple of 32"),
        ({"backbone": "/etc/passwd.onnx"}, "command line"),
        ({"level": "words"}, "no level"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_words(order, root, people, changes, words):
    sent = {**order, **{name: text.format(root=root) for name, text in changes.items()}}
    answer = people.staff.post(reverse("start_learning"), sent, follow=True)
    assert words in answer.content.decode()
    assert not LearningRun.objects.exists()


def test_a_name_that_is_taken_is_refused_whatever_its_case(order, root):
    begun(order)
    with pytest.raises(UsageError, match="already"):
        begun({**order, "title": "shapes"})


def test_a_look_says_what_is_there_before_anything_begins(root, people):
    shown = people.staff.get(reverse("learn")).content.decode()
    assert str(root / "shapes") in shown
    assert "closed" not in shown
    looked = people.staff.get(reverse("learn"), {"dataset": str(root / "shapes")})
    look = looked.context["look"]
    assert (look.n, look.n_learned + look.n_held_out) == (24, 24)
    assert look.classes == ("red", "green", "blue")
    assert look.has_label_maps
    assert not LearningRun.objects.exists()


def test_sets_are_found_below_the_roots_and_folders_of_sets_are_none(root):
    for name in ("cats", "dogs"):
        write_pictures(root / "animals" / name, 2)
    write_pictures(root / "alone" / "holiday", 2)
    assert labeled_sets.found_below_roots() == [str(root / "animals"), str(root / "shapes")]


def test_scenes_are_described_without_being_drawn(people, monkeypatch):
    def draw(*words, **others):
        raise AssertionError("scenes were drawn")

    monkeypatch.setattr(labeled_sets, "open_dataset", draw)
    look = labeled_sets.look("scenes:600#train", "names")
    assert (look.n, look.is_drawn, look.has_label_maps) == (400, True, True)


def test_what_takes_long_to_read_is_waited_for_by_the_page(people, root, monkeypatch):
    import threading

    over = threading.Event()
    slow = labeled_sets.LooksInTime(lambda *words: over.wait(20), patience=0.01)
    monkeypatch.setattr(labeled_sets, "looks_in_time", slow)
    answer = people.staff.get(reverse("learn"), {"dataset": str(root / "shapes")})
    over.set()
    assert b"load delay:1s" in answer.content


def test_without_the_extra_the_page_says_what_to_install(people, root, order, monkeypatch):
    monkeypatch.setattr(trainings, "_NEEDED", ("torch_that_nobody_has",))
    shown = people.staff.get(reverse("learn")).content.decode()
    assert "pip install &#x27;lookalike[learn]&#x27;" in shown.replace("'", "&#x27;")
    people.staff.post(reverse("start_learning"), order)
    assert not LearningRun.objects.exists()


@pytest.mark.slow
def test_a_model_is_learned_shown_and_used(order, root, people, worker, db):
    run = begun(order)
    worker.run_job(LearningRun.take("one"))
    run.refresh_from_db()
    assert (run.error, run.state) == ("", JobState.DONE)
    rows = trainings.history_of(run)
    assert [row["stage"] for row in rows] == ["self-encoder"] * 2 + ["network"] * 2
    card = trainings.card_of(run)
    assert card.classes == ("red", "green", "blue")
    page = people.staff.get(reverse("learning_run", args=[run.pk]))
    assert len(page.context["charts"]) == 2
    assert people.staff.get(reverse("learning_examples", args=[run.pk])).status_code == 200
    used = {"title": "Seen anew", "source": str(root)}
    people.staff.post(reverse("use_model", args=[run.pk]), used)
    worker.run_job(Job.take("one"))
    made = HostedCollection.objects.get(title="Seen anew")
    assert made.jobs.get().state == JobState.DONE
    with Collection.open(made.folder) as collection:
        assert collection.card.id == card.id
        assert len(collection) == 48  # pictures and masks: the folder as it is
    assert learned_models.uses_of(run) == [made]


@pytest.mark.slow
def test_a_paused_run_goes_on_at_its_last_pass(order, worker, monkeypatch):
    run = begun({**order, "epochs": "40"})
    taken = LearningRun.take("one")

    def pause_at_some_pass(*words):
        if len(trainings.history_of(run)) > 3:
            LearningRun.objects.update(wish=Wish.PAUSE)
        return renew(*words)

    renew = LearningRun.renew
    monkeypatch.setattr(LearningRun, "renew", pause_at_some_pass)
    worker.run_job(taken)
    run.refresh_from_db()
    assert run.state == JobState.PAUSED
    before = trainings.history_of(run)
    assert 3 < len(before) < 42
    monkeypatch.setattr(LearningRun, "renew", renew)
    run.steer("resume")
    worker.run_job(LearningRun.take("two"))
    run.refresh_from_db()
    assert run.state == JobState.DONE
    after = trainings.history_of(run)
    assert len(after) == 42
    assert after[: len(before)] == before


def test_the_run_of_a_dead_worker_is_taken_by_another(order):
    begun(order)
    first = LearningRun.take("one")
    assert LearningRun.take("two") is None
    LearningRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert LearningRun.take("two") is not None
    assert first.renew() is None


def test_what_fails_is_told_and_can_be_tried_again(order, root, worker):
    run = begun(order)
    (root / "shapes" / "labels.txt").unlink()  # after the look
    worker.run_job(LearningRun.take("one"))
    run.refresh_from_db()
    assert run.state == JobState.FAILED
    assert "labels.txt is missing" in run.error
    run.steer("resume")
    assert LearningRun.take("one") is not None


def test_files_of_cancelled_runs_are_deleted_and_others_kept(order, root):
    kept, gone = begun(order), begun({**order, "title": "Gone"})
    for run in (kept, gone):
        trainings.folder_of(run).mkdir(parents=True)
    gone.steer("cancel")
    trainings.delete_abandoned()
    assert trainings.folder_of(kept).is_dir()
    assert not trainings.folder_of(gone).exists()


def test_a_model_is_deleted_when_nobody_learns_or_waits_for_it(order, people):
    run = begun(order)
    trainings.folder_of(run).mkdir(parents=True)
    address = reverse("delete_learning", args=[run.pk])
    assert b"cancel it first" in people.staff.post(address, follow=True).content
    LearningRun.objects.update(state=JobState.DONE)
    model = str(trainings.folder_of(run) / "model")
    waiting = HostedCollection.objects.create(slug="w", title="Waiting", path="/nowhere")
    job = Job.objects.create(collection=waiting, kind="index", options={"model": model})
    assert b"still to be made" in people.staff.post(address, follow=True).content
    job.delete()
    assert b"is deleted" in people.staff.post(address, follow=True).content
    assert not LearningRun.objects.exists()
    assert not trainings.folder_of(run).exists()


def test_a_model_that_is_not_finished_cannot_be_used(order, people):
    run = begun(order)
    sent = {"title": "Too early", "source": "collection:photos"}
    answer = people.staff.post(reverse("use_model", args=[run.pk]), sent, follow=True)
    assert b"not learned to its end" in answer.content


def test_a_watched_run_is_asked_for_until_it_is_over(order, people):
    run = begun(order)
    address = reverse("learning_run", args=[run.pk])
    headers = {"HX-Request": "true"}
    assert b"every 2s" in people.staff.get(address, headers=headers).content
    LearningRun.objects.update(state=JobState.FAILED, error="it was too dark")
    answer = people.staff.get(address, headers=headers)
    assert answer.status_code == 286
    assert b"it was too dark" in answer.content


def test_time_left_follows_the_passes_that_were_measured(order):
    run = begun(order)
    folder = trainings.folder_of(run)
    folder.mkdir(parents=True)
    plan = {"recipe": run.options["recipe"], "passes": {"self-encoder": 2, "network": 4}}
    (folder / "plan.json").write_text(json.dumps({**plan, "seconds": {}, "overhead": 0.0}))
    rows = [{"stage": "self-encoder", "seconds": 1.0}] * 2
    assert trainings.pace_of(run, rows) == trainings.Pace(2, 6, None)
    rows.append({"stage": "network", "seconds": 5.0})
    assert trainings.pace_of(run, rows) == trainings.Pace(3, 6, 15.0)


def test_what_the_process_says_becomes_the_progress_of_the_run(order, monkeypatch, tmp_path):
    said = [
        {"step": "Reading pictures", "done": 0, "expected": 21, "note": ""},
        {"step": "Reading pictures", "done": 21, "expected": 21, "note": ""},
        {"step": "Reading pictures", "done": 0, "expected": 3, "note": ""},
        {"step": "Reading pictures", "done": 3, "expected": 3, "note": "1 unreadable"},
        {"report": {"model": "shapes@1"}},
        {"step": "Reading pictures", "done": 3, "expected": 3, "note": ""},
    ]
    script = tmp_path / "says.py"
    script.write_text(f"import json\nfor line in {said!r}: print(json.dumps(line))\n")
    monkeypatch.setattr(trainings, "_PROCESS", (sys.executable, str(script)))
    steps = Steps()
    assert trainings.learn(begun(order), steps) == {"model": "shapes@1"}
    assert steps.seen == [("Reading pictures", 21, 21), ("Reading pictures", 3, 3)]


def test_a_process_that_dies_is_told_with_its_last_words(order, monkeypatch, tmp_path):
    script = tmp_path / "dies.py"
    script.write_text(
        "import sys\nprint('{\"step\": \"Star', end='')\nsys.exit('no memory left')\n"
    )
    monkeypatch.setattr(trainings, "_PROCESS", (sys.executable, str(script)))
    with pytest.raises(EnvironmentFault, match=r"ended with code 1; no memory left"):
        trainings.learn(begun(order), Steps())


class Steps:
    """A progress that remembers each step with how far it came."""

    def __init__(self):
        self.seen = []

    @contextmanager
    def task(self, description, total=None, unit="images"):
        self.done, self.expected = 0, total
        yield self
        self.seen.append((description, self.done, self.expected))

    def advance(self, n=1):
        self.done += n

    def expect(self, total):
        self.expected = total

    def note(self, text):
        pass
