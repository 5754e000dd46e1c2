"""The network: a backbone, a label head and a code head."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lookalike.errors import UsageError
from lookalike.learning.backbones import BACKBONES, Backbone
from lookalike.learning.cell_shares import CellShares
from lookalike.learning.colors import LearnedPalette
from lookalike.learning.content import (
    AveragedContent,
    CellFeatures,
    Content,
    DenseContent,
    PooledContent,
    ProjectedContent,
    VectorFeatures,
)
from lookalike.learning.external import ExternalEncoder
from lookalike.learning.published_networks import LAYERS, dense_width, plain_backbone
from lookalike.learning.recipes import Recipe
from lookalike.learning.segmentation import SegmentationHead

_MEAN: Final = (121.0, 115.0, 104.0)
_DEVIATION: Final = 64.0
_CONTENT_DIM: Final = 256
"""Length of `content` where it is a projection and the recipe leaves it open."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says about a batch.

    Attributes:
        content: Penultimate features, not yet of unit length.
        label_logits: One per class.
        code: Predicted z-scored code; `None` without a code head.
        map_logits: One per label map value and cell; `None` without a segmentation head.
        feature_map: What all of these were read from.
        shares: Share of each label map value in each cell; `None` where none are told.
    """

    content: Float[Tensor, "batch content_dim"]
    label_logits: Float[Tensor, "batch classes"]
    code: Float[Tensor, "batch code_dim"] | None
    map_logits: Float[Tensor, "batch values grid grid"] | None = None
    feature_map: Float[Tensor, "batch channels side side"] | None = None
    shares: Float[Tensor, "batch values cells cells"] | None = None

    def after(self, n: int) -> "Prediction":
        """Return the same without the first `n` pictures."""
        return self._take(slice(n, None))

    def where(self, is_kept: Bool[Tensor, " batch"]) -> "Prediction":
        """Return the same of some pictures alone."""
        return self._take(is_kept)

    def _take(self, chosen: slice | Tensor) -> "Prediction":
        others = (self.code, self.map_logits, self.feature_map, self.shares)
        rest = (None if part is None else part[chosen] for part in others)
        return Prediction(self.content[chosen], self.label_logits[chosen], *rest)


class Network(nn.Module):
    """Predicts labels and layout code of a picture.

    The label head sees features pooled over the whole picture, so `content` says what is there;
    the code head sees every cell of the feature map in its place, so `layout` says where. Each has
    channels of its own, made from the same feature map: pooling what serves both made pictures
    alike in `content` for their layout too, and fewer of the nearest shared a class.

    Published networks are taken as the paper has them: one feature, fc7, from which both labels
    and code are read by a linear layer each, `s = U f + u` and `ẑ = V f + v`.

    Args:
        backbone: Pixels → feature map.
        content: Feature map → `content`.
        label_head: `content` → one logit per class.
        code_features: Feature map → what the code is read from; `None` reads it from `content`.
        code_head: Reads the code; `None` without self-encoding.
    """

    mean: Float[Tensor, "1 3 1 1"]

    def __init__(
        self,
        backbone: Backbone,
        content: Content,
        label_head: nn.Linear,
        code_features: nn.Module | None,
        code_head: nn.Linear | None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.content = content
        self.label_head = label_head
        self.code_features = code_features
        self.code_head = code_head
        self.segmentation_head: SegmentationHead | None = None
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "batch 3 size size"]) -> Prediction:
        """Return the prediction for RGB images with values from 0 to 255."""
        normalized = self.normalize(images)
        return self.predict(self.backbone(normalized), normalized)

    def normalize(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch 3 size size"]:
        """Return images as the backbone wants them; an external encoder normalizes itself."""
        if isinstance(self.backbone, ExternalEncoder):
            return images
        return (images - self.mean) / _DEVIATION

    def predict(
        self,
        feature_map: Float[Tensor, "batch channels side side"],
        normalized: Float[Tensor, "batch 3 size size"] | None = None,
    ) -> Prediction:
        """Return the prediction for feature maps of the backbone.

        Args:
            feature_map: What the backbone gives.
            normalized: What it was given; needed where `content` is read from colors too.
        """
        content = self.read_content(feature_map, normalized)
        code = map_logits = shares = None
        if isinstance(self.code_features, CellShares):
            shares = self.code_features(feature_map)
            code = self.read_shares(shares)
        elif self.code_head is not None:
            features = self.code_features(feature_map) if self.code_features else content
            code = self.code_head(features).float()
        if self.segmentation_head is not None:
            map_logits = self.segmentation_head(feature_map)
            code = self.segmentation_head.code(map_logits)
        logits = self.label_head(content).float()
        return Prediction(content.float(), logits, code, map_logits, feature_map, shares)

    def read_shares(
        self, shares: Float[Tensor, "batch values cells cells"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the code that belongs to shares of label map values in cells.

        Raises:
            UsageError: If this network reads its code from something else.
        """
        if self.code_head is None or not isinstance(self.code_features, CellShares):
            raise UsageError("this network reads no code from shares; use shares_weight above 0")
        code: Tensor = self.code_head(shares[:, 1:].flatten(1))
        return code.float()

    def read_content(
        self,
        feature_map: Float[Tensor, "batch channels side side"],
        normalized: Float[Tensor, "batch 3 size size"] | None,
    ) -> Float[Tensor, "batch content_dim"]:
        """Return `content`, not yet of unit length; see `predict`."""
        if not isinstance(self.content, PooledContent):
            return self.content(feature_map)
        content: Tensor = self.content(feature_map, normalized)
        return content

    @property
    def content_dim(self) -> int:
        """Length of `content`."""
        return self.content.dim

    @property
    def read_outs(self) -> tuple[nn.Linear, ...]:
        """The linear layers that content and labels are read from; they are trained apart.

        Steps of equal size in all directions, as matrices get, spread what little tells classes
        apart over all of `content`: fewer of the nearest pictures shared a class. The dense layers
        of published networks belong to them.
        """
        return (*self.content.read_outs, self.label_head)

    @torch.no_grad()
    def keep_labels(self, n: int) -> None:
        """Tell only the first `n` classes from now on."""
        head = self.label_head
        head.weight, head.bias = (
            nn.Parameter(part[:n].clone()) for part in (head.weight, head.bias)
        )
        head.out_features = n

    @torch.no_grad()
    def rescale_code(
        self, mean: Float[Tensor, " code_dim"], deviation: Float[Tensor, " code_dim"]
    ) -> None:
        """Predict `(code − mean) / deviation` from now on, as the codes themselves have changed."""
        if self.code_head is not None:
            self.code_head.weight.div_(deviation[:, None])
            self.code_head.bias.sub_(mean).div_(deviation)
        if self.segmentation_head is not None:
            self.segmentation_head.rescale(mean, deviation)


