"""The second and third stage: the network learns labels and codes, then both learn together."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor, nn

from lookalike.arrays import VOID
from lookalike.learning.augmentation import (
    mix_images,
    random_views,
    shrink_images,
    view_label_maps,
)
from lookalike.learning.cell_shares import CellShares, map_shares, shares_loss
from lookalike.learning.devices import derive_seed
from lookalike.learning.held_out import HeldOut
from lookalike.learning.losses import Scalar, code_loss
from lookalike.learning.network import Network, Prediction
from lookalike.learning.read_out import fit_shares
from lookalike.learning.recipes import Recipe
from lookalike.learning.self_encoders import SelfEncoder
from lookalike.learning.self_encoding import calibrate
from lookalike.learning.stages import (
    Averages,
    Material,
    Steps,
    make_optimizer,
    mirrored_views,
    view_images,
)
from lookalike.learning.teachers import Teacher
from lookalike.learning.tiles import draw_tiles
from lookalike.progress import Task


class NetworkStage:
    """The network learns labels and codes; in the last epochs the self-encoder moves with it.

    `L = L_cls + λ·L_reg`. While the self-encoder is frozen its codes are the targets. In the joint
    epochs gradients reach it too, and `L_rec + λ·L_pred` is added: the loss of reconstructing the
    label map from its own code, without which codes would collapse to something easily predicted,
    and from the code predicted for the photograph. Codes stay z-scored, over each batch.

    Without a self-encoder the same steps are taken for the labels alone. With a segmentation head
    the label map takes the place of the code: `L = L_cls + weight · L_map`.

    With a teacher its two losses are added. Pictures without a label map have no loss of codes.

    Args:
        teacher: What `content` is taught beside labels; `None` without.
        is_trunk_frozen: Whether the backbone keeps its weights, so that the heads alone learn.
        name: Name of the stage in seeds, checkpoints and the log.
    """

    def __init__(
        self,
        network: Network,
        self_encoder: SelfEncoder | None,
        material: Material,
        held_out: HeldOut,
        n_epochs: int,
        teacher: Teacher | None = None,
        *,
        is_trunk_frozen: bool = False,
        name: str = "network",
    ) -> None:
        self.name = name
        self.network, self.self_encoder, self.teacher = network, self_encoder, teacher
        self.material, self.held_out, self.n_epochs = material, held_out, n_epochs
        self.title = _title(self_encoder is not None, material.pictures.label_maps is not None)
        self._is_trunk_frozen = is_trunk_frozen
        self._freeze()
        learned = [network, self_encoder, teacher]
        modules: list[nn.Module] = [module for module in learned if module is not None]
        self.optimizer = make_optimizer(modules, material)
        n_steps = n_epochs * material.steps_per_epoch
        self._steps = Steps(self.optimizer, material.recipe.learning_rate, n_steps)
        self._first_joint = n_epochs - round(material.recipe.joint_share * n_epochs)
        self._codes = _CodeSource(material.recipe, len(material.pictures))

    def is_joint(self, epoch: int) -> bool:
        """Tell whether the self-encoder learns in this epoch."""
        is_learned = self.self_encoder is not None and self.material.recipe.learns_self_encoder
        return is_learned and self._codes.noise is None and epoch >= self._first_joint

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return "joint" if self.is_joint(epoch) else self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        self._freeze()
        self._read_as_encoded()
        if self.self_encoder is not None:
            self.self_encoder.train(self.is_joint(epoch))
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            losses = self._losses(positions, generator, is_joint=self.is_joint(epoch))
            self._steps.take(self._total(losses), step)
            averages.add(losses, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure labels, and label maps reconstructed and predicted, of held-out pictures."""
        figures = self.held_out.measure_network(self.network, self.self_encoder, limit)
        if self.self_encoder is not None:
            figures |= self.held_out.measure_self_encoder(self.self_encoder, limit)
        return figures

    def finish(self) -> None:
        """Fix the z-score anew, if the self-encoder has moved; predictions move with it.

        Shares of cells, where codes are read from those, are fitted anew.
        """
        if self.self_encoder is None:
            return
        shares = self.network.code_features
        if self.is_joint(self.n_epochs - 1):
            moved = calibrate(self.self_encoder, self.material)
            if not isinstance(shares, CellShares):
                self.network.rescale_code(*moved)
        if isinstance(shares, CellShares):
            self._read_as_encoded()
            fit_shares(self.network, shares, self.material)

    def _read_as_encoded(self) -> None:
        """Let the network read codes from shares just as the self-encoder does."""
        head = self.network.code_head
        if self.self_encoder is None or head is None:
            return
        if isinstance(self.network.code_features, CellShares):
            head.weight.data.copy_(self.self_encoder.weights_of_shares().detach())

    def _freeze(self) -> None:
        """Let the trunk learn or not; stages before or after this one may have it otherwise."""
        self.network.train()
        trunk = self.network.get_submodule("backbone")
        trunk.train(not self._is_trunk_frozen)
        trunk.requires_grad_(not self._is_trunk_frozen)

    def _total(self, losses: dict[str, Scalar]) -> Scalar:
        recipe = self.material.recipe
        weights = {
            "code_loss": recipe.code_weight,
            "predicted_map_loss": recipe.code_weight,
            "segmentation_loss": recipe.segmentation_weight,
            "teacher_loss": recipe.teacher_weight,
            "similarity_loss": recipe.teacher_weight,
            "cells_loss": recipe.teacher_cells_weight,
            "shares_loss": recipe.shares_weight,
            "similar_codes_loss": recipe.similar_codes_weight,
        }
        return torch.stack([loss * weights.get(name, 1.0) for name, loss in losses.items()]).sum()

    def _losses(
        self, positions: Int64[Tensor, " batch"], generator: Generator, *, is_joint: bool
    ) -> dict[str, Scalar]:
        material = self.material
        n = len(positions)
        views = self._views(n, generator)
        shown = self._show(positions, views, generator)
        n_mixed = int(material.recipe.mixed_share * n)
        tiles = None
        if shown is not None:
            shown = mix_images(shown, n_mixed, generator)
            if material.recipe.tiled_share > 0:
                tiles = draw_tiles(material, n, generator)
                scenes = tiles.images(material, generator, size=shown.shape[-1])
                shown = torch.cat([shown, scenes])
        predicted = self._predict(positions, views, shown)
        losses: dict[str, Scalar] = {}
        if self.teacher is not None and shown is not None:
            target = self.teacher.target(shown)
            losses |= self.teacher.losses(predicted.content, target, predicted.feature_map)
        # Nothing but the teacher knows what a mixture shows.
        positions, views, predicted = positions[n_mixed:], views[n_mixed:], predicted.after(n_mixed)
        label_logits = predicted.label_logits[: len(positions)]
        losses |= {"label_loss": material.label_loss(label_logits, positions)}
        if self.self_encoder is None or predicted.code is None:
            return losses
        if self._codes.noise is not None:
            noise = self._codes.noise[positions].to(material.device.name)
            return losses | {"code_loss": code_loss(predicted.code, noise)}
        label_maps = self._label_maps(positions, views)
        if tiles is not None:
            label_maps = torch.cat([label_maps, tiles.label_maps(material)])
        return losses | self._code_losses(predicted, label_maps, is_joint=is_joint)

    def _label_maps(
        self, positions: Int64[Tensor, " batch"], views: Float[Tensor, "batch 2 3"]
    ) -> UInt8[Tensor, "batch grid grid"]:
        """Return the label maps whose codes are learned, seen as the pictures are."""
        material, device = self.material, self.material.device.name
        label_maps = material.pictures.take_label_maps(self._codes.sources[positions]).to(device)
        return view_label_maps(label_maps, views.to(device), material.recipe.grid)

    def _code_losses(
        self,
        predicted: Prediction,
        shown: UInt8[Tensor, "batch grid grid"],
        *,
        is_joint: bool,
    ) -> dict[str, Scalar]:
        """Losses over the pictures of the batch that have a label map; nothing for fewer than 2."""
        self_encoder = self.self_encoder
        if self.material.is_partly_mapped:
            is_mapped = (shown != VOID).flatten(1).any(dim=1)
            shown, predicted = shown[is_mapped], predicted.where(is_mapped)
        if self_encoder is None or predicted.code is None or len(shown) < 2:
            return {}
        if predicted.map_logits is not None:
            return {"segmentation_loss": self_encoder.loss(predicted.map_logits, shown)}
        losses: dict[str, Scalar] = {}
        if is_joint:
            losses |= self._joint_losses(self_encoder, predicted.code, shown)
        else:
            with torch.no_grad(), self.material.device.autocast():
                target = self_encoder.encode(shown)
            losses["code_loss"] = code_loss(predicted.code, target)
        if predicted.shares is not None:
            true = map_shares(shown, predicted.shares.shape[1])
            losses["shares_loss"] = shares_loss(predicted.shares, true)
        return losses

    def _joint_losses(
        self,
        self_encoder: SelfEncoder,
        predicted: Float[Tensor, "batch code_dim"],
        shown: UInt8[Tensor, "batch grid grid"],
    ) -> dict[str, Scalar]:
        with self.material.device.autocast():
            code, losses = self_encoder.losses(shown, shown)
            predicted_logits = self_encoder.decode(predicted)
        return {
            "code_loss": code_loss(predicted, code),
            **losses,
            "predicted_map_loss": self_encoder.loss(predicted_logits, shown),
        }

    def _views(self, n: int, generator: Generator) -> Float[Tensor, "batch 2 3"]:
        """Draw crops; an external encoder has seen whole pictures and their mirror images only."""
        if self.material.pictures.features is not None:
            return mirrored_views(n, generator)
        return random_views(n, self.material.recipe.smallest_crop, generator)

    def _show(
        self,
        positions: Int64[Tensor, " batch"],
        views: Float[Tensor, "batch 2 3"],
        generator: Generator,
    ) -> Float[Tensor, "batch 3 side side"] | None:
        """Return what network and teacher look at; `None` where nobody does.

        A teacher is shown more pixels than the network. An external encoder has seen pictures in
        their own colors; so does its teacher.
        """
        recipe, has_seen = self.material.recipe, self.material.pictures.features is not None
        if has_seen and self.teacher is None:
            return None
        size = max(recipe.image_size, 0 if self.teacher is None else self.teacher.side)
        jitter = 0.0 if has_seen else recipe.color_jitter
        return view_images(self.material, positions, views, generator, jitter=jitter, size=size)

    def _predict(
        self,
        positions: Int64[Tensor, " batch"],
        views: Float[Tensor, "batch 2 3"],
        shown: Float[Tensor, "shown 3 side side"] | None,
    ) -> Prediction:
        material = self.material
        with material.device.autocast():
            if shown is None or material.pictures.features is not None:
                features = material.pictures.take_features(positions, views[:, 0, 0] < 0)
                return self.network.predict(features.to(material.device.name))
            prediction: Prediction = self.network(shrink_images(shown, material.recipe.image_size))
            return prediction


def _title(has_code: bool, has_label_maps: bool) -> str:
    if has_code:
        return "Learning labels and codes"
    return "Learning labels" if has_label_maps else "Learning labels alone, without label maps"


class _CodeSource:
    """Whose code each picture is given: its own, or for controls another's or mere noise."""

    def __init__(self, recipe: Recipe, n: int) -> None:
        generator = Generator().manual_seed(derive_seed(recipe.seed, "code control"))
        self.sources: Int64[Tensor, " items"] = torch.arange(n)
        self.noise: Float[Tensor, "items code_dim"] | None = None
        if recipe.code_control == "shuffled":
            self.sources = torch.randperm(n, generator=generator)
        if recipe.code_control == "noise":
            self.noise = torch.randn(n, recipe.code_dim, generator=generator)
