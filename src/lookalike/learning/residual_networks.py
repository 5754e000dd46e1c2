"""ResNet-18 and ResNet-50, for photographs and for small pictures."""

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.learning.chains import Chain

_SMALLEST_SIDE: Final = 6
"""Feature maps keep at least this side, or positions would be lost before the code head."""
_SMALLEST_POOLED: Final = 192
"""Side of the input from which on the stem pools."""
_WIDTHS: Final = (64, 128, 256, 512)
_EXPANSION: Final = 4
"""A bottleneck block gives this many times the channels it works with."""


def resnet(depths: tuple[int, int, int, int], *, has_bottlenecks: bool, image_size: int) -> Chain:
    """Build a residual network (He and others, *Deep Residual Learning*, CVPR 2016).

    7×7 convolution with stride 2, 3×3 maximum pooling with stride 2, four stages that double the
    channels and halve the side. In bottleneck blocks the 3×3 convolution has the stride, as is
    common since. Inputs below 192 pixels are not pooled by the stem, and a stage halves the side
    only as long as six cells remain: stride 8 at 64 pixels, 16 at 96 and 128, 32 from 192 on.

    Args:
        depths: Blocks of each stage: (2, 2, 2, 2) for 18 layers, (3, 4, 6, 3) for 50.
        has_bottlenecks: Whether blocks have three convolutions (50 layers) or two (18).
        image_size: Side of the input in pixels.
    """
    stem: list[nn.Module] = [*_convolve(3, _WIDTHS[0], 7, 2), nn.ReLU()]
    side = image_size // 2
    if image_size >= _SMALLEST_POOLED:
        stem.append(nn.MaxPool2d(3, 2, 1))
        side //= 2
    layers = [nn.Sequential(*stem)]
    n_channels = _WIDTHS[0]
    for width, depth in zip(_WIDTHS, depths, strict=True):
        stride = 2 if width > _WIDTHS[0] and side // 2 >= _SMALLEST_SIDE else 1
        n_out = width * _EXPANSION if has_bottlenecks else width
        blocks = [Block(n_channels, width, n_out, stride)]
        blocks += [Block(n_out, width, n_out, 1) for _ in range(depth - 1)]
        layers.append(nn.Sequential(*blocks))
        n_channels, side = n_out, side // stride
    return Chain(layers, n_channels, side)


class Block(nn.Module):
    """`relu(F(x) + x)`; `F` has a bottleneck where it gives more channels than it works with."""

    def __init__(self, n_in: int, width: int, n_out: int, stride: int) -> None:
        super().__init__()
        parts: list[nn.Module]
        if n_out > width:
            parts = [*_convolve(n_in, width, 1), nn.ReLU(), *_convolve(width, width, 3, stride)]
            parts += [nn.ReLU(), *_convolve(width, n_out, 1)]
        else:
            parts = [*_convolve(n_in, width, 3, stride), nn.ReLU(), *_convolve(width, n_out, 3)]
        # Starting as the identity lets short trainings use a high learning rate (Goyal et al.,
        # "Accurate, Large Minibatch SGD", 2017, section 5.1).
        nn.init.zeros_(parts[-1].weight)  # type: ignore[arg-type]
        self.inner = nn.Sequential(*parts)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.shortcut = nn.Sequential(*_convolve(n_in, n_out, 1, stride))

    def forward(
        self, x: Float[Tensor, "batch n_in height width"]
    ) -> Float[Tensor, "batch n_out smaller_height smaller_width"]:
        """Return the feature map after the block."""
        return functional.relu(self.inner(x) + self.shortcut(x))


def _convolve(n_in: int, n_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(n_out)]


def resnet18(image_size: int) -> Chain:
    """Return the network with 18 layers: 11.7 million parameters with its 1000 classes."""
    return resnet((2, 2, 2, 2), has_bottlenecks=False, image_size=image_size)


def resnet50(image_size: int) -> Chain:
    """Return the network with 50 layers: 25.6 million parameters with its 1000 classes."""
    return resnet((3, 4, 6, 3), has_bottlenecks=True, image_size=image_size)
