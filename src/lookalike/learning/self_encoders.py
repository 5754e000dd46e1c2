"""Self-encoders: a label map in, a short code, the label map out again.

Never the colors of a label picture: the distance between two palette colors says nothing about two
classes. A class enters as one-hot or as a learned vector, and leaves as one logit per class.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lookalike.errors import UsageError
from lookalike.learning.belief import DeepBeliefNet, belief_layers
from lookalike.learning.cell_shares import SIDE, CommonScale, ShareEncoder, map_similarities
from lookalike.learning.convolutional import convolutional_body, convolutional_decoder
from lookalike.learning.dense import dense_body
from lookalike.learning.losses import (
    Scalar,
    map_loss,
    sigmoid_map_loss,
    similar_codes_loss,
    squared_map_loss,
)
from lookalike.learning.recipes import Recipe
from lookalike.learning.sparsity import Bits, KeepLargest, SparsityPenalty
from lookalike.learning.wake_sleep import WakeSleepNet

Outputs: TypeAlias = Literal["softmax", "sigmoid", "linear"]
"""What the decoder's outputs are before they are probabilities, and so which loss belongs to them.

One softmax per cell; a sigmoid for each value; or the one-hot map itself, with squared errors.
"""

_EMBEDDING_DIM: Final = 16

_LEAST_SHARE: Final = 1e-6
"""Smallest probability before they are made to sum to 1."""

_LEAST_DEVIATION: Final = 5e-4
"""A dimension in which the encoder's own outputs deviate less is as good as constant; z-scored, its
rounding errors would be blown up with it.
"""

_LOSSES: Final = {"softmax": map_loss, "sigmoid": sigmoid_map_loss, "linear": squared_map_loss}


class SelfEncoder(nn.Module):
    """A self-encoder with standardized codes.

    While training, each dimension of the code is standardized over the batch, which keeps codes
    from collapsing and gives the noise on them a meaning. Codes that leave the self-encoder are
    z-scored once more, by mean and deviation over whole maps of the training set (`calibrate`);
    the decoder undoes that first, so calibrating never changes a reconstruction. Binary codes are
    bits, −1 and 1, of standardized numbers; they stay as they are. Codes whose angles tell how far
    maps agree are divided by one number instead of being z-scored; `linear` ones also while
    training, so that an empty map has the code 0.

    Args:
        table: Label map value → input vector.
        encoder: Input vectors `(batch, dim, grid, grid)` → raw code.
        decoder: Standardized code → outputs `(batch, values, grid, grid)`.
        outputs: What these outputs are.
        noise: Deviation of the noise on standardized codes while training.
        penalty: Penalty on what the encoder gives, if any.
        is_binary: Whether codes are bits.
        jumps: Whether the code can jump where its input changes by next to nothing, as bits do.
        net: The net whose weights encoder and decoder take over before they learn together.

    Attributes:
        has_similar_codes: Whether the angles between codes are learned to say how far label maps
            agree. False until set.
        keeps_angles: Whether calibrating leaves angles as they are: all dimensions are divided by
            the same number, and none is shifted. False until set.
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
        outputs: Outputs = "softmax",
        noise: float = 0.0,
        penalty: SparsityPenalty | None = None,
        is_binary: bool = False,
        jumps: bool = False,
        net: DeepBeliefNet | WakeSleepNet | None = None,
    ) -> None:
        super().__init__()
        self.keeps_angles = self.has_similar_codes = False
        self.table = table
        self.encoder = encoder
        self.standardize: nn.Module = nn.BatchNorm1d(code_dim, affine=False)
        self.last = Bits() if is_binary else nn.Identity()
        self.decoder = decoder
        self.outputs = outputs
        self.noise = noise
        self.penalty = penalty
        self.is_binary, self.jumps = is_binary, jumps or is_binary
        self.net = net
        self.register_buffer("weights", torch.ones(table.num_embeddings - 1))
        self.register_buffer("mean", torch.zeros(code_dim))
        self.register_buffer("deviation", torch.ones(code_dim))

    def inputs(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch dim grid grid"]:
        """Return what enters the encoder: the vector of each cell."""
        void_row = self.table.num_embeddings - 1
        values = label_maps.long().clamp(max=void_row)  # VOID, the largest, is the last row
        vectors: Tensor = self.table(values)
        return vectors.permute(0, 3, 1, 2)

    def raw_codes(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return what the encoder gives, before it is standardized."""
        raw: Tensor = self.encoder(self.inputs(label_maps))
        return raw.float()

    def encode(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the code of each label map: z-scored, or bits."""
        return self._code(self.raw_codes(label_maps))

    def _code(self, raw: Float[Tensor, "batch code_dim"]) -> Float[Tensor, "batch code_dim"]:
        standardized: Tensor = self.last(self.standardize(raw))
        return (standardized - self.mean) / self.deviation

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

        Sigmoids and linear outputs, which need not sum to 1, are divided by their sum.
        """
        logits = self.decode(code)
        if self.outputs == "softmax":
            return logits.softmax(dim=1)
        shares = logits.sigmoid() if self.outputs == "sigmoid" else logits
        shares = shares.clamp(min=_LEAST_SHARE)
        return shares / shares.sum(dim=1, keepdim=True)

    def forward(
        self, label_maps: UInt8[Tensor, "batch grid grid"]
    ) -> tuple[Float[Tensor, "batch code_dim"], Float[Tensor, "batch values grid grid"]]:
        """Return code and reconstruction logits; while training the decoder sees a noisy code."""
        code = self.encode(label_maps)
        return code, self.decode(self._noisy(code))

    def _noisy(self, code: Float[Tensor, "batch code_dim"]) -> Float[Tensor, "batch code_dim"]:
        if not (self.training and self.noise > 0):
            return code
        return code + self.noise * torch.randn_like(code) / self.deviation

    def losses(
        self,
        shown: UInt8[Tensor, "batch grid grid"],
        label_maps: UInt8[Tensor, "batch grid grid"],
    ) -> tuple[Float[Tensor, "batch code_dim"], dict[str, Scalar]]:
        """Return the codes of `shown` and everything that is to be made small.

        Args:
            shown: What is encoded: the label maps themselves, or corrupted ones.
            label_maps: What is to be reconstructed.

        Returns:
            Codes without noise; `map_loss`; `sparsity_loss` where there is a penalty, and
            `similar_codes_loss` where it is learned.
        """
        raw = self.raw_codes(shown)
        code = self._code(raw)
        losses = {"map_loss": self.loss(self.decode(self._noisy(code)), label_maps)}
        if self.penalty is not None:
            losses["sparsity_loss"] = self.penalty(raw)
        if self.has_similar_codes:
            similarities = map_similarities(label_maps, len(self.weights))
            losses["similar_codes_loss"] = similar_codes_loss(code, similarities)
        return code, losses

    def loss(
        self,
        logits: Float[Tensor, "batch values grid grid"],
        label_maps: UInt8[Tensor, "batch grid grid"],
    ) -> Scalar:
        """Return the reconstruction loss that belongs to the decoder's outputs."""
        return _LOSSES[self.outputs](logits, label_maps, self.weights)

    def weights_of_shares(self) -> Float[Tensor, "code_dim shares"]:
        """Return the linear map from shares of classes in cells to the code that `encode` gives.

        Raises:
            UsageError: If codes are not linear in shares.
        """
        if not isinstance(self.encoder, ShareEncoder) or self.mean.any():
            raise UsageError(
                "codes of this self-encoder are not linear in shares; use the kind 'linear'"
            )
        scale = self.standardize.factor if isinstance(self.standardize, CommonScale) else 1.0
        return self.encoder.linear.weight * scale / self.deviation[:, None]

    @torch.no_grad()
    def calibrate(
        self, codes: Float[Tensor, "items code_dim"]
    ) -> tuple[Float[Tensor, " code_dim"], Float[Tensor, " code_dim"]]:
        """Make `codes`, which `encode` gave for the training set, have mean 0 and deviation 1.

        Returns:
            The mean and deviation that `codes` had: a code from before becomes
            `(code − mean) / deviation`. Dimensions that hardly change keep a deviation of 1;
            bits, which stay as they are, have 0 and 1. Where angles are kept the mean is 0 and the
            deviation of all dimensions their root mean square.
        """
        if self.is_binary:
            return torch.zeros_like(self.mean), torch.ones_like(self.deviation)
        mean = codes.double().mean(dim=0)
        deviation = codes.double().std(dim=0, correction=0)
        if self.keeps_angles:
            mean = torch.zeros_like(mean)
            deviation = codes.double().square().mean().sqrt().expand_as(deviation)
        is_alive = deviation.float() * self._raw_deviation() > _LEAST_DEVIATION
        deviation = torch.where(is_alive, deviation, 1.0)
        self.mean.add_(self.deviation * mean)
        self.deviation.mul_(deviation)
        return mean.float(), deviation.float()

    def _raw_deviation(self) -> Float[Tensor, " code_dim"]:
        """Return the deviation of the encoder's own outputs where codes deviate by 1."""
        norm = self.standardize
        if not isinstance(norm, nn.BatchNorm1d) or norm.running_var is None:
            return self.deviation
        return self.deviation * (norm.running_var + norm.eps).sqrt()


def build_self_encoder(n_classes: int, recipe: Recipe) -> SelfEncoder:
    """Build the self-encoder a recipe asks for, with weights from the current random state."""
    table = input_table(n_classes, has_one_hot=recipe.has_one_hot_maps)
    self_encoder = _BUILDERS[recipe.self_encoder](table, n_classes + 1, recipe)
    self_encoder.has_similar_codes = recipe.similar_codes_weight > 0
    self_encoder.keeps_angles = self_encoder.has_similar_codes or recipe.self_encoder == "linear"
    return self_encoder


def input_table(n_classes: int, *, has_one_hot: bool) -> nn.Embedding:
    """Rows: background, the classes, void. One-hot is a table that does not learn."""
    if not has_one_hot:
        return nn.Embedding(n_classes + 2, _EMBEDDING_DIM)
    rows = torch.eye(n_classes + 2)[:, : n_classes + 1]  # void is all zeros
    table = nn.Embedding(n_classes + 2, n_classes + 1, _weight=rows)
    table.requires_grad_(False)
    return table


def _convolutional(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    body = convolutional_body(table.embedding_dim, n_values, recipe)
    return SelfEncoder(table, *body, code_dim=recipe.code_dim, noise=recipe.code_noise)


def _linear(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """A code that is linear in what the cells hold, and a convolutional decoder."""
    # Its code knows no more places than there are cells.
    decoder = convolutional_decoder(n_values, recipe, largest_side=SIDE)
    encoder = ShareEncoder(n_values, recipe.code_dim)
    linear = SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, noise=recipe.code_noise)
    linear.standardize = CommonScale()
    return linear


def _sparse(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    encoder, decoder = convolutional_body(table.embedding_dim, n_values, recipe)
    penalty = SparsityPenalty(recipe.sparsity_target, recipe.sparsity_factor, recipe.grid**2)
    encoder = nn.Sequential(encoder, nn.Sigmoid())
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, penalty=penalty)


def _k_sparse(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    encoder, decoder = convolutional_body(table.embedding_dim, n_values, recipe)
    encoder = nn.Sequential(encoder, KeepLargest(recipe.kept_units))
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, jumps=True)


def _binary(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    encoder, decoder = convolutional_body(table.embedding_dim, n_values, recipe)
    # What is decoded may have been predicted for a photograph: not yet bits.
    decoder = nn.Sequential(Bits(), decoder)
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, is_binary=True)


def _dense(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """Three fully connected layers with sigmoids: `h = σ(Wx + p)`, `y = s(W'h + q)`.

    Standardizing `h` between the two is an affine map per dimension, which `W'` and `q` absorb, so
    the family of functions is the published one.
    """
    return _fully_connected(table, n_values, recipe, [recipe.code_dim])


def _stacked(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    return _fully_connected(table, n_values, recipe, _widths(recipe))


def _fully_connected(
    table: nn.Embedding, n_values: int, recipe: Recipe, widths: list[int]
) -> SelfEncoder:
    encoder, decoder = dense_body(
        table.embedding_dim, n_values, recipe.grid, widths, has_tied_weights=recipe.tied_weights
    )
    outputs: Outputs = "linear" if recipe.reconstruction_loss == "squared" else "sigmoid"
    return SelfEncoder(table, encoder, decoder, code_dim=recipe.code_dim, outputs=outputs)


def _belief(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """A deep autoencoder whose weights are to come from a deep belief net; its code is linear."""
    widths = _widths(recipe)
    encoder, decoder = dense_body(
        table.embedding_dim, n_values, recipe.grid, widths, has_linear_code=True
    )
    net = _belief_net(n_values, recipe, has_linear_top=True)
    return _unrolled(table, encoder, decoder, recipe, net)


def _wake_sleep(table: nn.Embedding, n_values: int, recipe: Recipe) -> SelfEncoder:
    """The same with binary units up to the code, refined by wake–sleep before it is unrolled."""
    widths = _widths(recipe)
    encoder, decoder = dense_body(table.embedding_dim, n_values, recipe.grid, widths)
    belief = _belief_net(n_values, recipe, has_linear_top=False)
    net = WakeSleepNet(belief, is_contrastive=recipe.sleep_phase == "contrastive")
    return _unrolled(table, encoder, decoder, recipe, net)


def _belief_net(n_values: int, recipe: Recipe, *, has_linear_top: bool) -> DeepBeliefNet:
    machines = belief_layers(
        [n_values * recipe.grid**2, *_widths(recipe)],
        has_linear_top=has_linear_top,
        n_chains=recipe.batch_size if recipe.persistent_chains else 0,
        target=recipe.sparsity_target,
        sparsity=recipe.sparsity_factor,
    )
    return DeepBeliefNet(machines)


def _unrolled(
    table: nn.Embedding,
    encoder: nn.Module,
    decoder: nn.Module,
    recipe: Recipe,
    net: DeepBeliefNet | WakeSleepNet,
) -> SelfEncoder:
    return SelfEncoder(
        table, encoder, decoder, code_dim=recipe.code_dim, outputs="sigmoid", net=net
    )


def _widths(recipe: Recipe) -> list[int]:
    return [*[recipe.hidden_dim] * recipe.hidden_layers, recipe.code_dim]


_BUILDERS: Final[dict[str, Callable[[nn.Embedding, int, Recipe], SelfEncoder]]] = {
    "convolutional": _convolutional,
    "linear": _linear,
    "dense": _dense,
    "denoising": _convolutional,
    "sparse": _sparse,
    "k-sparse": _k_sparse,
    "stacked": _stacked,
    "belief": _belief,
    "wake-sleep": _wake_sleep,
    "binary": _binary,
}
