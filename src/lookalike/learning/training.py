"""The training run: what is learned when, kept in checkpoints, ending in a model folder."""

import re
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from lookalike.atomic import write_atomically
from lookalike.datasets.base import Dataset
from lookalike.datasets.union import n_targets_of
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.images.decoding import PREPROCESS_VERSION
from lookalike.learning.augmentation import view_label_maps, view_pixels
from lookalike.learning.checkpoints import disk_faults, load_checkpoint, save_checkpoint
from lookalike.learning.checks import check_place
from lookalike.learning.devices import choose_device, derive_seed, seeded
from lookalike.learning.export import export_model, publish
from lookalike.learning.external import open_encoder
from lookalike.learning.guides import Guides
from lookalike.learning.history import CURVES, HISTORY, Row, draw_curves, history_text
from lookalike.learning.preparing import Prepared, describe_guides, prepare
from lookalike.learning.recipes import Recipe, differences
from lookalike.learning.stages import Stage, whole_views
from lookalike.model_folder import CARD, ModelCard, read_card
from lookalike.progress import Progress, Task

_MONITORED: Final = 256
"""Held-out pictures measured after each epoch; all of them when training ends."""
_COMPARED: Final = 32
"""Pictures on which the exported model is compared with the trained one."""
_FORMAT: Final = 1
"""Version of checkpoints."""


def train(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    validate: Dataset | None,
    guides: Guides,
    terms: str,
    resume: bool,
    progress: Progress,
) -> ModelCard:
    """Train a model; see `recipes.learn`, which this does."""
    folder = out.with_name(f"{out.name}.training")
    if resume and (out / CARD).is_file():
        return _finished(out, recipe)
    check_place(out, resume=resume)
    device = choose_device(recipe.device, recipe.precision)
    encoder = open_encoder(recipe)  # before any folder is made
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        prepared = prepare(dataset, folder, recipe, validate, guides, encoder, device, progress)
        run = _Run(dataset, folder, guides, terms, prepared)
        state = load_checkpoint(folder) if resume else None
        rows = run.learn(state, progress)
        card = run.export(out, rows)
        shutil.rmtree(folder)
    return card


def _finished(out: Path, recipe: Recipe) -> ModelCard:
    """Return the card of a model that was finished before its training folder was removed."""
    card = read_card(out)
    _refuse_other_recipe(dict(card.recipe), recipe, out)
    shutil.rmtree(out.with_name(f"{out.name}.training"), ignore_errors=True)
    return card


def _refuse_other_recipe(trained: dict[str, Any], recipe: Recipe, place: Path) -> None:
    unlike = differences(trained, recipe.to_dict())
    if unlike:
        raise UsageError(
            f"{place} was begun with another recipe ({', '.join(unlike)}); "
            "resume with the same options, or choose another place for the model"
        )


