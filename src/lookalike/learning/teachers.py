"""Learning `content` from a trained network and from plain color, without any labels.

The teacher sees the very views that the network sees (Beyer and others, *Knowledge distillation: A
good teacher is patient and consistent*, CVPR 2022). Its embeddings of a batch, centered and joined
with a color histogram, are the target `t`; two losses bring the unit embedding `f` near:

    regression   1 − cos(W f, t), with a linear map W that is thrown away afterwards
    similarity   cross-entropy of the softmax over the other pictures of the batch of f·f'/τ
                 against t·t'/τ (Fang and others, *SEED*, ICLR 2021, within the batch)

The second is what retrieval asks for: that the same pictures are near. A third teaches where things
are, in every picture and without any label map: each cell of the network's feature map is brought
near what the teacher sees there before its last pooling,

    cells        1 − cos(W' g_ij, t_ij), mean over cells; `t_ij` centered, and drawn to g's grid

(Romero and others, *FitNets*, ICLR 2015, with the cosine in place of the squared error).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.learning.colors import N_BINS, color_histogram
from lookalike.learning.devices import Device
from lookalike.learning.foreign import ForeignNetwork, checksum, fit_images, open_network
from lookalike.learning.losses import Scalar, neighbor_loss


@dataclass(frozen=True, slots=True)
class Target:
    """What a teacher says of a batch.

    Attributes:
        whole: Unit target of each picture's `content`.
        cells: Centered features of each cell, of any length; `None` if they are not taught.
    """

    whole: Float[Tensor, "batch target_dim"]
    cells: Float[Tensor, "batch embedding_dim rows columns"] | None


class Teacher(nn.Module):
    """What `content` is taught, and the linear maps that are learned beside it.

    Args:
        network: The trained network; `None` teaches color alone. Where cells are taught it is cut
            before its last pooling, and its embedding is the mean over cells.
        content_dim: Length of `content`.
        embedding_dim: Length of the network's embedding, 0 without one.
        color_share: Share of color in the squared length of the target.
        device: Where learning happens.
        n_channels: Channels of the feature map that is taught cell by cell; 0 teaches no cells.

    Attributes:
        mean: Mean of the targets' two parts over training pictures; 0 until centered.
    """

    mean: Float[Tensor, " target_dim"]

    def __init__(
        self,
        network: ForeignNetwork | None,
        content_dim: int,
        embedding_dim: int,
        color_share: float,
        device: Device,
        n_channels: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.has_cells = n_channels > 0
        self.device = device
        self.color_share = color_share if network is not None else 1.0
        self.embedding_dim = embedding_dim
        self.map = nn.Linear(content_dim, embedding_dim + N_BINS)
        if n_channels:
            self.cell_map = nn.Conv2d(n_channels, embedding_dim, 1)
        self.register_buffer("mean", torch.zeros(embedding_dim + N_BINS))

    @property
    def side(self) -> int:
        """Pixels that the network reads in each direction; 0 where it reads none."""
        return 0 if self.network is None else max(self.network.height, self.network.width)

    @torch.no_grad()
    def center(self, images: Iterable[Float[Tensor, "_ 3 _ _"]]) -> None:
        """Take the mean of the target's parts over these images away from now on."""
        self.mean.zero_()
        sums = torch.stack(
            [functional.pad(self._parts(b)[0].sum(dim=0), (0, 1), value=len(b)) for b in images]
        )
        total = sums.sum(dim=0)
        self.mean.copy_(total[:-1] / total[-1])

    @torch.no_grad()
    def target(self, images: Float[Tensor, "batch 3 height width"]) -> Target:
        """Return the target of each image, values from 0 to 255, at any size."""
        parts, cells = self._parts(images)
        parts = parts - self.mean
        embedding, color = parts[:, : self.embedding_dim], parts[:, self.embedding_dim :]
        share = self.color_share
        joined = [
            functional.normalize(embedding, dim=1) * (1 - share) ** 0.5,
            functional.normalize(color, dim=1) * share**0.5,
        ]
        if cells is not None:
            cells = cells - self.mean[: self.embedding_dim, None, None]
        return Target(functional.normalize(torch.cat(joined, dim=1), dim=1), cells)

    def losses(
        self,
        content: Float[Tensor, "batch content_dim"],
        target: Target,
        feature_map: Float[Tensor, "batch channels side side"] | None = None,
    ) -> dict[str, Scalar]:
        """Return `teacher_loss`, regression, `similarity_loss` and maybe `cells_loss` of a batch.

        Args:
            content: Of the network, not yet of unit length.
            target: What it is taught.
            feature_map: Of the network; needed where cells are taught.
        """
        unit = functional.normalize(content, dim=1)
        mapped = self.map(unit).float()
        losses = {
            "teacher_loss": 1 - functional.cosine_similarity(mapped, target.whole).mean(),
            "similarity_loss": similarity_loss(unit, target.whole),
        }
        if target.cells is None or feature_map is None:
            return losses
        with self.device.autocast():
            seen = self.cell_map(feature_map).float()
        wanted = functional.interpolate(
            target.cells, seen.shape[2:], mode="bilinear", antialias=True
        )
        return losses | {"cells_loss": 1 - functional.cosine_similarity(seen, wanted).mean()}

    def _parts(self, images: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, Tensor | None]:
        """Return embedding and color side by side, and the features of each cell."""
        color = color_histogram(images)
        if self.network is None:
            return color, None
        output = self.network.run(fit_images(images, self.network))
        if not self.has_cells:
            return torch.cat([output.flatten(1), color], dim=1), None
        cells = output.permute(0, 3, 1, 2)
        return torch.cat([cells.mean(dim=(2, 3)), color], dim=1), cells


def similarity_loss(
    content: Float[Tensor, "batch content_dim"], target: Float[Tensor, "batch target_dim"]
) -> Scalar:
    """`neighbor_loss` of the cosines in `content` against those in `target`, both of unit rows."""
    return neighbor_loss(content @ content.T, target @ target.T)


def open_teacher(
    path: Path | None,
    normalization: str,
    content_dim: int,
    color_share: float,
    device: Device,
    n_channels: int = 0,
) -> Teacher:
    """Open a teacher; without a file it teaches color alone, else also `n_channels` of each cell.

    Raises:
        UsageError: If the file is no network of pictures.
    """
    if path is None:
        return Teacher(None, content_dim, 0, color_share, device).to(device.name)
    network = open_network(path, normalization, device, is_cut=n_channels > 0)
    gray = torch.full((1, 3, network.height, network.width), 128.0, device=device.name)
    output = network.run(gray)
    embedding_dim = output.shape[-1] if n_channels else output.flatten(1).shape[1]
    teacher = Teacher(network, content_dim, embedding_dim, color_share, device, n_channels)
    return teacher.to(device.name)


def describe(path: Path | None) -> str:
    """Return name and checksum of a network's file, as a card keeps it."""
    return "" if path is None else f"{path.name} sha256:{checksum(path)}"
