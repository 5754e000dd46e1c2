"""The networks that the paper compares with: AlexNet, CNN-F, CNN-M, CNN-S, NIN and ZF.

Plain chains of convolutions, built from tables: from 192 pixels up exactly as published, below in a
small form. Pooling is Caffe's: where windows do not fit, one more begins inside the feature map and
hangs over its right and lower border.

The small form keeps number, width, kernels and groups of the layers and changes what would leave
too few cells: the first convolution is 5×5 with stride 2 and padding 2, the second has stride 1 and
keeps the side, no pooling has a stride above 2. The total stride is 16 for all six, which gives
sides of 4, 6 and 8 at 64, 96 and 128 pixels. Hidden dense layers have 1024 units instead of 4096.

Where the original starts from small Gaussian numbers, tuned for its own long training, all weights
start as He and others propose (*Delving Deep into Rectifiers*, ICCV 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lookalike.learning.chains import Chain

SMALLEST_PUBLISHED: Final = 192
"""Side of the input from which on the layers are those of the publication."""

_DENSE_WIDTH: Final = 4096
_SMALL_DENSE_WIDTH: Final = 1024
_LRN_MAPS: Final = 5
_LRN_OFFSET: Final = 2.0
_LRN_SCALE: Final = 1e-4
_LRN_POWER: Final = 0.75


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution and what follows it, in this order: ReLU, 1×1 convolutions, LRN, pooling.

    Attributes:
        width: Number of filters.
        kernel: Their side.
        stride: Steps between them.
        pad: Zeros on each border.
        groups: Parts of the input that do not see each other: AlexNet's two processors.
        inner: Widths of the 1×1 convolutions of NIN, each with a ReLU.
        has_lrn: Whether neighboring feature maps inhibit each other.
        pool: Side and stride of the maximum pooling; `None` without.
    """

    width: int
    kernel: int
    stride: int = 1
    pad: int = 0
    groups: int = 1
    inner: tuple[int, ...] = ()
    has_lrn: bool = False
    pool: tuple[int, int] | None = None


_WIDE_POOL: Final = (3, 2)
LAYERS: Final[dict[str, tuple[Layer, ...]]] = {
    "alexnet": (
        Layer(96, 11, stride=4, has_lrn=True, pool=_WIDE_POOL),
        Layer(256, 5, pad=2, groups=2, has_lrn=True, pool=_WIDE_POOL),
        Layer(384, 3, pad=1),
        Layer(384, 3, pad=1, groups=2),
        Layer(256, 3, pad=1, groups=2, pool=_WIDE_POOL),
    ),
    "cnn-f": (
        Layer(64, 11, stride=4, has_lrn=True, pool=_WIDE_POOL),
        Layer(256, 5, pad=2, has_lrn=True, pool=_WIDE_POOL),
        Layer(256, 3, pad=1),
        Layer(256, 3, pad=1),
        Layer(256, 3, pad=1, pool=_WIDE_POOL),
    ),
    "cnn-m": (
        Layer(96, 7, stride=2, has_lrn=True, pool=_WIDE_POOL),
        Layer(256, 5, stride=2, pad=1, has_lrn=True, pool=_WIDE_POOL),
        Layer(512, 3, pad=1),
        Layer(512, 3, pad=1),
        Layer(512, 3, pad=1, pool=_WIDE_POOL),
    ),
    # No padding and no LRN in the second layer: the paper's table pads it, its released weights
    # do not.
    "cnn-s": (
        Layer(96, 7, stride=2, has_lrn=True, pool=(3, 3)),
        Layer(256, 5, pool=(2, 2)),
        Layer(512, 3, pad=1),
        Layer(512, 3, pad=1),
        Layer(512, 3, pad=1, pool=(3, 3)),
    ),
    "nin": (
        Layer(96, 11, stride=4, inner=(96, 96), pool=_WIDE_POOL),
        Layer(256, 5, pad=2, inner=(256, 256), pool=_WIDE_POOL),
        Layer(384, 3, pad=1, inner=(384, 384), pool=_WIDE_POOL),
        Layer(1024, 3, pad=1, inner=(1024,)),
    ),
    "zf": (
        Layer(96, 7, stride=2, pad=1, has_lrn=True, pool=_WIDE_POOL),
        Layer(256, 5, stride=2, has_lrn=True, pool=_WIDE_POOL),
        Layer(384, 3, pad=1),
        Layer(384, 3, pad=1),
        Layer(256, 3, pad=1, pool=_WIDE_POOL),
    ),
}
"""Name → its convolutions as published.

References:
    `alexnet`: A. Krizhevsky, I. Sutskever, G. Hinton, *ImageNet Classification with Deep
    Convolutional Neural Networks*, NIPS 2012, for 227 pixels; the form with two groups, not the
    later one without groups and LRN that many libraries call AlexNet.
    `cnn-f`, `cnn-m`, `cnn-s`: K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman, *Return of the
    Devil in the Details*, BMVC 2014, for 224 pixels.
    `nin`: M. Lin, Q. Chen, S. Yan, *Network In Network*, ICLR 2014, the form for ImageNet.
    `zf`: M. Zeiler, R. Fergus, *Visualizing and Understanding Convolutional Networks*, ECCV 2014;
    it gives no constants for its contrast normalization, AlexNet's are taken.
"""


