"""A search that goes on, from Python and from the command line."""

import json
import shutil

import pytest

from lookalike import Collection, IdExample, Query
from lookalike.__main__ import run
from lookalike.asking.sessions import Said, Session, make_marks, open_session
from lookalike.errors import DamagedCollectionError, EnvironmentFault, UsageError
from lookalike.knowing.proposing import Proposer, propose_round
from lookalike.search.feedback import NON_RELEVANT, RELEVANT
from tests.small_sets import write_masks
from tests.tiny_model import write_tiny_model

N = 24
"""Pictures 1 to 24 are red, green, blue, red, …"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    write_masks(folder / "outfits", N)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(*sorted((folder / "outfits" / "images").iterdir()), workers=0)
    return folder


@pytest.fixture(scope="module")
def photos(place):
    with Collection.open(place / "c.lookalike") as opened:
        yield opened


@pytest.fixture
def ask(place, monkeypatch, capsys):
    """Run a command in this process; give its exit code and its one object."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def ids_of(hits):
    return [int(image) for image in hits.ids[0] if image >= 0]


def same_color(image):
    return {other for other in range(1, N + 1) if other % 3 == image % 3}


def test_marks_lead_to_what_is_liked(photos):
    session = Session(photos, Query((IdExample(1),)))
    first = ids_of(session.hits(3))
    session.mark({2: RELEVANT, 5: RELEVANT, 4: NON_RELEVANT})
    hits = ids_of(session.hits(4))
    assert set(hits) <= same_color(2)
    assert not set(hits) & {1, 2, 4, 5, *first}
    assert session.n_rounds == 1


def test_what_was_shown_and_not_marked_is_seen_and_undo_brings_it_back(photos):
    session = Session(photos, Query((IdExample(1),)))
    first = ids_of(session.hits(4))
    session.mark({first[0]: RELEVANT})
    assert session.feedback.marks == dict.fromkeys(sorted(first), 0) | {first[0]: 1}
    session.hits(4)
    session.undo()
    assert session.query == Query((IdExample(1),))
    assert ids_of(session.hits(4)) == first
    with pytest.raises(UsageError, match="no round of feedback to undo"):
        session.undo()


def test_a_session_goes_on_where_its_file_left_off(photos, tmp_path):
    file = tmp_path / "s.json"
    session = Session(photos, Query((IdExample(1),)))
    session.hits(3)
    session.mark({2: RELEVANT})
    session.steer("rocchio", exclude_seen=False)
    shown = ids_of(session.hits(3))
    session.save(file)
    again = Session.load(photos, file)
    assert again.query == session.query
    assert (again.feedback.method, again.feedback.exclude_seen) == ("rocchio", False)
    again.mark({9: NON_RELEVANT})
    assert set(again.feedback.rounds[-1]) == {9, *(set(shown) - set(session.feedback.marks))}


def test_a_session_may_begin_with_marks(photos):
    session = Session(photos)
    with pytest.raises(UsageError, match="the query is empty"):
        session.hits(3)
    session.mark({3: RELEVANT})
    assert set(ids_of(session.hits(3))) <= same_color(3)


def test_unknown_images_cannot_be_marked(photos):
    session = Session(photos, Query((IdExample(1),)))
    with pytest.raises(UsageError, match="no image 4711"):
        session.mark({4711: RELEVANT})
    assert session.n_rounds == 0
    with pytest.raises(UsageError, match="at least one mark"):
        session.mark({})


def test_weights_can_change_within_a_session(photos):
    session = Session(photos, Query((IdExample(1),)))
    session.change({"weights": {"layout": 1.0}})
    assert set(session.hits(3).parts) == {"layout"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is no session; one is made by"),
        ("{", "it is no JSON"),
        ("\udcff", "it is no JSON"),
        ('{"session": 9, "query": {}}', "session of version 9"),
        ('{"session": 1, "query": {}, "shown": 3}', "`shown` is not a list of ids"),
        ('{"session": 1, "query": {"positives": [{"id": "x"}]}}', "cannot be read|can be read"),
    ],
)
def test_what_is_no_session_is_refused(photos, tmp_path, text, message):
    file = tmp_path / "s.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=message):
        Session.load(photos, file)


def test_a_session_that_cannot_be_written_says_so(photos, tmp_path):
    with pytest.raises(EnvironmentFault):
        Session(photos, Query((IdExample(1),))).save(tmp_path / "nowhere" / "s.json")


def test_an_image_has_one_mark_per_round():
    assert make_marks([7], [3], [5], [4]) == {5: 3, 7: 1, 3: -1, 4: -3}
    with pytest.raises(UsageError, match="image 7 has two different marks"):
        make_marks([7], [7])


