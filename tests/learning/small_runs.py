"""Label maps as material for stages, without pictures that matter."""

import numpy as np
import torch
from toy_pictures import draw_boxes

from lookalike.learning.devices import Device, derive_seed, seeded
from lookalike.learning.held_out import HeldOut
from lookalike.learning.map_layers import layer_stages
from lookalike.learning.pictures import Pictures
from lookalike.learning.recipes import Recipe
from lookalike.learning.self_encoders import SelfEncoder, build_self_encoder
from lookalike.learning.self_encoding import SelfEncoderStage
from lookalike.learning.stages import Material, Stage
from lookalike.progress import SILENT

CPU = Device("cpu", has_bfloat16=False)


def box_maps(n: int, grid: int = 16, seed: int = 5) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([draw_boxes(rng, grid) for _ in range(n)]))


def small_recipe(**changes: object) -> Recipe:
    plain = {"grid": 16, "code_dim": 16, "code_noise": 0.0, "image_size": 32, "smallest_crop": 1.0}
    return Recipe(**{**plain, "learning_rate": 0.02, "weight_decay": 0.0, **changes})


def material_of(label_maps: torch.Tensor, recipe: Recipe) -> Material:
    n = len(label_maps)
    pictures = Pictures(
        pixels=np.zeros((n, 1, 1, 3), np.uint8),
        label_maps=label_maps.numpy(),
        labels=np.zeros((n, 3), bool),
        unreadable=(),
        source=torch.zeros(n, dtype=torch.int64),
        known=torch.ones(1, 3, dtype=torch.bool),
        is_single=torch.tensor([False]),
    )
    return Material.of(pictures, False, recipe, CPU)


def self_encoder_of(recipe: Recipe, seed: int = 0) -> SelfEncoder:
    torch.manual_seed(seed)
    return build_self_encoder(3, recipe)


def stages_of(self_encoder: SelfEncoder, material: Material, n_epochs: int) -> list[Stage]:
    held_out = HeldOut(material.pictures, 3, False, CPU)
    whole = SelfEncoderStage(self_encoder, material, held_out, n_epochs)
    return [*layer_stages(self_encoder, material, held_out), whole]


def run_stage(stage: Stage) -> list[dict[str, float]]:
    rows = []
    with SILENT.task(stage.title) as task:
        for epoch in range(stage.n_epochs):
            with seeded(derive_seed(0, stage.name, epoch)) as generator:
                rows.append({**stage.run_epoch(epoch, generator, task), **stage.measure(None)})
    stage.finish()
    return rows


@torch.no_grad()
def share_right(self_encoder: SelfEncoder, label_maps: torch.Tensor) -> float:
    """Share of cells whose most probable value is the true one."""
    self_encoder.eval()
    decoded = self_encoder.decode(self_encoder.encode(label_maps)).argmax(dim=1)
    return float((decoded == label_maps).float().mean())
