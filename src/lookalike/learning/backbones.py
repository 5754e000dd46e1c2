"""Backbones: pixels in, a feature map out."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Final, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.learning.mobile import mobilenet_large, mobilenet_small
from lookalike.learning.published_networks import LAYERS, plain_backbone
from lookalike.learning.residual_networks import resnet18, resnet50
from lookalike.learning.separable import separable

_SMALLEST_SIDE: Final = 6
"""Feature maps keep at least this side, or positions would be lost before the code head."""

_WIDTHS: Final = (32, 64, 128, 192, 256)
"""Channels at a half, a quarter, … of the picture's side."""
_WIDE: Final = (40, 80, 160, 224, 320)


@runtime_checkable
class Backbone(Protocol):
    """What a network asks of its backbone, a module.

    Attributes:
        n_channels: Channels of the feature map.
        side: Height and width of the feature map.
        layers: Modules that, one after the other, are the backbone: what is pre-trained in turn.
    """

    n_channels: int
    side: int

    @property
    def layers(self) -> Iterable[nn.Module]:
        """The backbone in parts, bottom first."""
        ...

    def __call__(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Return the feature map of images."""
        ...


class ResidualBackbone(nn.Module):
    """A compact residual network (He et al., *Deep Residual Learning*, CVPR 2016).

    One strided convolution, then stages of two basic blocks, each halving the side, as long as the
    feature map keeps a side of at least six: stride 8 at 64 pixels, 16 at 128. 0.9 to 1.9 million
    parameters at 64 to 128 pixels.

    Attributes:
        n_channels: Channels of the feature map.
        side: Height and width of the feature map.
    """

    n_channels: int
    side: int

    def __init__(self, image_size: int, all_widths: tuple[int, ...] = _WIDTHS) -> None:
        super().__init__()
        n_stages = _count_stages(image_size)
        widths = all_widths[: n_stages + 1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            blocks += [_Block(n_in, n_out, stride=2), _Block(n_out, n_out, stride=1)]
        self.blocks = nn.Sequential(*blocks)
        self.n_channels = widths[-1]
        self.side = image_size >> (n_stages + 1)

    def forward(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Return the feature map of images with values around 0."""
        feature_map: Tensor = self.blocks(self.stem(images))
        return feature_map

    @property
    def layers(self) -> list[nn.Module]:
        """Stem and stages of two blocks."""
        stages = [self.blocks[first : first + 2] for first in range(0, len(self.blocks), 2)]
        return [self.stem, *stages]


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_out)
        self.second = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_out)
        # Starting as the identity lets short trainings use a high learning rate (Goyal et al.,
        # "Accurate, Large Minibatch SGD", 2017, section 5.1).
        nn.init.zeros_(self.second_norm.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


def _count_stages(image_size: int) -> int:
    n_stages = 1
    while image_size >> (n_stages + 2) >= _SMALLEST_SIDE and n_stages < len(_WIDTHS) - 1:
        n_stages += 1
    return n_stages


BACKBONES: Final[dict[str, Callable[[int], Backbone]]] = {
    "residual": ResidualBackbone,
    "residual-wide": partial(ResidualBackbone, all_widths=_WIDE),
    "resnet18": resnet18,
    "resnet50": resnet50,
    "mobilenet-v3-large": mobilenet_large,
    "mobilenet-v3-small": mobilenet_small,
    "separable": separable,
    **{name: partial(plain_backbone, name) for name in LAYERS},
}
"""Name in a recipe → what builds it for a side of the input in pixels."""