def build_network(
    n_classes: int,
    recipe: Recipe,
    *,
    has_code: bool,
    n_targets: int | None = None,
    encoder: ExternalEncoder | None = None,
) -> Network:
    """Build the network a recipe asks for, with weights from the current random state.

    The code head, or the segmentation head in its place, is drawn last, so that the rest starts
    alike with and without it.

    Args:
        n_classes: Number of classes.
        recipe: All options.
        n_targets: How many of these, the first, label maps hold; `None` for all.
        has_code: Whether there is a code head, or the segmentation head that some recipes want.
        encoder: The external encoder that the recipe names as its backbone.
    """
    backbone = encoder or _backbone(recipe)
    content = _content(backbone, recipe)
    label_head = nn.Linear(content.dim, n_classes)
    if not has_code or not recipe.has_self_encoding:
        network = Network(backbone, content, label_head, None, None)
        if has_code and recipe.segmentation_weight > 0:
            n_values = (n_classes if n_targets is None else n_targets) + 1
            network.segmentation_head = SegmentationHead(
                backbone.n_channels, backbone.side, n_values, recipe.grid
            )
        return network
    n_values = (n_classes if n_targets is None else n_targets) + 1
    features = _code_features(backbone, recipe, n_values)
    n_inputs = content.dim if features is None else features.dim
    code_head = nn.Linear(n_inputs, recipe.code_dim)
    if isinstance(features, CellShares):
        # What it reads, the self-encoder says: it is not learned.
        code_head = nn.Linear(n_inputs, recipe.code_dim, bias=False).requires_grad_(False)
    return Network(backbone, content, label_head, features, code_head)


def _backbone(recipe: Recipe) -> Backbone:
    if recipe.backbone in LAYERS:
        return plain_backbone(recipe.backbone, recipe.image_size, recipe.content_dim)
    return BACKBONES[recipe.backbone](recipe.image_size)


def _content(backbone: Backbone, recipe: Recipe) -> Content:
    if recipe.backbone in LAYERS:
        if recipe.backbone == "nin":
            return AveragedContent(backbone.n_channels)
        width = dense_width(recipe.image_size)
        n_inputs = backbone.n_channels * backbone.side**2
        return DenseContent(n_inputs, width, recipe.content_dim or width)
    dim = recipe.content_dim or _CONTENT_DIM
    if isinstance(backbone, ExternalEncoder) and backbone.is_vector:
        return ProjectedContent(backbone.n_channels, dim)
    palette = LearnedPalette(recipe.palette_bins) if recipe.palette_bins else None
    return PooledContent(backbone.n_channels, dim, palette)


def _code_features(
    backbone: Backbone, recipe: Recipe, n_values: int
) -> CellFeatures | CellShares | VectorFeatures | None:
    if recipe.backbone in LAYERS:
        return None
    if recipe.shares_weight > 0:
        return CellShares(backbone.n_channels, n_values)
    if isinstance(backbone, ExternalEncoder) and backbone.is_vector:
        return VectorFeatures(backbone.n_channels)
    shrinks = recipe.input_size != recipe.image_size
    return CellFeatures(backbone.n_channels, backbone.side, shrinks=shrinks)
