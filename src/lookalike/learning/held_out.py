"""What a network and its self-encoder are worth on pictures kept out of training."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lookalike.learning.devices import Device
from lookalike.learning.measures import OverlapCounter, label_f, label_mean_average_precision
from lookalike.learning.network import Network, Prediction
from lookalike.learning.pictures import Pictures, blocks
from lookalike.learning.self_encoders import SelfEncoder


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Pictures at the network's own size, and how to measure on them.

    Attributes:
        pictures: Pictures of the network's input size, label maps of the self-encoder's grid.
        n_classes: Number of classes.
        is_single_label: Whether labels exclude each other.
        device: Where the arithmetic happens.
    """

    pictures: Pictures
    n_classes: int
    is_single_label: bool
    device: Device

    @torch.no_grad()
    def measure_self_encoder(
        self, self_encoder: SelfEncoder, limit: int | None = None
    ) -> dict[str, float]:
        """Measure how well label maps survive being encoded and decoded.

        Args:
            self_encoder: What to measure.
            limit: Use only the first pictures.

        Returns:
            `reconstruction_miou`: mean over pictures; `reconstruction_class_miou`: IoU of each
            class over all cells, mean over classes. Background counts in neither. Empty without
            pictures or label maps.
        """
        if self.pictures.label_maps is None:
            return {}
        self_encoder.eval()
        overlap = OverlapCounter(self.n_classes + 1)
        for positions in self._positions(limit):
            label_maps = self.pictures.take_label_maps(positions)
            code = self_encoder.encode(label_maps.to(self.device.name))
            overlap.add(_most_probable(self_encoder.decode(code)), label_maps.numpy())
        return _overlap_figures("reconstruction", overlap)

    @torch.no_grad()
    def measure_network(
        self, network: Network, self_encoder: SelfEncoder | None, limit: int | None = None
    ) -> dict[str, float]:
        """Measure labels, and label maps decoded from the code predicted for the photograph.

        Args:
            network: What to measure.
            self_encoder: Decodes the predicted codes; `None` without self-encoding.
            limit: Use only the first pictures.

        Returns:
            `label_map` (mean average precision over classes), `label_f`, and `predicted_miou` and
            `predicted_class_miou` as in `measure_self_encoder`. Empty without pictures.
        """
        if not len(self.pictures):
            return {}
        network.eval()
        overlap = OverlapCounter(self.n_classes + 1)
        probabilities = []
        for positions in self._positions(limit):
            predicted = self._predict(network, positions)
            probabilities.append(self._probabilities(predicted.label_logits))
            if self_encoder is not None and predicted.code is not None:
                self_encoder.eval()
                label_maps = self.pictures.take_label_maps(positions).cpu().numpy()
                logits = predicted.map_logits
                if logits is None:
                    logits = self_encoder.decode(predicted.code)
                overlap.add(_most_probable(logits), label_maps)
        return {
            **self._label_figures(np.concatenate(probabilities)),
            **_overlap_figures("predicted", overlap),
        }

    def _label_figures(self, probabilities: np.ndarray) -> dict[str, float]:
        """Figures over the pictures whose data set knows every class that the model tells."""
        pictures, n = self.pictures, self.n_classes
        is_told = pictures.known[:, :n].all(dim=1)[pictures.source[: len(probabilities)]].numpy()
        if not is_told.any():
            return {}
        shown = probabilities[is_told, :n]
        labels = pictures.labels[: len(probabilities)][is_told, :n]
        return {
            "label_map": label_mean_average_precision(shown, labels),
            "label_f": label_f(shown, labels, self.is_single_label),
        }

    def _predict(self, network: Network, positions: Tensor) -> Prediction:
        if self.pictures.features is not None:
            features = self.pictures.take_features(positions)
            return network.predict(features.to(self.device.name))
        pixels = self.pictures.take_pixels(positions).to(self.device.name)
        prediction: Prediction = network(pixels.permute(0, 3, 1, 2).float())
        return prediction

    def _positions(self, limit: int | None) -> Iterator[Tensor]:
        n = len(self.pictures) if limit is None else min(limit, len(self.pictures))
        return blocks(n)

    def _probabilities(self, logits: Tensor) -> np.ndarray:
        shares = logits.softmax(dim=1) if self.is_single_label else logits.sigmoid()
        return shares.cpu().numpy()


def _most_probable(logits: Tensor) -> np.ndarray:
    return logits.argmax(dim=1).to(torch.uint8).cpu().numpy()


def _overlap_figures(prefix: str, overlap: OverlapCounter) -> dict[str, float]:
    if not overlap.per_picture:
        return {}
    return {
        f"{prefix}_miou": overlap.picture_miou(),
        f"{prefix}_class_miou": overlap.class_miou(),
    }
