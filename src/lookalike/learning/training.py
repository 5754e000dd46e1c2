"""The training run: what is learned when, kept in checkpoints, ending in a model folder."""

import re
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from lookalike.atomic import write_atomically
from lookalike.datasets.base import Dataset
from lookalike.errors import DatasetError, UsageError
from lookalike.failpoints import failpoint
from lookalike.images.decoding import PREPROCESS_VERSION
from lookalike.learning.augmentation import view_label_maps, view_pixels
from lookalike.learning.checkpoints import disk_faults, load_checkpoint, save_checkpoint
from lookalike.learning.devices import Device, choose_device, derive_seed, seeded
from lookalike.learning.export import export_model, publish
from lookalike.learning.external import ExternalEncoder, open_encoder
from lookalike.learning.external_features import with_features
from lookalike.learning.held_out import HeldOut
from lookalike.learning.history import CURVES, HISTORY, Row, draw_curves, history_text
from lookalike.learning.joint_training import NetworkStage
from lookalike.learning.map_layers import layer_stages
from lookalike.learning.network import Network, build_network
from lookalike.learning.pictures import fingerprint, load_pictures, split_positions
from lookalike.learning.pooled_masks import build_pooled_masks, fit_pooled_masks
from lookalike.learning.pretraining import pretraining_stages
from lookalike.learning.recipes import Recipe, differences
from lookalike.learning.self_encoders import SelfEncoder, build_self_encoder
from lookalike.learning.self_encoding import SelfEncoderStage, weigh_values
from lookalike.learning.stages import Material, Stage, whole_views
from lookalike.model_folder import CARD, ModelCard, read_card
from lookalike.progress import Progress, Task

_STORED_MARGIN: Final = 1.125
"""Pictures are kept a little larger than the network reads them, so that crops stay sharp."""
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
    resume: bool,
    progress: Progress,
) -> ModelCard:
    """Train a model; see `recipes.learn`, which this does."""
    folder = out.with_name(f"{out.name}.training")
    if resume and (out / CARD).is_file():
        return _finished(out, recipe)
    _refuse_existing(out, folder, resume)
    device = choose_device(recipe.device, recipe.precision)
    encoder = open_encoder(recipe)  # before any folder is made
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        run = _prepare(dataset, folder, recipe, validate, device, encoder, progress)
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


def _refuse_existing(out: Path, folder: Path, resume: bool) -> None:
    if out.exists():
        raise UsageError(f"{out} exists already; choose another place for the model or remove it")
    if folder.exists() and not resume:
        raise UsageError(
            f"{folder} holds an unfinished training; continue it with resume (--resume), "
            "or delete that folder to start again"
        )


def _refuse_other_recipe(trained: dict[str, Any], recipe: Recipe, place: Path) -> None:
    unlike = differences(trained, recipe.to_dict())
    if unlike:
        raise UsageError(
            f"{place} was begun with another recipe ({', '.join(unlike)}); "
            "resume with the same options, or choose another place for the model"
        )


