"""A network of depthwise separable convolutions, MobileNetV1: much is seen with little arithmetic.

Its layers have the shapes of the layers of networks that many have trained and given away, so that
it can learn from such a network layer by layer (`hints`).
"""

from typing import Final

from torch import nn

from lookalike.learning.chains import Chain

_STEM: Final = 32
_ROWS: Final = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""Channels and stride of each block, table 1 of the publication."""
_SMALLEST_SIDE: Final = 4


def separable(image_size: int) -> Chain:
    """Build a MobileNetV1 (Howard and others, *MobileNets*, 2017, table 1).

    Strides are taken as long as the feature map keeps a side of four; later ones become 1:
    stride 16 at 64 pixels, 32 from 128 on. 3.2 million parameters. The layers are the stem and the
    blocks.

    Args:
        image_size: Side of the input in pixels.
    """
    layers: list[nn.Module] = [_convolve(3, _STEM, 3, 2)]
    n_channels, side = _STEM, image_size // 2
    for width, published in _ROWS:
        stride = published if side // published >= _SMALLEST_SIDE else 1
        filters = _convolve(n_channels, n_channels, 3, stride, groups=n_channels)
        layers.append(nn.Sequential(filters, _convolve(n_channels, width, 1, 1)))
        n_channels, side = width, side // stride
    return Chain(layers, n_channels, side)


def _convolve(n_in: int, n_out: int, kernel: int, stride: int, *, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, 0, groups=groups, bias=False)
    parts: list[nn.Module] = [convolution, nn.BatchNorm2d(n_out), nn.ReLU6()]
    if kernel > 1:
        # As TensorFlow pads: with strides the odd line goes to the right and to the bottom.
        before, after = (0, 1) if stride > 1 else (1, 1)
        parts.insert(0, nn.ZeroPad2d((before, after, before, after)))
    return nn.Sequential(*parts)
