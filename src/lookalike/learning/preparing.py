"""What a training run needs before its first step: pictures, networks, stages."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn

from lookalike.datasets.base import Dataset
from lookalike.datasets.splits import split_positions
from lookalike.datasets.union import n_targets_of
from lookalike.errors import DatasetError, UsageError
from lookalike.learning.devices import Device, derive_seed, seeded
from lookalike.learning.external import ExternalEncoder
from lookalike.learning.external_features import with_features
from lookalike.learning.guides import Guides
from lookalike.learning.held_out import HeldOut
from lookalike.learning.joint_training import NetworkStage
from lookalike.learning.map_layers import layer_stages
from lookalike.learning.network import Network, build_network
from lookalike.learning.pictures import blocks, fingerprint, load_pictures
from lookalike.learning.pooled_masks import build_pooled_masks, fit_pooled_masks
from lookalike.learning.pretraining import pretraining_stages
from lookalike.learning.pseudo_maps import with_pseudo_maps
from lookalike.learning.recipes import Recipe
from lookalike.learning.self_encoders import SelfEncoder, build_self_encoder
from lookalike.learning.self_encoding import SelfEncoderStage, weigh_values
from lookalike.learning.stages import Material, Stage
from lookalike.learning.teachers import Teacher, describe, open_teacher
from lookalike.progress import Progress

_STORED_MARGIN: Final = 1.125
"""Pictures are kept a little larger than the network reads them, so that crops stay sharp."""
_TAUGHT_MARGIN: Final = 1.5
"""Larger still for a teacher, which is made for more pixels than the network reads."""
_CENTERED: Final = 1024
"""Pictures over which the mean of a teacher's embeddings is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What is trained, and on what.

    Attributes:
        all_material: The training pictures.
        material: Those of them whose labels may be used.
        held_out: The pictures to measure on.
        network: The network.
        self_encoder: The self-encoder; `None` where there are no label maps.
        teacher: What teaches `content`; `None` without.
        pretraining: What is trained beside the network before there are labels; `None` without.
        stages: What is done, in order.
        digest: Of pictures and guides, which a resumed run must find unchanged.
    """

    all_material: Material
    material: Material
    held_out: HeldOut
    network: Network
    self_encoder: SelfEncoder | None
    teacher: Teacher | None
    pretraining: nn.Module | None
    stages: Sequence[Stage]
    digest: str

    def modules(self) -> dict[str, nn.Module]:
        """Return what learns, by the name it has in checkpoints."""
        named = {
            "network": self.network,
            "self_encoder": self.self_encoder,
            "teacher": self.teacher,
            "pretraining": self.pretraining,
        }
        return {name: module for name, module in named.items() if module is not None}

    @property
    def encoder_digest(self) -> str:
        """Checksum of the external encoder; empty without one."""
        backbone = self.network.backbone
        return backbone.sha256 if isinstance(backbone, ExternalEncoder) else ""


def prepare(
    dataset: Dataset,
    folder: Path,
    recipe: Recipe,
    validate: Dataset | None,
    guides: Guides,
    encoder: ExternalEncoder | None,
    device: Device,
    progress: Progress,
) -> Prepared:
    """Decode the pictures and build what is to be trained.

    Raises:
        DatasetError: If there is too little to learn from, or classes differ.
        UsageError: If a guide is given that the recipe does not use, or cannot be.
    """
    _check_guides(guides, recipe)
    _check_classes(dataset, validate)
    if validate is None:
        positions, held_out_positions = split_positions(dataset)
    else:
        positions, held_out_positions = list(range(len(dataset))), list(range(len(validate)))
    digest = fingerprint(dataset, positions)
    margin = _TAUGHT_MARGIN if guides.teacher else _STORED_MARGIN
    side = recipe.image_size if encoder else round(recipe.image_size * margin)
    source = _with_maps(dataset, folder, recipe, guides, device, digest)
    learned = load_pictures(
        source,
        positions,
        folder / "learned",
        side=side,
        map_side=2 * recipe.grid,
        progress=progress,
        drawn_by=describe_guides(guides).get("segmenter", ""),
    )
    if len(learned) < 2:
        raise DatasetError(
            f"{dataset.name} has {len(learned)} pictures to learn from; at least 2 are needed"
        )
    measured = load_pictures(
        validate or dataset,
        held_out_positions,
        folder / "held-out",
        side=recipe.input_size,
        map_side=recipe.grid,
        progress=progress,
    )
    if encoder is not None:
        files = folder / "learned"
        learned = with_features(learned, encoder, files, is_learned=True, progress=progress)
        files = folder / "held-out"
        measured = with_features(measured, encoder, files, is_learned=False, progress=progress)
    learned = learned.moved_to(device.name)
    all_material = Material.of(learned, dataset.is_single_label, recipe, device)
    material = all_material.labeled().repeated()
    held_out = HeldOut(measured, n_targets_of(dataset), dataset.is_single_label, device)
    network, self_encoder = _build(dataset, material, encoder)
    teacher = _open_teacher(guides, network, all_material)
    pretraining, stages = pretraining_stages(network, all_material, guides.teacher)
    return Prepared(
        all_material=all_material,
        material=material,
        held_out=held_out,
        network=network,
        self_encoder=self_encoder,
        teacher=teacher,
        pretraining=pretraining,
        stages=[*stages, *_stages(network, self_encoder, teacher, material, held_out)],
        digest=_with_guides(digest, guides),
    )


def _with_maps(
    dataset: Dataset, folder: Path, recipe: Recipe, guides: Guides, device: Device, digest: str
) -> Dataset:
    """Return the data set with the label maps that a segmenter has to draw, if there is one."""
    if guides.segmenter is None:
        return dataset
    files = folder / "pseudo-maps"
    return with_pseudo_maps(dataset, guides.segmenter, files, 2 * recipe.grid, device, digest)


def _with_guides(digest: str, guides: Guides) -> str:
    guided = describe_guides(guides)
    if not guided:
        return digest
    return hashlib.blake2b(f"{digest} {guided}".encode(), digest_size=16).hexdigest()


def describe_guides(guides: Guides) -> dict[str, str]:
    """Name the networks that help and their checksums; empty without any."""
    described = {"teacher": describe(guides.teacher)} if guides.teacher else {}
    segmenter = guides.segmenter
    if segmenter is not None:
        without = f" without {', '.join(segmenter.without)}" if segmenter.without else ""
        parts = f" for {', '.join(segmenter.parts)}" if segmenter.parts else ""
        described["segmenter"] = describe(segmenter.network) + without + parts
    return described


def _check_guides(guides: Guides, recipe: Recipe) -> None:
    gives_hints = recipe.pretraining == "hints"
    if guides.teacher is not None and recipe.teacher_weight == 0 and not gives_hints:
        raise UsageError(
            "a teacher was given, but teacher_weight is 0; give a weight above 0, or pre-train "
            "by hints"
        )
    if guides.teacher is None and recipe.teacher_cells_weight > 0:
        raise UsageError(
            f"teacher_cells_weight is {recipe.teacher_cells_weight}, but there is no network that "
            "could teach cells; give a teacher or a weight of 0"
        )
    if guides.segmenter is not None and not recipe.needs_label_maps:
        raise UsageError("a segmenter was given, but code_weight is 0; give a weight above 0")


def _open_teacher(guides: Guides, network: Network, material: Material) -> Teacher | None:
    recipe, device = material.recipe, material.device
    if recipe.teacher_weight == 0:
        return None
    n_channels = network.backbone.n_channels if recipe.teacher_cells_weight > 0 else 0
    with seeded(derive_seed(recipe.seed, "teacher")) as generator:
        teacher = open_teacher(
            guides.teacher,
            guides.teacher_normalization,
            network.content_dim,
            recipe.color_share,
            device,
            n_channels,
        )
        n = len(material.pictures)
        chosen = torch.randperm(n, generator=generator)[: min(n, _CENTERED)]
        teacher.center(
            material.pictures.take_pixels(chosen[block]).to(device.name).permute(0, 3, 1, 2).float()
            for block in blocks(len(chosen), 64)
        )
    return teacher


def _check_classes(dataset: Dataset, validate: Dataset | None) -> None:
    if not dataset.classes:
        raise DatasetError(f"{dataset.name} has no classes; there is nothing to learn from it")
    told = tuple(dataset.classes[: n_targets_of(dataset)])
    if validate is not None and tuple(validate.classes) not in (tuple(dataset.classes), told):
        raise DatasetError(
            f"{validate.name} has other classes than {dataset.name}; "
            "validate with pictures that have the same classes in the same order"
        )


def _build(
    dataset: Dataset, material: Material, encoder: ExternalEncoder | None
) -> tuple[Network, SelfEncoder | None]:
    """Draw the first weights; those of the network do not depend on there being codes."""
    recipe, device = material.recipe, material.device.name
    has_code = recipe.needs_label_maps and len(material.mapped) > 1
    n_targets = n_targets_of(dataset)
    with seeded(derive_seed(recipe.seed, "network")):
        network = build_network(
            len(dataset.classes), recipe, has_code=has_code, n_targets=n_targets, encoder=encoder
        )
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not has_code:
        _refuse_without_maps(recipe)
        return network, None
    if recipe.learns_self_encoder:
        with seeded(derive_seed(recipe.seed, "self-encoder")):
            self_encoder = build_self_encoder(n_targets, recipe)
    else:
        self_encoder = build_pooled_masks(n_targets, recipe)
        fit_pooled_masks(self_encoder, material)
        if network.segmentation_head is not None:
            network.rescale_code(self_encoder.mean.to(device), self_encoder.deviation.to(device))
    weigh_values(self_encoder, material.pictures, n_targets)
    return network, self_encoder.to(device)


def _refuse_without_maps(recipe: Recipe) -> None:
    for name in ("tiled_share", "shares_weight", "similar_codes_weight"):
        value = getattr(recipe, name)
        if value > 0:
            raise DatasetError(
                f"{name} is {value:g}, but fewer than two pictures have a label map; use 0 or a "
                "data set that has some"
            )


def _stages(
    network: Network,
    self_encoder: SelfEncoder | None,
    teacher: Teacher | None,
    material: Material,
    held_out: HeldOut,
) -> list[Stage]:
    recipe = material.recipe
    epochs = recipe.epochs_for(len(material.positions))
    has_hints = recipe.pretraining == "hints"
    is_frozen = recipe.is_trunk_frozen and (self_encoder is not None or has_hints)
    stages: list[Stage] = []
    if self_encoder is not None and recipe.learns_self_encoder:
        maps = material.of_maps()
        map_epochs = recipe.self_encoder_epochs_for(len(maps.positions))
        stages += layer_stages(self_encoder, maps, held_out)
        stages.append(SelfEncoderStage(self_encoder, maps, held_out, map_epochs))
    if is_frozen and not has_hints:
        stages.append(
            NetworkStage(network, None, material, held_out, epochs, teacher, name="trunk")
        )
    whole = NetworkStage(
        network, self_encoder, material, held_out, epochs, teacher, is_trunk_frozen=is_frozen
    )
    return [*stages, whole]