@dataclass(slots=True, eq=False)
class _Run:
    """A training run, ready to begin or to go on; made by `_prepare`.

    `material` are the pictures whose labels may be used, `all_material` those and the others.
    """

    dataset: Dataset
    folder: Path
    all_material: Material
    material: Material
    held_out: HeldOut
    network: Network
    self_encoder: SelfEncoder | None
    pretraining: nn.Module | None
    stages: Sequence[Stage]
    digest: str

    @property
    def recipe(self) -> Recipe:
        return self.material.recipe

    def learn(self, state: dict[str, Any] | None, progress: Progress) -> list[Row]:
        """Run all stages from a checkpoint, or from the beginning; return the log."""
        rows: list[Row] = []
        first_stage = first_epoch = 0
        if state is not None:
            rows, first_stage, first_epoch = self._restore(state)
        for index in range(first_stage, len(self.stages)):
            stage = self.stages[index]
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

    def _modules(self) -> dict[str, nn.Module]:
        modules = {
            "network": self.network,
            "self_encoder": self.self_encoder,
            "pretraining": self.pretraining,
        }
        return {name: module for name, module in modules.items() if module is not None}

    @property
    def encoder_digest(self) -> str:
        """Checksum of the external encoder; empty without one."""
        backbone = self.network.backbone
        return backbone.sha256 if isinstance(backbone, ExternalEncoder) else ""

    def _save(self, stage: int, epochs: int, rows: list[Row]) -> None:
        # No random state is kept: each epoch draws from a seed of its own.
        state = {
            "format": _FORMAT,
            "recipe": self.recipe.to_dict(),
            "digest": self.digest,
            "encoder": self.encoder_digest,
            "stage": stage,
            "epochs": epochs,
            "modules": {name: module.state_dict() for name, module in self._modules().items()},
            "optimizer": self.stages[stage].optimizer.state_dict(),
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
        if state["digest"] != self.digest:
            raise UsageError(
                f"{self.folder} was begun with other training pictures than {self.dataset.name} "
                "has now; resume with the same data set, or choose another place for the model"
            )
        if state.get("encoder", "") != self.encoder_digest:
            raise UsageError(
                f"{self.folder} was begun with another content of {self.recipe.backbone}; "
                "resume with the same file, or choose another place for the model"
            )
        for name, module in self._modules().items():
            module.load_state_dict(state["modules"][name])
        self.stages[state["stage"]].optimizer.load_state_dict(state["optimizer"])
        return state["rows"], state["stage"], state["epochs"]

    def export(self, out: Path, rows: list[Row]) -> ModelCard:
        """Measure on all held-out pictures, write the model folder and return its card."""
        figures = self.stages[-1].measure(None)
        for module in self._modules().values():
            module.to("cpu").eval()
        temporary = self.folder / "model"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        pixels, label_maps = self._examples()
        figures |= export_model(
            temporary,
            self.network,
            self.self_encoder,
            is_single_label=self.dataset.is_single_label,
            pixels=pixels,
            label_maps=label_maps,
        )
        (temporary / HISTORY).write_text(history_text(rows), encoding="utf-8")
        draw_curves(rows, temporary / CURVES, self._name())
        return publish(temporary, out, self._card(figures, rows))

    def _examples(self) -> tuple[Tensor, Tensor | None]:
        """Held-out pictures as the network reads them; where there are none, some it learned."""
        pictures = self.held_out.pictures if len(self.held_out.pictures) else self.material.pictures
        positions = torch.arange(min(_COMPARED, len(pictures)))
        views = whole_views(len(positions))
        shown = view_pixels(pictures.take_pixels(positions), views, self.recipe.image_size)
        pixels = shown.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        if pictures.label_maps is None:
            return pixels, None
        label_maps = pictures.take_label_maps(positions)
        return pixels, view_label_maps(label_maps, views, self.recipe.grid)

    def _name(self) -> str:
        name = re.sub(r"[^A-Za-z0-9._]+", "-", self.dataset.name).strip("-") or "model"
        return f"{name}-{Path(self.recipe.backbone).stem}-s{self.recipe.seed}"

    def _card(self, figures: dict[str, float], rows: list[Row]) -> ModelCard:
        has_code = self.self_encoder is not None
        return ModelCard(
            name=self._name(),
            classes=tuple(self.dataset.classes),
            relevant_classes=tuple(sorted(self.dataset.relevant_classes)),
            palette=tuple(self.dataset.palette),
            image_size=self.recipe.image_size,
            grid=self.recipe.grid if has_code else 0,
            content_dim=self.network.content_dim,
            code_dim=len(self.self_encoder.mean) if self.self_encoder else 0,
            is_single_label=self.dataset.is_single_label,
            preprocess_version=PREPROCESS_VERSION,
            recipe=self.recipe.to_dict(),
            training_data=self._training_data(rows),
            measured={name: float(f"{figure:.6g}") for name, figure in figures.items()},
        )

    def _training_data(self, rows: list[Row]) -> dict[str, Any]:
        learned, held_out = self.all_material.pictures, self.held_out.pictures
        epochs: dict[str, int] = defaultdict(int)
        seconds: dict[str, float] = defaultdict(float)
        for row in rows:
            epochs[str(row["stage"])] += 1
            seconds[str(row["stage"])] += float(row["seconds"])
        encoder = {"encoder_sha256": self.encoder_digest} if self.encoder_digest else {}
        return {
            "name": self.dataset.name,
            "pictures": len(learned),
            "labeled_pictures": len(self.material.pictures),
            "held_out_pictures": len(held_out),
            "unreadable": [*learned.unreadable, *held_out.unreadable],
            "has_label_maps": self.dataset.has_label_maps,
            "digest": self.digest,
            **encoder,
            "device": str(self.material.device),
            "epochs": dict(epochs),
            "seconds": {stage: round(total, 1) for stage, total in seconds.items()},
        }


def _prepare(
    dataset: Dataset,
    folder: Path,
    recipe: Recipe,
    validate: Dataset | None,
    device: Device,
    encoder: ExternalEncoder | None,
    progress: Progress,
) -> _Run:
    """Decode the pictures and build what is to be trained."""
    _check_classes(dataset, validate)
    if validate is None:
        positions, held_out_positions = split_positions(dataset)
    else:
        positions, held_out_positions = list(range(len(dataset))), list(range(len(validate)))
    learned = load_pictures(
        dataset,
        positions,
        folder / "learned",
        side=recipe.image_size if encoder else round(recipe.image_size * _STORED_MARGIN),
        map_side=2 * recipe.grid,
        progress=progress,
    )
    if len(learned) < 2:
        raise DatasetError(
            f"{dataset.name} has {len(learned)} pictures to learn from; at least 2 are needed"
        )
    measured = load_pictures(
        validate or dataset,
        held_out_positions,
        folder / "held-out",
        side=recipe.image_size,
        map_side=recipe.grid,
        progress=progress,
    )
    if encoder is not None:
        files = folder / "learned"
        learned = with_features(learned, encoder, files, is_learned=True, progress=progress)
        files = folder / "held-out"
        measured = with_features(measured, encoder, files, is_learned=False, progress=progress)
    all_material = Material(learned, dataset.is_single_label, recipe, device)
    material = all_material.labeled()
    held_out = HeldOut(measured, len(dataset.classes), dataset.is_single_label, device)
    network, self_encoder = _build(len(dataset.classes), material, encoder)
    pretraining, stages = pretraining_stages(network, all_material)
    return _Run(
        dataset=dataset,
        folder=folder,
        all_material=all_material,
        material=material,
        held_out=held_out,
        network=network,
        self_encoder=self_encoder,
        pretraining=pretraining,
        stages=[*stages, *_stages(network, self_encoder, material, held_out)],
        digest=fingerprint(dataset, positions),
    )


def _check_classes(dataset: Dataset, validate: Dataset | None) -> None:
    if not dataset.classes:
        raise DatasetError(f"{dataset.name} has no classes; there is nothing to learn from it")
    if validate is not None and tuple(validate.classes) != tuple(dataset.classes):
        raise DatasetError(
            f"{validate.name} has other classes than {dataset.name}; "
            "validate with pictures that have the same classes in the same order"
        )


def _build(
    n_classes: int, material: Material, encoder: ExternalEncoder | None
) -> tuple[Network, SelfEncoder | None]:
    """Draw the first weights; those of the network do not depend on there being codes."""
    recipe, device = material.recipe, material.device.name
    has_code = recipe.needs_label_maps and material.pictures.label_maps is not None
    with seeded(derive_seed(recipe.seed, "network")):
        network = build_network(n_classes, recipe, has_code=has_code, encoder=encoder)
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not has_code:
        return network, None
    if recipe.learns_self_encoder:
        with seeded(derive_seed(recipe.seed, "self-encoder")):
            self_encoder = build_self_encoder(n_classes, recipe)
    else:
        self_encoder = build_pooled_masks(n_classes, recipe)
        fit_pooled_masks(self_encoder, material)
        if network.segmentation_head is not None:
            network.rescale_code(self_encoder.mean.to(device), self_encoder.deviation.to(device))
    weigh_values(self_encoder, material.pictures, n_classes)
    return network, self_encoder.to(device)


def _stages(
    network: Network, self_encoder: SelfEncoder | None, material: Material, held_out: HeldOut
) -> list[Stage]:
    n = len(material.pictures)
    epochs = material.recipe.epochs_for(n)
    is_frozen = material.recipe.is_trunk_frozen and self_encoder is not None
    stages: list[Stage] = []
    if is_frozen:
        stages.append(NetworkStage(network, None, material, held_out, epochs, name="trunk"))
    stages.append(
        NetworkStage(network, self_encoder, material, held_out, epochs, is_trunk_frozen=is_frozen)
    )
    if self_encoder is not None and material.recipe.learns_self_encoder:
        epochs = material.recipe.self_encoder_epochs_for(n)
        first = layer_stages(self_encoder, material, held_out)
        whole = SelfEncoderStage(self_encoder, material, held_out, epochs)
        stages = [*first, whole, *stages]
    return stages
