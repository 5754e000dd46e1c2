import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.evaluation.clustering import pairwise_clustering
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.pictures import example_queries, show_examples
from lookalike.evaluation.plots import plot_retrieval, to_svg
from lookalike.evaluation.protocol import RandomOrder, evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.report import write_comparison, write_report
from lookalike.evaluation.truth import GroundTruth
from tests.evaluation.truths import random_truth
from tests.rankers import ExactRanking

AP = Measure("mean_average_precision")


class Outline(HTMLParser):
    """Checks that tags are closed in order, and gathers what a page refers to."""

    VOID = frozenset({"meta", "img", "source", "br", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.alternatives: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.references += [values[name] for name in ("src", "srcset", "href") if name in values]
        if tag == "img":
            self.alternatives.append(values["alt"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    return random_truth(1, n=24)


@pytest.fixture(scope="module")
def good(truth: GroundTruth) -> Evaluation:
    embeddings = truth.relevant_labels.astype(np.float32)
    clusters = np.arange(len(truth)) % 3
    return evaluate(ExactRanking(truth.ids, embeddings), truth, at=(2, 5), clusters=clusters)


@pytest.fixture(scope="module")
def bad(truth: GroundTruth) -> Evaluation:
    return evaluate(RandomOrder(truth.ids, seed=5), truth, at=(2, 5))


def picture(image_id: int) -> np.ndarray:
    return np.full((30 + image_id % 3, 40, 3), image_id % 256, np.uint8)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, truth: GroundTruth, good: Evaluation) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "new" / "folder"
    sweep = [pairwise_clustering(truth.labels, np.arange(24) % k) for k in (2, 4)]
    title = "Good <system> & co"
    return write_report(
        folder, good, truth, picture, title=title, sweep=sweep, n_examples=2, n_hits=3
    )


def test_a_report_is_one_page_that_fetches_nothing(report: Path):
    page = Outline(report.read_text(encoding="utf-8"))
    assert page.open == []
    assert "script" not in page.tags
    assert "link" not in page.tags
    beside = {file.name for file in report.parent.iterdir()}
    for reference in page.references:
        assert reference.startswith("data:") or reference in beside
    assert "Good <system> & co" in page.text
    assert beside == {
        "report.html",
        "evaluation.json",
        "queries.csv",
        "retrieval.png",
        "clustering.png",
        "contact_sheet.png",
    }


def test_the_page_shows_the_figures_of_the_evaluation(report: Path, good: Evaluation):
    text = Outline(report.read_text(encoding="utf-8")).text
    for measure in good.headline:
        assert measure.label in text
        assert f"{good.estimates[measure].mean:.3f}" in text
    assert good.clustering is not None
    assert f"{good.clustering.baseline_one_cluster_f:.3f}" in text
    assert "Classes that make nothing relevant: class 4" in text


def test_pictures_are_described_for_those_who_cannot_see_them(report: Path):
    described = [text for text in Outline(report.read_text(encoding="utf-8")).alternatives if text]
    assert len([text for text in described if "class " in text]) == 2 * (1 + 3)


def test_the_json_is_that_of_the_evaluation(report: Path, good: Evaluation):
    found = json.loads((report.parent / "evaluation.json").read_text())
    assert found == json.loads(json.dumps(good.to_json()))


def test_the_table_holds_every_query(report: Path, good: Evaluation):
    with (report.parent / "queries.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["query_id"]) for row in rows] == good.query_ids.tolist()
    np.testing.assert_allclose(
        [float(row["mean_average_precision"]) for row in rows], good.values[AP], rtol=1e-5
    )
    assert [int(row["hit 1"]) for row in rows] == good.hits.ids[:, 0].tolist()


def test_classes_in_most_pictures_are_named(tmp_path: Path):
    truth = random_truth(3, n=24, density=0.7)
    evaluation = evaluate(RandomOrder(truth.ids), truth, at=(2,))
    path = write_report(tmp_path, evaluation, truth, picture, title="Common", n_examples=1)
    shares = truth.labels.mean(axis=0)
    common = [f"class {c}" for c in range(4) if shares[c] > 0.5]
    assert len(common) > 1
    text = Outline(path.read_text(encoding="utf-8")).text
    assert f"In more than half of the gallery: {', '.join(common)}." in text


def test_plots_are_the_same_each_time(good: Evaluation):
    first, second = (to_svg(plot_retrieval({"good": good})) for _ in range(2))
    assert first == second


def test_a_comparison_shows_both_systems_and_their_difference(
    tmp_path: Path, truth: GroundTruth, good: Evaluation, bad: Evaluation
):
    path = write_comparison(
        tmp_path, {"good one": good, "bad one": bad}, truth, picture, title="Which?", n_examples=2
    )
    text = Outline(path.read_text(encoding="utf-8")).text
    assert len(re.findall("good one", text)) >= 4
    assert f"{bad.estimates[AP].mean:.3f}" in text
    difference = good.estimates[AP].mean - bad.estimates[AP].mean
    assert f"{difference:+.3f}" in text
    assert {file.name for file in tmp_path.iterdir()} > {
        "queries-1-good-one.csv",
        "queries-2-bad-one.csv",
    }
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["systems"]["bad one"] == bad.to_json()
    paired = found["differences"]["bad one"]["mean_average_precision"]
    assert paired["difference"] == pytest.approx(difference)


def test_examples_run_from_the_best_query_to_the_worst(bad: Evaluation):
    ids = example_queries(bad, 5)
    rows = np.searchsorted(bad.query_ids, ids)
    values = bad.values[AP][rows]
    assert len(set(values.tolist())) == 5
    assert (np.diff(values) <= 0).all()
    assert values[0] == bad.values[AP].max()
    assert values[-1] == bad.values[AP].min()
    assert len(set(example_queries(bad, 1000).tolist())) == len(bad.query_ids)


def test_examples_show_the_hits_of_every_system(
    truth: GroundTruth, good: Evaluation, bad: Evaluation
):
    chosen = good.query_ids[:1].tolist()
    (shown,) = show_examples({"good": good, "bad": bad}, truth, picture, chosen, n_hits=4)
    assert [row.name for row in shown.rows] == ["good", "bad"]
    hits = good.hits.ids[0, :4]
    assert [hit.pixels[0, 0, 0] for hit in shown.rows[0].hits] == (hits % 256).tolist()
    assert [hit.is_relevant for hit in shown.rows[0].hits] == good.hit_relevant[0, :4].tolist()


def test_a_set_without_label_maps_is_reported_with_chosen_examples(tmp_path: Path):
    truth = random_truth(2, n=24, with_maps=False)
    evaluation = evaluate(RandomOrder(truth.ids), truth, at=(2,))
    chosen = evaluation.query_ids[:1].tolist()
    path = write_report(tmp_path, evaluation, truth, picture, title="No maps", example_ids=chosen)
    text = Outline(path.read_text(encoding="utf-8")).text
    assert "layout" not in text
    assert "Chosen by hand" in text


def test_wrong_use_is_refused(tmp_path: Path, truth: GroundTruth, good: Evaluation):
    with pytest.raises(UsageError, match="at least one evaluation"):
        write_comparison(tmp_path, {}, truth, picture, title="None")
    with pytest.raises(UsageError, match="image 100000 is none of the"):
        write_report(tmp_path, good, truth, picture, title="Good", example_ids=[100_000])


def test_a_folder_that_cannot_be_written_is_the_fault_of_the_machine(
    tmp_path: Path, truth: GroundTruth, good: Evaluation
):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match=r"cannot be written to .*choose another folder"):
        write_report(tmp_path / "file", good, truth, picture, title="Good", n_examples=1)
