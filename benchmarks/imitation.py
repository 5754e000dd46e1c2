"""How much of what its teacher's layers give the trunk of the model that ships gives too.

    LOOKALIKE_DATA=photographs python -m benchmarks.imitation [--model MODEL]

On pictures kept out of learning, of each data set of the default recipe, at the size that the model
is shown: which share of the variance of the teacher's layer, over all cells and channels, the same
layer of the model tells; 1 is all, 0 what the mean of each channel would tell.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx.utils import Extractor
from onnxruntime import InferenceSession
from torch import Tensor

from lookalike.datasets.base import ListedDataset
from lookalike.datasets.union import sources_of
from lookalike.images.decoding import decode
from lookalike.learning.default_recipe import TEACHER, default_training, models_folder
from lookalike.learning.preparing import split_positions
from lookalike.learning.tflite_graph import TfliteGraph, before_pooling
from lookalike.model_folder import NETWORK, read_card
from lookalike.models import default_model


class Layers:
    """The layers of a model's trunk: whatever ends with a limit after a convolution over all."""

    def __init__(self, model: Path) -> None:
        network = onnx.load(str(model / NETWORK))
        made = {node.output[0]: node for node in network.graph.node}
        self._names = [
            node.output[0]
            for node in network.graph.node
            if node.op_type == "Clip" and "backbone" in node.output[0] and _mixes(made, node)
        ]
        for name in self._names:
            value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            network.graph.output.append(value)
        cut = Extractor(network).extract_model(["images"], self._names)
        self._session = InferenceSession(cut.SerializeToString())

    def see(self, pixels: np.ndarray) -> list[Tensor]:
        """Return the maps of one picture, bottom first."""
        maps = self._session.run(self._names, {"images": pixels[None]})
        return [torch.from_numpy(each) for each in maps]


def _mixes(made: dict[str, onnx.NodeProto], clip: onnx.NodeProto) -> bool:
    groups = {each.name: each.i for each in made[clip.input[0]].attribute}
    return groups.get("group", 1) == 1


class Shares:
    """Sums over cells, of which shares of variance are made."""

    def __init__(self, n_layers: int) -> None:
        self.errors = np.zeros(n_layers)
        self.sums: list[Tensor | float] = [0.0] * n_layers
        self.squares: list[Tensor | float] = [0.0] * n_layers
        self.counts = np.zeros(n_layers)

    def add(self, told: list[Tensor], wanted: list[Tensor]) -> None:
        """Count one picture."""
        for i, (ours, theirs) in enumerate(zip(told, wanted, strict=True)):
            cells = theirs.double().flatten(2)[0]
            self.errors[i] += float((ours.double().flatten(2)[0] - cells).square().sum())
            self.sums[i] += cells.sum(dim=1)
            self.squares[i] += cells.square().sum(dim=1)
            self.counts[i] += cells.shape[1]

    def told(self) -> list[float]:
        """Return the share of the variance that is told, of each layer."""
        shares = []
        for error, total, square, n in zip(
            self.errors, self.sums, self.squares, self.counts, strict=True
        ):
            variance = float(torch.as_tensor(square - torch.as_tensor(total).square() / n).sum())
            shares.append(round(1 - float(error) / variance, 3))
        return shares


def kept_out(dataset: ListedDataset, n: int) -> Iterator[tuple[str, bytes]]:
    """Give data set and bytes of the pictures kept out, at most `n` of each."""
    _, held_out = split_positions(dataset)
    names = [source.name for source in sources_of(dataset) for _ in range(source.n)]
    counts: dict[str, int] = {}
    for position in held_out:
        name = names[position]
        counts[name] = counts.get(name, 0) + 1
        if counts[name] <= n:
            yield name, dataset[position].read_bytes()


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--pictures", type=int, default=100, help="at most, of each data set")
    parser.add_argument("--out", type=Path, default=Path("docs/results/imitation.json"))
    options = parser.parse_args()
    data = Path(os.environ["LOOKALIKE_DATA"])
    path = models_folder(data, None) / TEACHER
    teacher = TfliteGraph(path, before_pooling(path)).eval()
    trunk, size = Layers(options.model), read_card(options.model).image_size
    found: dict[str, Shares] = {}
    for name, encoded in kept_out(default_training(data, None).dataset, options.pictures):
        pixels = decode(encoded, (size, size)).pixels
        wanted = teacher.layers(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
        found.setdefault(name, Shares(len(wanted))).add(trunk.see(pixels), wanted)
    figures = {name: shares.told() for name, shares in found.items()}
    for name, shares in figures.items():
        print(f"{name:14}", *(f"{share:.2f}" for share in shares))
    result = {"model": read_card(options.model).id, "shown": size, "told": figures}
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
