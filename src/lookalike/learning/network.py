"""The network: a backbone, a label head and a code head."""

from dataclasses import dataclass
from typing import Final, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lookalike.learning.backbones import BACKBONES, ResidualBackbone
from lookalike.learning.colors import LearnedPalette
from lookalike.learning.recipes import Recipe

_MEAN: Final = (121.0, 115.0, 104.0)
_DEVIATION: Final = 64.0
_LABEL_CHANNELS: Final = 256
"""Channels that are pooled over the whole picture for `content`."""
_CODE_CHANNELS: Final = 48
"""Channels kept in each cell before all cells are joined for the code."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says about a batch.

    Attributes:
        content: Penultimate features, not yet of unit length.
        label_logits: One per class.
        code: Predicted z-scored code; `None` without a code head.
    """

    content: Float[Tensor, "batch content_dim"]
    label_logits: Float[Tensor, "batch classes"]
    code: Float[Tensor, "batch code_dim"] | None


class Network(nn.Module):
    """Predicts labels and layout code of a picture.

    The label head sees features pooled over the whole picture, so `content` says what is there;
    the code head sees every cell of the feature map in its place, so `layout` says where. Each has
    channels of its own, made from the same feature map: pooling what serves both made pictures
    alike in `content` for their layout too, and fewer of the nearest shared a class.
    """

    mean: Float[Tensor, "1 3 1 1"]

    def __init__(
        self,
        backbone: ResidualBackbone,
        n_classes: int,
        content_dim: int,
        code_dim: int,
        palette_bins: int = 0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.palette = LearnedPalette(palette_bins) if palette_bins else None
        self.label_features = _features(backbone, _LABEL_CHANNELS)
        self.projection = nn.Sequential(
            nn.Linear(2 * _LABEL_CHANNELS + palette_bins, content_dim, bias=False),
            nn.BatchNorm1d(content_dim),
        )
        self.label_head = nn.Linear(content_dim, n_classes)
        self.code_features: nn.Module | None = None
        self.code_head: nn.Linear | None = None
        if code_dim:
            self.code_features = nn.Sequential(_features(backbone, _CODE_CHANNELS), nn.Flatten())
            self.code_head = nn.Linear(_CODE_CHANNELS * backbone.side**2, code_dim)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "batch 3 size size"]) -> Prediction:
        """Return the prediction for RGB images with values from 0 to 255."""
        normalized = (images - self.mean) / _DEVIATION
        shared = self.backbone(normalized)
        feature_map = self.label_features(shared)
        # The mean tells how much there is of something, the maximum that there is a little.
        pooled = torch.cat([feature_map.mean(dim=(2, 3)), feature_map.amax(dim=(2, 3))], dim=1)
        if self.palette is not None:
            pooled = torch.cat([pooled, self.palette(normalized).to(pooled.dtype)], dim=1)
        content = self.projection(pooled)
        return Prediction(content.float(), self.label_head(content).float(), self._code(shared))

    def _code(self, shared: Tensor) -> Tensor | None:
        if self.code_features is None or self.code_head is None:
            return None
        code: Tensor = self.code_head(self.code_features(shared))
        return code.float()

    @property
    def read_outs(self) -> tuple[nn.Linear, ...]:
        """The linear layers that content and labels are read from; they are trained apart.

        Steps of equal size in all directions, as matrices get, spread what little tells classes
        apart over all of `content`: fewer of the nearest pictures shared a class.
        """
        return (cast(nn.Linear, self.projection[0]), self.label_head)

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


def build_network(n_classes: int, recipe: Recipe, *, has_code: bool) -> Network:
    """Build the network a recipe asks for, with weights from the current random state.

    The code head is drawn last, so that the rest starts alike with and without it.
    """
    backbone = BACKBONES[recipe.backbone](recipe.image_size)
    code_dim = recipe.code_dim if has_code else 0
    return Network(backbone, n_classes, recipe.content_dim, code_dim, recipe.palette_bins)


def _features(backbone: ResidualBackbone, n_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(backbone.n_channels, n_channels, 1, bias=False),
        nn.BatchNorm2d(n_channels),
        nn.ReLU(),
    )
