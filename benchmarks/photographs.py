"""Real photographs: does self-encoding help to find labels and layouts? With all ablations.

    LOOKALIKE_DATA=photographs python -m benchmarks.photographs --work work

`LOOKALIKE_DATA` names a folder with `coco` (COCO format) and `clothing` (masks), and for the study
of drawn maps `voc` and `voc-test` as `benchmarks.drawn_maps` makes them. Each study is the section
of ablations of `lookalike reproduce`: two thirds of a set are learned from (of drawn maps: all
photographs but COCO's third), the other third is searched, each picture among the others. Nothing
is tuned on it. Classes in nearly every picture do not count for relevance.

Every study and seed has a folder of its own in `--work` and may be learned in a process of its own,
on another machine (`--learn-only`, with `--studies` and `--seeds`); what was found lies in its
folder `cells`, small enough to be carried back. Without `--learn-only` what is missing is learned;
with `--measure-only` it is named and left out, so that each comparison takes the seeds that both
models have. Then all seeds are compared, and the figures are written to `--out`.
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lookalike.reproduction import Plan, reproduce
from lookalike.reproduction.findings import Findings
from lookalike.reproduction.materials import open_data
from lookalike.reproduction.plan import ABLATIONS
from lookalike.reproduction.report import write_report
from lookalike.reproduction.workspace import file_name, open_workspace
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


def measure(folder: Path, study: str, plan: Plan) -> dict[str, Any]:
    """Compare the models that are there, write the report, and name those that are missing."""
    workspace = open_workspace(folder, plan)
    data = open_data(workspace, plan, Bars())
    findings = Findings(plan)
    findings.describe(data)
    missing = []
    for name in ABLATIONS:
        for seed in plan.seeds:
            path = workspace.cells / f"{file_name(f'ablations {name} s{seed}')}.json"
            if path.is_file():
                found = json.loads(path.read_text(encoding="utf-8"))
                findings.add("ablations", name, seed, found)
            else:
                missing.append(f"{name}, seed {seed}")
    write_report(workspace, findings, data)
    print(f"{study}: missing {'; '.join(missing) or 'nothing'}")
    told = findings.to_json()
    return {
        "about": {**told["about"], "missing": missing, "classes": list(data.truth.classes)},
        **told["ablations"],
    }


def main() -> None:
    """Learn what is missing; compare unless only learning is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs-share", type=float, default=1.0, help="for a trial")
    parser.add_argument("--device", default="auto")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--learn-only", action="store_true")
    only.add_argument("--measure-only", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    work, out = options.work.absolute(), options.out and options.out.absolute()
    # Plans name data sets by path; relative ones let another machine have them elsewhere.
    os.chdir(os.environ["LOOKALIKE_DATA"])
    results = {}
    for study in options.studies:
        for seed in () if options.measure_only else options.seeds:
            plan = plan_of(study, [seed], options.epochs_share, options.device)
            reproduce(work / f"{study}-s{seed}", plan, progress=Bars())
        if options.learn_only:
            continue
        plan = plan_of(study, options.seeds, options.epochs_share, options.device)
        results[study] = measure(gather(work, study, plan), study, plan)
    if out and not options.learn_only:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
