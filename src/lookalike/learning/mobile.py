"""MobileNetV3, large and small: good features for little arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jaxtyping import Float
from torch import Tensor, nn

from lookalike.learning.chains import Chain

_SMALLEST_SIDE: Final = 6
"""Feature maps keep at least this side, or positions would be lost before the code head."""
_STEM: Final = 16
_SQUEEZE: Final = 4
_DIVISOR: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the paper's tables 1 and 2.

    Attributes:
        kernel: Side of the depthwise filters.
        expanded: Channels inside the block.
        width: Channels after it.
        squeezes: Whether channels are weighed by what the whole picture shows.
        has_swish: Whether it uses h-swish rather than ReLU.
        stride: Of the depthwise convolution.
    """

    kernel: int
    expanded: int
    width: int
    squeezes: bool
    has_swish: bool
    stride: int


LARGE: Final = (
    Row(3, 16, 16, False, False, 1),
    Row(3, 64, 24, False, False, 2),
    Row(3, 72, 24, False, False, 1),
    Row(5, 72, 40, True, False, 2),
    Row(5, 120, 40, True, False, 1),
    Row(5, 120, 40, True, False, 1),
    Row(3, 240, 80, False, True, 2),
    Row(3, 200, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 480, 112, True, True, 1),
    Row(3, 672, 112, True, True, 1),
    Row(5, 672, 160, True, True, 2),
    Row(5, 960, 160, True, True, 1),
    Row(5, 960, 160, True, True, 1),
)
SMALL: Final = (
    Row(3, 16, 16, True, False, 2),
    Row(3, 72, 24, False, False, 2),
    Row(3, 88, 24, False, False, 1),
    Row(5, 96, 40, True, True, 2),
    Row(5, 240, 40, True, True, 1),
    Row(5, 240, 40, True, True, 1),
    Row(5, 120, 48, True, True, 1),
    Row(5, 144, 48, True, True, 1),
    Row(5, 288, 96, True, True, 2),
    Row(5, 576, 96, True, True, 1),
    Row(5, 576, 96, True, True, 1),
)


def mobilenet(rows: Sequence[Row], image_size: int) -> Chain:
    """Build a MobileNetV3 (Howard and others, *Searching for MobileNetV3*, ICCV 2019).

    Strides are taken in their order as long as the feature map keeps a side of six; later ones
    become 1: stride 8 at 64 pixels, 16 at 96 and 128, 32 from 192 on. Batch normalization has
    PyTorch's own constants, not those of the publication, which suit its hundreds of epochs. The
    layers are the stem, the blocks from one stride to the next, and the last 1×1 convolution.

    Args:
        rows: `LARGE` or `SMALL`.
        image_size: Side of the input in pixels.
    """
    groups: list[list[nn.Module]] = []
    n_channels, side = _STEM, image_size // 2
    for row in rows:
        stride = row.stride if side // row.stride >= _SMALLEST_SIDE else 1
        if row.stride > 1 or not groups:
            groups.append([])
        groups[-1].append(InvertedResidual(n_channels, row, stride))
        n_channels, side = row.width, side // stride
    n_last = rows[-1].expanded
    layers = [
        _convolve(3, _STEM, 3, 2, activation=nn.Hardswish()),
        *(nn.Sequential(*blocks) for blocks in groups),
        _convolve(n_channels, n_last, 1, activation=nn.Hardswish()),
    ]
    return Chain(layers, n_last, side)


class InvertedResidual(nn.Module):
    """Expand, filter each channel by itself, squeeze and excite, project; add if shapes agree."""

    def __init__(self, n_in: int, row: Row, stride: int) -> None:
        super().__init__()
        activation = nn.Hardswish() if row.has_swish else nn.ReLU()
        parts: list[nn.Module] = []
        if row.expanded != n_in:
            parts.append(_convolve(n_in, row.expanded, 1, activation=activation))
        n = row.expanded
        parts.append(_convolve(n, n, row.kernel, stride, groups=n, activation=activation))
        if row.squeezes:
            parts.append(SqueezeExcitation(n))
        parts.append(_convolve(n, row.width, 1))
        self.inner = nn.Sequential(*parts)
        # The table's stride decides, so that a stride that was left out changes nothing else.
        self.is_residual = row.stride == 1 and n_in == row.width

    def forward(
        self, x: Float[Tensor, "batch n_in height width"]
    ) -> Float[Tensor, "batch n_out smaller_height smaller_width"]:
        """Return the feature map after the block."""
        inner: Tensor = self.inner(x)
        return x + inner if self.is_residual else inner


class SqueezeExcitation(nn.Module):
    """Weigh channels by what the whole picture shows (Hu and others, CVPR 2018)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        squeezed = _divisible(n_channels / _SQUEEZE)
        self.inner = nn.Sequential(
            nn.Conv2d(n_channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, n_channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the weighed feature map."""
        weighed: Tensor = x * self.inner(x.mean(dim=(2, 3), keepdim=True))
        return weighed


def _convolve(
    n_in: int,
    n_out: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    parts = [convolution, nn.BatchNorm2d(n_out), *([activation] if activation else [])]
    return nn.Sequential(*parts)


def _divisible(n: float) -> int:
    """Round to a multiple of eight, never down by more than a tenth."""
    rounded = max(_DIVISOR, int(n + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * n else rounded


def mobilenet_large(image_size: int) -> Chain:
    """Return the large network: 5.5 million parameters with its classifier of 1000 classes."""
    return mobilenet(LARGE, image_size)


def mobilenet_small(image_size: int) -> Chain:
    """Return the small network: 2.5 million parameters with its classifier of 1000 classes."""
    return mobilenet(SMALL, image_size)
