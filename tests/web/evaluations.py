"""An evaluation as the worker leaves it, without the work."""

import json

from lookalike.web.home import ServerHome
from lookalike.web.models import Job, JobState

AT = ("1", "5")
OPTIONS = {
    "title": "",
    "truth": "labels",
    "level": "names",
    "queries": None,
    "at": [1, 5],
    "without": [],
    "seed": 0,
    "weights": None,
}


def measures(mean):
    by_k = dict.fromkeys(AT, mean)
    between = [mean - 0.1, mean + 0.1]
    figures = {"precision_at_k": by_k, "recall_at_k": by_k, "mean_average_precision": mean}
    intervals = dict.fromkeys(figures, between)
    intervals |= {name: dict.fromkeys(AT, between) for name in ("precision_at_k", "recall_at_k")}
    return {
        **figures,
        "n_queries": 4,
        "n_gallery": 6,
        "clustering": None,
        "precision_at_recall": [mean] * 11,
        "intervals": intervals,
        "random": {**figures, "mean_average_precision": 0.25},
        "prevalence": 0.25,
        "n_without_relevant": 0,
        "n_junk": 0,
        "n_missing": 0,
        "seed": 0,
    }


def write_evaluation(hosted, job_id, *, title="As it is", mean=0.5, values=(0.2, 0.4, 0.6, 0.8)):
    """An evaluation that is done, in the home that the environment names."""
    job = Job.objects.create(
        pk=job_id,
        collection=hosted,
        kind="evaluate",
        options=OPTIONS,
        state=JobState.DONE,
        report={"title": title, "n_queries": 4, "n_gallery": 6, "headline": {"mAP": mean}},
    )
    label = {"label": "cat", "n_pictures": 4, "n_queries": 4, "chance": 0.6}
    content = {
        "format": 1,
        "title": title,
        "options": OPTIONS,
        "model": "tiny@00000000",
        "revision": 1,
        "measures": measures(mean),
        "labels": [{**label, "average_precision": mean, "precision": mean}],
        "queries": {"ids": [1, 2, 3, 4], "values": {"mAP": list(values)}},
        "indexes": [],
    }
    place = ServerHome.from_environment().evaluations
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{job_id}.json").write_text(json.dumps(content))
    return job