@dataclass(slots=True, eq=False)
class _Run:
    """A training run, ready to begin or to go on."""

    dataset: Dataset
    folder: Path
    guides: Guides
    terms: str
    prepared: Prepared

    @property
    def recipe(self) -> Recipe:
        return self.prepared.material.recipe

    def learn(self, state: dict[str, Any] | None, progress: Progress) -> list[Row]:
        """Run all stages from a checkpoint, or from the beginning; return the log."""
        rows: list[Row] = []
        first_stage = first_epoch = 0
        if state is not None:
            rows, first_stage, first_epoch = self._restore(state)
        for index in range(first_stage, len(self.prepared.stages)):
            stage = self.prepared.stages[index]
            n = stage.material.steps_per_epoch * stage.material.batch_size
            with progress.task(stage.title, stage.n_epochs * n) as task:
                task.advance(first_epoch * n)
                for epoch in range(first_epoch, stage.n_epochs):
                    rows.append(self._learn_epoch(stage, epoch, task))
                    self._save(index, epoch + 1, rows)
            stage.finish()
            first_epoch = 0
        return rows

    def _learn_epoch(self, stage: Stage, epoch: int, task: Task) -> Row:
        started = time.perf_counter()
        with seeded(derive_seed(self.recipe.seed, stage.name, epoch)) as generator:
            losses = stage.run_epoch(epoch, generator, task)
        return {
            "stage": stage.label(epoch),
            "epoch": epoch + 1,
            **losses,
            **stage.measure(_MONITORED),
            "learning_rate": float(stage.optimizer.param_groups[0]["lr"]),
            "seconds": time.perf_counter() - started,
        }

    def _save(self, stage: int, epochs: int, rows: list[Row]) -> None:
        # No random state is kept: each epoch draws from a seed of its own.
        state = {
            "format": _FORMAT,
            "recipe": self.recipe.to_dict(),
            "digest": self.prepared.digest,
            "encoder": self.prepared.encoder_digest,
            "stage": stage,
            "epochs": epochs,
            "modules": {
                name: module.state_dict() for name, module in self.prepared.modules().items()
            },
            "optimizer": self.prepared.stages[stage].optimizer.state_dict(),
            "rows": rows,
        }
        save_checkpoint(self.folder, state)
        write_atomically(self.folder / HISTORY, history_text(rows).encode())
        failpoint("learning.epoch")

    def _restore(self, state: dict[str, Any]) -> tuple[list[Row], int, int]:
        if state.get("format") != _FORMAT:
            raise UsageError(
                f"{self.folder} was written by another version of Lookalike; "
                "delete it and start again"
            )
        _refuse_other_recipe(state["recipe"], self.recipe, self.folder)
        if state["digest"] != self.prepared.digest:
            raise UsageError(
                f"{self.folder} was begun with other training pictures than {self.dataset.name} "
                "has now; resume with the same data set, or choose another place for the model"
            )
        if state.get("encoder", "") != self.prepared.encoder_digest:
            raise UsageError(
                f"{self.folder} was begun with another content of {self.recipe.backbone}; "
                "resume with the same file, or choose another place for the model"
            )
        for name, module in self.prepared.modules().items():
            module.load_state_dict(state["modules"][name])
        self.prepared.stages[state["stage"]].optimizer.load_state_dict(state["optimizer"])
        return state["rows"], state["stage"], state["epochs"]

    def export(self, out: Path, rows: list[Row]) -> ModelCard:
        """Measure on all held-out pictures, write the model folder and return its card."""
        figures = self.prepared.stages[-1].measure(None)
        for module in self.prepared.modules().values():
            module.to("cpu").eval()
        self.prepared.network.keep_labels(n_targets_of(self.dataset))
        temporary = self.folder / "model"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        pixels, label_maps = self._examples()
        figures |= export_model(
            temporary,
            self.prepared.network,
            self.prepared.self_encoder,
            is_single_label=self.dataset.is_single_label,
            has_half_weights=self.recipe.half_weights,
            pixels=pixels,
            label_maps=label_maps,
        )
        (temporary / HISTORY).write_text(history_text(rows), encoding="utf-8")
        draw_curves(rows, temporary / CURVES, self._name())
        return publish(temporary, out, self._card(figures, rows))

    def _examples(self) -> tuple[Tensor, Tensor | None]:
        """Held-out pictures as the network reads them; where there are none, some it learned."""
        held_out, learned = self.prepared.held_out.pictures, self.prepared.material.pictures
        pictures = held_out if len(held_out) else learned
        positions = torch.arange(min(_COMPARED, len(pictures)))
        views = whole_views(len(positions))
        shown = view_pixels(pictures.take_pixels(positions).cpu(), views, self.recipe.input_size)
        pixels = shown.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        if pictures.label_maps is None:
            return pixels, None
        label_maps = pictures.take_label_maps(positions).cpu()
        return pixels, view_label_maps(label_maps, views, self.recipe.grid)

    def _name(self) -> str:
        name = re.sub(r"[^A-Za-z0-9._]+", "-", self.dataset.name).strip("-") or "model"
        return f"{name}-{Path(self.recipe.backbone).stem}-s{self.recipe.seed}"

    def _card(self, figures: dict[str, float], rows: list[Row]) -> ModelCard:
        self_encoder = self.prepared.self_encoder
        n = n_targets_of(self.dataset)
        return ModelCard(
            name=self._name(),
            classes=tuple(self.dataset.classes[:n]),
            relevant_classes=tuple(sorted(self.dataset.relevant_classes)),
            palette=tuple(self.dataset.palette[: n + 1]),
            image_size=self.recipe.input_size,
            grid=self.recipe.grid if self_encoder else 0,
            content_dim=self.prepared.network.content_dim,
            code_dim=len(self_encoder.mean) if self_encoder else 0,
            is_single_label=self.dataset.is_single_label,
            preprocess_version=PREPROCESS_VERSION,
            recipe=self.recipe.to_dict(),
            training_data=self._training_data(rows),
            measured={name: float(f"{figure:.6g}") for name, figure in figures.items()},
        )

    def _training_data(self, rows: list[Row]) -> dict[str, Any]:
        learned = self.prepared.all_material.pictures
        held_out = self.prepared.held_out.pictures
        epochs: dict[str, int] = defaultdict(int)
        seconds: dict[str, float] = defaultdict(float)
        for row in rows:
            epochs[str(row["stage"])] += 1
            seconds[str(row["stage"])] += float(row["seconds"])
        digest = self.prepared.encoder_digest
        encoder = {"encoder_sha256": digest} if digest else {}
        return {
            "name": self.dataset.name,
            **({"terms": self.terms} if self.terms else {}),
            "pictures": len(learned),
            "labeled_pictures": len(self.prepared.material.pictures),
            "held_out_pictures": len(held_out),
            "unreadable": [*learned.unreadable, *held_out.unreadable],
            "has_label_maps": self.dataset.has_label_maps,
            **describe_guides(self.guides),
            "digest": self.prepared.digest,
            **encoder,
            "device": str(self.prepared.material.device),
            "epochs": dict(epochs),
            "seconds": {stage: round(total, 1) for stage, total in seconds.items()},
        }