class LocalResponseNorm(nn.Module):
    """Feature maps inhibit their neighbors: `b_i = a_i / (k + α Σ_j a_j²)^β`.

    The sum runs over map `i` and two on each side. `k = 2`, `α = 10⁻⁴`, `β = 0.75` as in
    Krizhevsky and others, 2012. `α` is not divided by the number of maps here; frameworks that
    divide, `torch.nn.LocalResponseNorm` among them, mean the same by `alpha=5e-4`.
    """

    def forward(
        self, feature_map: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the feature map with each value divided as above."""
        n = feature_map.shape[1]
        around = _LRN_MAPS // 2
        squares = feature_map.float().square()
        nothing = torch.zeros_like(squares[:, :around])
        squares = torch.cat([nothing, squares, nothing], dim=1)
        total = squares[:, :n]
        for shift in range(1, _LRN_MAPS):
            total = total + squares[:, shift : shift + n]
        return feature_map / (_LRN_OFFSET + _LRN_SCALE * total) ** _LRN_POWER


def plain_backbone(name: str, image_size: int, last_width: int | None = None) -> Chain:
    """Build the convolutions of a published network: one layer for each row of its table.

    Args:
        name: A name in `LAYERS`.
        image_size: Side of the input in pixels; decides about the form.
        last_width: Width of the last 1×1 convolution of `nin`; `None` as published. Others have
            none.
    """
    table = list(form_of(name, image_size))
    if table[-1].inner and last_width is not None:
        table[-1] = replace(table[-1], inner=(*table[-1].inner[:-1], last_width))
    layers = []
    n_channels = 3
    for layer in table:
        modules = _modules(layer, n_channels)
        if layer is table[-1] and layer.inner:
            # NIN drops out before its last convolution, having no dense layers.
            modules.insert(0, nn.Dropout(0.5))
        layers.append(nn.Sequential(*modules))
        n_channels = (layer.width, *layer.inner)[-1]
    chain = Chain(layers, n_channels, sides_of(table, image_size)[-1])
    start_by_he(chain)
    return chain


def form_of(name: str, image_size: int) -> tuple[Layer, ...]:
    """Return the convolutions for a side of the input: as published, or the small form."""
    published = LAYERS[name]
    if image_size >= SMALLEST_PUBLISHED:
        return published
    first = replace(published[0], kernel=5, stride=2, pad=2)
    second = replace(published[1], stride=1, pad=published[1].kernel // 2)
    return tuple(_halving(layer) for layer in (first, second, *published[2:]))


def dense_width(image_size: int) -> int:
    """Return the units of the hidden dense layers, fc6 and fc7."""
    return _DENSE_WIDTH if image_size >= SMALLEST_PUBLISHED else _SMALL_DENSE_WIDTH


def sides_of(table: Sequence[Layer], image_size: int) -> list[int]:
    """Return the side of the feature map after each layer, pooling included.

    `⌊(side + 2·pad − kernel) / stride⌋ + 1` for a convolution, `⌈(side − kernel) / stride⌉ + 1` for
    a pooling.

    Example:
        >>> sides_of(LAYERS["alexnet"], 227)
        [27, 13, 13, 13, 6]
    """
    sides = []
    side = image_size
    for layer in table:
        side = (side + 2 * layer.pad - layer.kernel) // layer.stride + 1
        if layer.pool:
            side = -((layer.pool[0] - side) // layer.pool[1]) + 1
        sides.append(side)
    return sides


def start_by_he(module: nn.Module) -> None:
    """Draw weights before a ReLU from N(0, 2 / inputs); biases start at 0."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _halving(layer: Layer) -> Layer:
    return replace(layer, pool=(layer.pool[0], 2)) if layer.pool else layer


def _modules(layer: Layer, n_channels: int) -> list[nn.Module]:
    convolution = nn.Conv2d(
        n_channels, layer.width, layer.kernel, layer.stride, layer.pad, groups=layer.groups
    )
    modules: list[nn.Module] = [convolution, nn.ReLU()]
    n_inner = layer.width
    for width in layer.inner:
        modules += [nn.Conv2d(n_inner, width, 1), nn.ReLU()]
        n_inner = width
    if layer.has_lrn:
        modules.append(LocalResponseNorm())
    if layer.pool:
        modules.append(nn.MaxPool2d(*layer.pool, ceil_mode=True))
    return modules
