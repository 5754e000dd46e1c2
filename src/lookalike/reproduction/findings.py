"""All results of a reproduction."""

from dataclasses import dataclass, field
from typing import Any

from lookalike.evaluation.paper import READINGS, most_frequent_class
from lookalike.reproduction.materials import Data
from lookalike.reproduction.plan import SECTIONS, Plan
from lookalike.reproduction.tables import (
    DIFFERENCE_HEADS,
    Cells,
    Difference,
    Table,
    ablation_table,
    difference_table,
    figure_3_table,
    mean_of,
    overlap_table,
    readings_table,
    runs_table,
    samples_table,
    sweep_table,
)


@dataclass(slots=True)
class Findings:
    """Results by part, system and seed.

    Attributes:
        plan: What was repeated.
        about: What was learned from and judged by, in numbers; empty without pictures.
        figure_3: Curves against the number of pixels; empty if not wanted.
        parts: Cells of each other part.
        left_out: What could not be done with this data set, and why.
    """

    plan: Plan
    about: dict[str, Any] = field(default_factory=dict)
    figure_3: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Cells] = field(default_factory=lambda: {part: {} for part in SECTIONS})
    left_out: list[str] = field(default_factory=list)

    def describe(self, data: Data) -> None:
        """Note what the pictures are, and what cannot be done with them."""
        frequent = most_frequent_class(data.labels)
        names = [data.truth.classes[c] for c in sorted(data.truth.relevant_classes)]
        self.about = {
            "learned_from": data.learned.name,
            "n_learned": len(data.learned),
            "n_gallery": len(data.truth),
            "n_classes": len(names),
            "n_unlabeled": int((~data.labels.any(axis=1)).sum()),
            "n_unreadable": len(data.unreadable),
            "frequent_class": names[frequent],
            "frequent_share": float(data.labels[:, frequent].mean()),
            "has_label_maps": data.has_label_maps,
        }
        if not data.has_label_maps:
            self.left_out.append(
                f"{data.learned.name} has no label maps, so nothing can be self-encoded: the "
                "proposed features, the ablations, the probability maps and every layout measure "
                "are left out; the networks that learn from labels alone are compared"
            )

    def add(self, part: str, system: str, seed: int, cell: dict[str, Any]) -> None:
        """Add a result."""
        self.parts[part].setdefault(system, {})[seed] = cell

    def to_json(self) -> dict[str, Any]:
        """Everything found, without the values of single queries."""
        told: dict[str, Any] = {
            "about": self.about,
            "seeds": list(self.plan.seeds),
            "left_out": self.left_out,
        }
        if self.figure_3:
            told["figure3"] = self.figure_3
        for part in ("table1", "figure4", "table2", "table3"):
            if self.parts[part]:
                told[part] = self.parts[part]
        if self.parts["ablations"]:
            told["ablations"] = self._ablations_json()
        return told

    def tables(self) -> list[Table]:
        """Return all tables, in the order of the report."""
        found: list[Table] = []
        if self.figure_3:
            found.append(figure_3_table(self.figure_3))
        if self.parts["table1"]:
            found += [sweep_table(self.parts["table1"]), readings_table(self.parts["table1"])]
        if self.parts["table2"]:
            found += [runs_table(self.parts["table2"], reading) for reading in READINGS]
        if self.parts["table3"]:
            found += [samples_table(self.parts["table3"], name) for name in ("precision", "recall")]
        if self.parts["ablations"]:
            cells = self.parts["ablations"]
            found += [ablation_table(cells), difference_table(cells), overlap_table(cells)]
        return found

    def _ablations_json(self) -> dict[str, Any]:
        cells = self.parts["ablations"]
        return {
            "models": {
                name: {
                    seed: {
                        **{k: v for k, v in cell.items() if k != "rankings"},
                        "rankings": {
                            beta: {measure: mean_of(values) for measure, values in found.items()}
                            for beta, found in cell["rankings"].items()
                        },
                    }
                    for seed, cell in by_seed.items()
                }
                for name, by_seed in cells.items()
            },
            "differences": {
                str(row[0]): {
                    head: _difference_json(cell)
                    for head, cell in zip(DIFFERENCE_HEADS, row[1:], strict=True)
                    if isinstance(cell, Difference)
                }
                for row in difference_table(cells).rows
            },
        }


def _difference_json(cell: Difference) -> dict[str, Any]:
    return {
        "difference": cell.mean,
        "interval": [cell.low, cell.high],
        "holm_p_value": cell.p_value,
        "by_seed": list(cell.by_seed),
    }
