"""Self-encoders: a label map in, a short code, the label map out again.

Never the colors of a label picture: the distance between two palette colors says nothing about two
classes. A class enters as one-hot or as a learned vector, and leaves as one logit per class.
"""

from collections.abc import Callable
from typing import Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lookalike.learning.losses import Scalar, map_loss, sigmoid_map_loss
from lookalike.learning.recipes import MapInput, Recipe

_EMBEDDING_DIM: Final = 16
_WIDTHS: Final = (48, 96, 160)
"""Channels at a half, a quarter and an eighth of the grid."""


class SelfEncoder(nn.Module):
    """A self-encoder with standardized codes.

    Between encoder and decoder each dimension of the code is z-scored: over the batch while
    training, afterwards by mean and deviation of the whole training set (`calibrate`). The decoder
    therefore reads z-scored codes, and whoever regresses codes has targets of equal scale.

    Args:
        table: Label map value → input vector.
        encoder: Input vectors `(batch, dim, grid, grid)` → raw code.
        decoder: Standardized code → logits `(batch, values, grid, grid)`.
        has_sigmoids: Whether each output is a sigmoid of its own, rather than one softmax per
            cell.
        noise: Deviation of the noise on standardized codes while training.

    Attributes:
        weights: Weight of each label map value in the loss; 1 until set.
    """

    weights: Float[Tensor, " values"]

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
        n_values = table.num_embeddings - 1
        self.register_buffer("weights", torch.ones(n_values))
        self.table = table
        self.encoder = encoder
        self.standardize = nn.BatchNorm1d(code_dim, affine=False)
        self.decoder = decoder
        self.has_sigmoids = has_sigmoids
        self.noise = noise

    def encode(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the z-scored code of each label map."""
        code: Tensor = self.standardize(self.encode_raw(label_maps))
        return code

    def encode_raw(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the code before it is standardized."""
        void_row = self.table.num_embeddings - 1
        values = label_maps.long().clamp(max=void_row)  # VOID, the largest, is the last row
        raw: Tensor = self.encoder(self.table(values).permute(0, 3, 1, 2))
        return raw.float()

    def decode(
        self, code: Float[Tensor, "batch code_dim"]
    ) -> Float[Tensor, "batch values grid grid"]:
        """Return the logits of all label map values in each cell."""
        logits: Tensor = self.decoder(code)
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
            return code, self.decode(code + self.noise * torch.randn_like(code))
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
    def calibrate(self, codes: Float[Tensor, "items code_dim"]) -> None:
        """Fix the z-score to mean and deviation of the raw codes of the training set.

        Dimensions that never change keep a deviation that leaves them at 0.
        """
        mean = self.standardize.running_mean
        variance = self.standardize.running_var
        if mean is not None and variance is not None:
            mean.copy_(codes.double().mean(dim=0))
            variance.copy_(codes.double().var(dim=0, correction=0))


def build_self_encoder(n_classes: int, recipe: Recipe) -> SelfEncoder:
    """Build the self-encoder a recipe asks for, with weights from the current random state."""
    table = _input_table(n_classes, recipe.map_input)
    build = _BUILDERS[recipe.self_encoder]
    return build(table, n_classes + 1, recipe)


def _input_table(n_classes: int, map_input: MapInput) -> nn.Embedding:
    """Rows: background, the classes, void. One-hot is a table that does not learn."""
    if map_input == "embedding":
        return nn.Embedding(n_classes + 2, _EMBEDDING_DIM)
    rows = torch.eye(n_classes + 2)[:, : n_classes + 1]  # void is all zeros
    table = nn.Embedding(n_classes + 2, n_classes + 1, _weight=rows)
    table.requires_grad_(False)
    return table


def _convolutional(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """Strided convolutions to an eighth of the grid, one global code, and back."""
    cells = (recipe.grid // 8) ** 2
    encoder = nn.Sequential(
        *_down(table.embedding_dim, _WIDTHS[0]),
        *_down(_WIDTHS[0], _WIDTHS[1]),
        *_down(_WIDTHS[1], _WIDTHS[2]),
        nn.Flatten(),
        nn.Linear(_WIDTHS[2] * cells, recipe.code_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(recipe.code_dim, _WIDTHS[2] * cells),
        nn.Unflatten(1, (_WIDTHS[2], recipe.grid // 8, recipe.grid // 8)),
        nn.BatchNorm2d(_WIDTHS[2]),
        nn.ReLU(),
        *_up(_WIDTHS[2], _WIDTHS[1]),
        *_up(_WIDTHS[1], _WIDTHS[0]),
        *_up(_WIDTHS[0], _WIDTHS[0]),
        nn.Conv2d(_WIDTHS[0], n_values, 1),
    )
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, noise=recipe.code_noise)


def _down(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]


def _up(n_in: int, n_out: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU()]


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