def test_what_is_given_besides_changes_the_query_of_a_session(photos, tmp_path):
    file = tmp_path / "s.json"
    session = Session(photos, Query((IdExample(1),)))
    session.mark({2: RELEVANT})
    session.save(file)
    heavier = open_session(photos, {"weights": {"content": 2.0}, "min_score": None}, Said(), file)
    assert heavier.query.weights == {"content": 2.0}
    assert heavier.feedback == session.feedback
    with pytest.raises(UsageError, match="re-ranking starts from example images alone"):
        open_session(photos, {"rerank": "diffusion"}, Said(), file)
    with pytest.raises(UsageError, match="already holds a query; leave out --query"):
        open_session(photos, {}, Said(), file, saved=session.query)
    again = open_session(photos, {}, Said({5: RELEVANT}), saved=session.query)
    assert again.feedback.marks == {2: 1, 5: 1}


def test_the_command_keeps_rounds_in_a_file(ask, place):
    _, first = ask("search", "c.lookalike", "--id", "1", "--session", "s.json", "-k", "4")
    assert first["rounds"] == 0
    code, second = ask(
        *("search", "c.lookalike", "--session", "s.json", "-k", "4"),
        *("--like", "2", "--love", "5", "--dislike", "4", "--hate", "7"),
    )
    assert (code, second["rounds"]) == (0, 1)
    assert {hit["id"] for hit in second["hits"]} <= same_color(2)
    _, back = ask("search", "c.lookalike", "--session", "s.json", "--undo", "-k", "4")
    assert back["rounds"] == 0
    assert back["hits"] == first["hits"]
    (place / "s.json").unlink()


def test_the_command_takes_marks_and_options_without_a_file(ask):
    code, found = ask("search", "c.lookalike", "--like", "3", "--like", "6", "-k", "4")
    assert code == 0
    assert "rounds" not in found
    assert found["query"]["feedback"]["rounds"] == [{"3": 1, "6": 1}]
    assert {hit["id"] for hit in found["hits"]} <= same_color(3)
    _, kept = ask("search", "c.lookalike", "--like", "3", "--keep-seen", "-k", "4")
    assert 3 in {hit["id"] for hit in kept["hits"]}
    for option in (("--expand", "alpha"), ("--rerank", "reciprocal")):
        code, found = ask("search", "c.lookalike", "--id", "3", *option, "-k", "4")
        assert code == 0
        assert {hit["id"] for hit in found["hits"]} <= same_color(3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dislike", "3"], "negative examples alone"),
        (["--like", "3", "--dislike", "3"], "image 3 has two different marks"),
        (["--like", "4711"], "no image 4711"),
        (["--undo"], "--undo needs --session"),
        (["--like", "3", "--feedback", "magic"], "magic"),
        (["--like", str(2**63)], f"no image with id {2**63}"),
        (["--id", "3", "--rerank", "diffusion", "--like", "4"], "starts from example images"),
        (["--id", "3", "--order", "list", "--like", "4"], "order 'list'"),
    ],
)
def test_wrong_use_gives_one_line(ask, words, message):
    code, found = ask("search", "c.lookalike", *words)
    assert code == 2
    assert message in found["error"]
    assert "\n" not in found["error"]


def test_a_sheet_is_drawn_of_likes_alone(ask, place):
    code, _ = ask("search", "c.lookalike", "--like", "3", "--sheet", "s.png")
    assert code == 0
    assert (place / "s.png").stat().st_size > 1000


def test_labels_are_proposed_and_judgments_remembered(place, tmp_path):
    copy = shutil.copytree(place / "c.lookalike", tmp_path / "c.lookalike")
    with Collection.open(copy) as photos:
        first = propose_round(photos, [1, 4], [2])
        right = [p["id"] for p in first["proposals"] if p["id"] % 3 == 1]
        wrong = [p["id"] for p in first["proposals"] if p["id"] % 3 != 1]
        assert right
        second = propose_round(photos, [1, 4], [2], right[:3], wrong[:3])
        assert not {p["id"] for p in second["proposals"]} & {1, 4, 2, *right[:3], *wrong[:3]}
        votes = Proposer(photos).votes()
        assert sum(votes.right.values()) == len(right[:3])
        assert sum(votes.wrong.values()) == len(wrong[:3])
        proposer = Proposer(photos)
        proposal = proposer.propose([1, 4])
        assert proposer.remember(proposal, {}) == votes
        with pytest.raises(UsageError, match="image 1 was not proposed"):
            proposer.remember(proposal, {1: True})
        (copy / "groupings.json").write_text("{")
        with pytest.raises(DamagedCollectionError, match=r"groupings\.json cannot be read"):
            proposer.votes()


def test_the_command_proposes(ask):
    code, found = ask("propose", "c.lookalike", "--like", "1", "--like", "4", "-k", "3")
    assert code == 0
    assert set(found) == {"proposals", "n_proposed", "uncovered"}
    assert set(found["proposals"][0]) == {"id", "path", "confidence", "grouping"}
    code, found = ask("propose", "c.lookalike", "--like", "1", "--dislike", "1")
    assert code == 2
    assert "image 1 cannot both" in found["error"]
