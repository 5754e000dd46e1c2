"""The whole reproduction, cell by cell, each done once."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from lookalike.arrays import Embeddings
from lookalike.progress import SILENT, Progress
from lookalike.reproduction import experiments
from lookalike.reproduction.findings import Findings
from lookalike.reproduction.materials import Data, Learned, learn_model, open_data
from lookalike.reproduction.plan import (
    ABLATIONS,
    MIXTURE,
    NETWORKS,
    PLAIN,
    PROPOSED,
    Plan,
)
from lookalike.reproduction.report import write_report
from lookalike.reproduction.workspace import Workspace, file_name, open_workspace
from lookalike.storage.lock import WriterLock

_Cell: TypeAlias = tuple[str, str, Callable[[], dict[str, Any]]]

_OF_EACH_SYSTEM: Final = frozenset({"table1", "table2", "table3"})


@dataclass(frozen=True, slots=True, eq=False)
class Reproduction:
    """What was found, and where it is told.

    Attributes:
        findings: All results.
        folder: Where everything lies.
        report: The HTML report.
        seconds: Duration of this call; less than the whole where an earlier one was continued.
    """

    findings: Findings
    folder: Path
    report: Path
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Everything a program would want to know."""
        return {
            **self.findings.to_json(),
            "folder": str(self.folder),
            "report": str(self.report),
            "seconds": self.seconds,
        }


def reproduce(folder: Path, plan: Plan, *, progress: Progress = SILENT) -> Reproduction:
    """Repeat the published experiments in a folder, or go on where an earlier call was stopped.

    Every result is stored when it is found; trainings go on from their last epoch. A folder may be
    called again with other parts or more seeds, and does what is missing.

    Args:
        folder: Where everything is kept: models, embeddings, results, report.
        plan: What is repeated.
        progress: Told of every step.

    Raises:
        UsageError: If the folder is something else, or was begun with another plan.
        DatasetError: If the data set does not serve.
        CollectionLockedError: If another process is at work in the folder.
        MissingExtraError: If PyTorch is not installed and something is to be learned.
        EnvironmentFault: If the disk is full or the device is not there.
    """
    started = time.monotonic()
    workspace = open_workspace(folder, plan)
    with WriterLock(folder):
        findings, report = _run(workspace, plan, progress)
    return Reproduction(findings, folder, report, time.monotonic() - started)


def _run(workspace: Workspace, plan: Plan, progress: Progress) -> tuple[Findings, Path]:
    workspace.sweep()
    findings = Findings(plan)
    if "figure3" in plan.sections:
        findings.figure_3 = workspace.cell("figure3", lambda: experiments.figure_3(plan, progress))
    data = None
    if set(plan.sections) != {"figure3"}:
        data = open_data(workspace, plan, progress)
        findings.describe(data)
        _Work(workspace, plan, data, findings, progress).run()
    return findings, write_report(workspace, findings, data)


@dataclass(slots=True)
class _Work:
    """Everything that needs pictures: model after model, and all that is asked of each."""

    workspace: Workspace
    plan: Plan
    data: Data
    findings: Findings
    progress: Progress
    _done: int = field(default=0)

    def run(self) -> None:
        for name, changes in self._models().items():
            for seed in self.plan.seeds:
                self._one_model(name, changes, seed)

    def _models(self) -> Mapping[str, Mapping[str, Any]]:
        """Name → recipe of every model that the wanted parts need."""
        wanted: dict[str, Mapping[str, Any]] = {}
        if set(self.plan.sections) - {"figure3", "ablations"}:
            both = (PROPOSED, PLAIN) if self.data.has_label_maps else (PLAIN,)
            wanted |= {name: ABLATIONS[name] for name in both}
        if not _OF_EACH_SYSTEM.isdisjoint(self.plan.sections):
            wanted |= NETWORKS
        if "ablations" in self.plan.sections and self.data.has_label_maps:
            wanted |= ABLATIONS
        return wanted

    def _one_model(self, name: str, changes: Mapping[str, Any], seed: int) -> None:
        self._done += 1
        n = len(self._models()) * len(self.plan.seeds)
        with self.progress.task(
            f"Model {self._done} of {n}: {name}, seed {seed}", 1, "models"
        ) as t:
            t.advance()
        learned: list[Learned] = []

        def model() -> Learned:
            # Learned or read only if a result is missing.
            if not learned:
                make = partial(learn_model, self.workspace, self.plan, self.data)
                learned.append(make(name, changes, seed, self.progress))
            return learned[0]

        for part, system, compute in self._cells(name, seed, model):
            cell = self.workspace.cell(f"{part} {system} s{seed}", compute)
            self.findings.add(part, system, seed, cell)

    def _cells(self, name: str, seed: int, model: Callable[[], Learned]) -> Iterator[_Cell]:
        """Give part, system and computation of each result that is wanted of a model."""
        data, plan = self.data, self.plan
        if name in (PROPOSED, PLAIN, *NETWORKS):
            for system, beta in _systems(name):
                of_rows = {
                    "table1": lambda rows: experiments.table_1(data, rows, seed),
                    "table2": lambda rows: experiments.table_2(data, plan, rows, seed),
                    "table3": lambda rows: experiments.table_3(data, plan, rows, seed),
                }
                for part, compute in of_rows.items():
                    if part in plan.sections:
                        yield part, system, partial(_of_mixture, compute, model, beta)
        is_shown = name == (PROPOSED if data.has_label_maps else PLAIN) and seed == plan.seeds[0]
        if "figure4" in plan.sections and is_shown:
            system, beta = _systems(name)[0]
            draw = partial(experiments.figure_4, data, seed=seed)
            yield "figure4", system, partial(_of_mixture, draw, model, beta)
        if "ablations" in plan.sections and name in ABLATIONS and data.has_label_maps:
            folder = self.workspace.models / file_name(f"{name} s{seed}")
            yield (
                "ablations",
                name,
                lambda: experiments.ablation(data, plan, model(), folder, self.progress),
            )


def _systems(name: str) -> tuple[tuple[str, float], ...]:
    """Name and β of what is ranked by one model in the tables."""
    if name == PROPOSED:
        return (f"{PROPOSED}: content + layout", MIXTURE), (f"{PROPOSED}: content", 0.0)
    return ((name, 0.0),)


def _of_mixture(
    compute: Callable[[Embeddings], dict[str, Any]], model: Callable[[], Learned], beta: float
) -> dict[str, Any]:
    return compute(model().mixture(beta))
