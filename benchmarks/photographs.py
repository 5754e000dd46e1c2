"""Real photographs: does self-encoding help to find labels and layouts? With all ablations.

    LOOKALIKE_DATA=photographs python -m benchmarks.photographs --work work

`LOOKALIKE_DATA` names a folder with `coco` (COCO format) and `clothing` (masks), and for the study
of drawn maps `voc` and `voc-test` as `benchmarks.drawn_maps` makes them. Each study is the section
of ablations of `lookalike reproduce`: two thirds of a set are learned from (of drawn maps: all
photographs but COCO's third), the other third is searched, each picture among the others. Nothing
is tuned on it. Classes in nearly every picture do not count for relevance.

Every study and seed has a folder of its own in `--work` and may be learned in a process of its own,
on another machine (`--learn-only`, with `--studies` and `--seeds`); what was found lies in its
folder `cells`, small enough to be carried back. Without `--learn-only` what is missing is learned,
all seeds are compared, and the figures are written to `--out`.
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lookalike.reproduction import Plan, reproduce
from lookalike.terminal import Bars

STUDIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "coco-80": {
        "dataset": "coco", "without": ("person",), "epochs": 60, "self_encoder_epochs": 120,
    },
    "coco-12": {
        "dataset": "coco", "level": "supercategories", "without": ("person",),
        "epochs": 60, "self_encoder_epochs": 120,
    },
    "clothing-58": {
        "dataset": "clothing", "without": ("skin", "hair", "shoes"),
        "epochs": 60, "self_encoder_epochs": 120,
    },
    "drawn-20": {
        "dataset": "voc", "gallery": "voc-test", "without": ("person",),
        "epochs": 16, "self_encoder_epochs": 30,
    },
}  # fmt: skip
"""Short name → what is learned from, and for how long; data sets are folders in the data."""


def plan_of(study: str, seeds: Sequence[int], epochs_share: float, device: str) -> Plan:
    """Return the plan of a study; epochs are multiplied by `epochs_share`."""
    options = dict(STUDIES[study])
    for name in ("epochs", "self_encoder_epochs"):
        options[name] = max(1, round(options[name] * epochs_share))
    return Plan(sections=("ablations",), seeds=tuple(seeds), device=device, **options)


def gather(work: Path, study: str, plan: Plan) -> Path:
    """Bring the results of all seeds into one folder, as if they had been found in it."""
    whole = work / study
    for seed in plan.seeds:
        part = work / f"{study}-s{seed}"
        for path in (part / "plan.json", *sorted(part.glob("cells/*.json"))):
            target = whole / path.relative_to(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return whole


def results_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a reader of the figures wants."""
    return {"about": found["about"], "seeds": found["seeds"], **found["ablations"]}


def main() -> None:
    """Learn what is missing; compare unless only learning is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs-share", type=float, default=1.0, help="for a trial")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--learn-only", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    work = options.work.absolute()
    # Plans name data sets by path; relative ones let another machine have them elsewhere.
    os.chdir(os.environ["LOOKALIKE_DATA"])
    results = {}
    for study in options.studies:
        for seed in options.seeds:
            plan = plan_of(study, [seed], options.epochs_share, options.device)
            reproduce(work / f"{study}-s{seed}", plan, progress=Bars())
        if options.learn_only:
            continue
        plan = plan_of(study, options.seeds, options.epochs_share, options.device)
        found = reproduce(gather(work, study, plan), plan, progress=Bars())
        results[study] = results_of(found.to_json())
    if options.out and not options.learn_only:
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
