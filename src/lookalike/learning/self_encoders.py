"""Self-encoders: a label map in, a short code, the label map out again.

Never the colors of a label picture: the distance between two palette colors says nothing about two
classes. A class enters as one-hot or as a learned vector, and leaves as one logit per class.
"""

from collections.abc import Callable
from typing import Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from lookalike.learning.losses import Scalar, map_loss, sigmoid_map_loss
from lookalike.learning.recipes import Recipe

_EMBEDDING_DIM: Final = 16
_WIDTH: Final = 48
_CODE_CHANNELS: Final = 32
"""Channels of the feature maps beside the linear layers."""
_LARGEST_SIDE: Final = 24
"""Side of those feature maps: half the grid, or less for large grids."""


class SelfEncoder(nn.Module):
    """A self-encoder with standardized codes.

    While training, each dimension of the code is standardized over the batch, which keeps codes
    from collapsing and gives the noise on them a meaning. Codes that leave the self-encoder are
    z-scored once more, by mean and deviation over whole maps of the training set (`calibrate`);
    the decoder undoes that first, so calibrating never changes a reconstruction.

    Args:
        table: Label map value → input vector.
        encoder: Input vectors `(batch, dim, grid, grid)` → raw code.
        decoder: Standardized code → logits `(batch, values, grid, grid)`.
        has_sigmoids: Whether each output is a sigmoid of its own, rather than one softmax per
            cell.
        noise: Deviation of the noise on standardized codes while training.

    Attributes:
        weights: Weight of each label map value in the loss; 1 until set.
        mean: Mean of standardized codes over whole training maps; 0 until calibrated.
        deviation: Their standard deviation; 1 until calibrated.
    """

    weights: Float[Tensor, " values"]
    mean: Float[Tensor, " code_dim"]
    deviation: Float[Tensor, " code_dim"]

    def __init__(
        self,
        table: nn.Embedding,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        code_dim: int,
        has_sigmoids: bool = False,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.table = table
        self.encoder = encoder
        self.standardize: nn.Module = nn.BatchNorm1d(code_dim, affine=False)
        self.decoder = decoder
        self.has_sigmoids = has_sigmoids
        self.noise = noise
        self.register_buffer("weights", torch.ones(table.num_embeddings - 1))
        self.register_buffer("mean", torch.zeros(code_dim))
        self.register_buffer("deviation", torch.ones(code_dim))

    def encode(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the z-scored code of each label map."""
        raw = self.encoder(self.look_up(label_maps))
        standardized: Tensor = self.standardize(raw.float())
        return (standardized - self.mean) / self.deviation

    def look_up(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch dim grid grid"]:
        """Return the input vector of each cell's value."""
        void_row = self.table.num_embeddings - 1
        values = label_maps.long().clamp(max=void_row)  # VOID, the largest, is the last row
        vectors: Tensor = self.table(values)
        return vectors.permute(0, 3, 1, 2)

    def decode(
        self, code: Float[Tensor, "batch code_dim"]
    ) -> Float[Tensor, "batch values grid grid"]:
        """Return the logits of all label map values in each cell."""
        logits: Tensor = self.decoder(code * self.deviation + self.mean)
        return logits.float()

    def probabilities(
        self, code: Float[Tensor, "batch code_dim"]
    ) -> Float[Tensor, "batch values grid grid"]:
        """Return the probability of each label map value in each cell; they sum to 1.

        Sigmoids, which need not sum to 1, are divided by their sum.
        """
        logits = self.decode(code)
        if not self.has_sigmoids:
            return logits.softmax(dim=1)
        shares = logits.sigmoid()
        return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-12)

    def forward(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> tuple[Float[Tensor, "batch code_dim"], Float[Tensor, "batch values grid grid"]]:
        """Return code and reconstruction logits; while training the decoder sees a noisy code."""
        code = self.encode(label_maps)
        if self.training and self.noise > 0:
            noise = self.noise * torch.randn_like(code) / self.deviation
            return code, self.decode(code + noise)
        return code, self.decode(code)

    def loss(
        self,
        logits: Float[Tensor, "batch values grid grid"],
        label_maps: UInt8[Tensor, "batch grid grid"],
    ) -> Scalar:
        """Return the reconstruction loss that belongs to the decoder's outputs."""
        function = sigmoid_map_loss if self.has_sigmoids else map_loss
        return function(logits, label_maps, self.weights)

    @torch.no_grad()
    def calibrate(
        self, codes: Float[Tensor, "items code_dim"]
    ) -> tuple[Float[Tensor, " code_dim"], Float[Tensor, " code_dim"]]:
        """Make `codes`, which `encode` gave for the training set, have mean 0 and deviation 1.

        Returns:
            The mean and deviation that `codes` had: a code from before becomes
            `(code − mean) / deviation`. Dimensions that never change keep a deviation of 1.
        """
        mean = codes.double().mean(dim=0)
        deviation = codes.double().std(dim=0, correction=0)
        deviation = torch.where(deviation > 1e-6, deviation, 1.0)
        self.mean.add_(self.deviation * mean)
        self.deviation.mul_(deviation)
        return mean.float(), deviation.float()


def build_self_encoder(n_classes: int, recipe: Recipe) -> SelfEncoder:
    """Build the self-encoder a recipe asks for, with weights from the current random state."""
    table = input_table(n_classes, recipe.map_input)
    build = _BUILDERS[recipe.self_encoder]
    return build(table, n_classes + 1, recipe)


def input_table(n_classes: int, map_input: str) -> nn.Embedding:
    """Rows: background, the classes, void. One-hot is a table that does not learn."""
    if map_input == "embedding":
        return nn.Embedding(n_classes + 2, _EMBEDDING_DIM)
    rows = torch.eye(n_classes + 2)[:, : n_classes + 1]  # void is all zeros
    table = nn.Embedding(n_classes + 2, n_classes + 1, _weight=rows)
    table.requires_grad_(False)
    return table


def _convolutional(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """Few convolutions around two wide linear layers that see every cell in its place.

    Deeper encoders with a smaller last feature map learned more slowly and lost small things.
    """
    side, n_halvings = recipe.grid // 2, 1
    while side > _LARGEST_SIDE:
        side, n_halvings = side // 2, n_halvings + 1
    down = [_halve(table.embedding_dim, _WIDTH)]
    down += [_halve(_WIDTH, _WIDTH) for _ in range(n_halvings - 1)]
    encoder = nn.Sequential(
        *down,
        _convolve(_WIDTH, _CODE_CHANNELS),
        nn.Flatten(),
        nn.Linear(_CODE_CHANNELS * side**2, recipe.code_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(recipe.code_dim, _CODE_CHANNELS * side**2),
        nn.Unflatten(1, (_CODE_CHANNELS, side, side)),
        nn.BatchNorm2d(_CODE_CHANNELS),
        nn.ReLU(),
        _convolve(_CODE_CHANNELS, _WIDTH),
        _Residual(_WIDTH),
        *[_double(_WIDTH) for _ in range(n_halvings - 1)],
        # Four logits per cell of half the grid: cheaper than any layer at the full grid.
        nn.Conv2d(_WIDTH, 4 * n_values, 3, 1, 1),
        nn.PixelShuffle(2),
    )
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, noise=recipe.code_noise)


def _halve(n_in: int, n_out: int) -> nn.Module:
    convolution = nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


def _convolve(n_in: int, n_out: int) -> nn.Module:
    convolution = nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


def _double(width: int) -> nn.Module:
    convolution = nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.inner = nn.Sequential(_convolve(width, width), last, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.inner(x))


def _dense(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """Three fully connected layers with sigmoids: `h = σ(Wx + p)`, `y = σ(W'h + q)`.

    Standardizing `h` between the two is an affine map per dimension, which `W'` and `q` absorb, so
    the family of functions is the published one.
    """
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(table.embedding_dim * recipe.grid**2, recipe.code_dim), nn.Sigmoid()
    )
    decoder = nn.Sequential(
        nn.Linear(recipe.code_dim, n_values * recipe.grid**2),
        nn.Unflatten(1, (n_values, recipe.grid, recipe.grid)),
    )
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, has_sigmoids=True)


_BUILDERS: Final[dict[str, Callable[[nn.Embedding, int, Recipe], SelfEncoder]]] = {
    "convolutional": _convolutional,
    "dense": _dense,
}
