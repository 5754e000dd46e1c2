"""At which size the model that ships should be shown pictures, by those kept out of its learning.

    LOOKALIKE_DATA=photographs python -m benchmarks.shown_sizes [--model MODEL]

The trunk stays as it was learned; what cells hold is fitted for each size by ridge regression, as
at the end of learning. Measured are P@10 by `content` among the kept-out pictures of the learned
half of `corel`, relevant if of the same theme, and layout mIoU@10 among those of `coco#train` and
`clothing`, by the cosine of the shares of classes in 8 × 8 cells, which `layout` is a projection
of. The measured half of `corel` and `coco#test` are not seen.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx.utils import Extractor
from onnxruntime import InferenceSession, SessionOptions
from torch import Tensor

from benchmarks.default_model import LAYOUT, OF_THEMES, Vectors, interval
from lookalike.arrays import VOID, normalize
from lookalike.datasets import open_dataset
from lookalike.datasets.base import ListedDataset
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.splits import Subset
from lookalike.datasets.union import sources_of
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.images.decoding import decode
from lookalike.images.files import content_hash
from lookalike.learning.cell_shares import average_cells, map_shares
from lookalike.learning.default_recipe import DEFAULT_RECIPE, Training, default_training
from lookalike.learning.devices import Device
from lookalike.learning.preparing import fingerprint, split_positions
from lookalike.learning.pseudo_maps import with_pseudo_maps
from lookalike.learning.read_out import PENALTY, Sums
from lookalike.model_folder import NETWORK, read_card
from lookalike.models import default_model

SIZES = (128, 160, 192, 224)
THEMES = OF_THEMES[0]


class Trunk:
    """The network up to its feature map, and `content`, for pictures of every size."""

    def __init__(self, model: Path) -> None:
        graph = onnx.load(str(model / NETWORK))
        for axis, name in ((1, "height"), (2, "width")):
            graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
        self._map = next(
            node.input[0]
            for node in graph.graph.node
            if node.op_type == "Conv" and "label_features" in node.output[0]
        )
        value = onnx.helper.make_tensor_value_info(self._map, onnx.TensorProto.FLOAT, None)
        graph.graph.output.append(value)
        cut = Extractor(graph).extract_model(["images"], ["content", self._map])
        options = SessionOptions()
        options.log_severity_level = 3
        self._session = InferenceSession(cut.SerializeToString(), options)

    def see(self, encoded: bytes, size: int) -> tuple[np.ndarray, Tensor]:
        """Return `content` and the features of 8 × 8 cells, a row each."""
        pixels = decode(encoded, (size, size)).pixels[None]
        content, cells = self._session.run(["content", self._map], {"images": pixels})
        return content[0], rows_of(average_cells(torch.from_numpy(cells)))


def rows_of(maps: Tensor) -> Tensor:
    """Cells of all pictures below each other."""
    return maps.movedim(1, -1).flatten(0, -2).double()


@dataclass(frozen=True)
class Mapped:
    """A learned picture, its shares, and how often a pass shows it."""

    encoded: bytes
    shares: Tensor
    times: int


class Kept:
    """Pictures kept out of learning, with the truth about them."""

    def __init__(self, pictures: ListedDataset) -> None:
        data = [pictures[position].read_bytes() for position in range(len(pictures))]
        ids = {content_hash(encoded): number for number, encoded in enumerate(data, 1)}
        self.truth: GroundTruth = ground_truth(pictures, ids)
        self.data = [data[image_id - 1] for image_id in self.truth.ids]

    def judge(self, rows: np.ndarray, measure: Measure) -> Evaluation:
        """Rank each picture's neighbors by the cosine of these rows."""
        system = Vectors(self.truth.ids, normalize(rows.astype(np.float32)))
        return evaluate(system, self.truth, at=() if measure.k is None else (measure.k,))


def kept_out(data: Path, training: Training) -> tuple[Kept, Kept]:
    """Of the learned half of `corel`, by theme; and of `coco#train` and `clothing`, with maps."""
    learned = training.dataset
    _, positions = split_positions(learned)
    names = [learned.names[position].rpartition("/")[2] for position in positions]
    themes = open_dataset(f"{data / 'corel'}@theme")
    at = {name: position for position, name in enumerate(themes.names)}
    of_themes = Subset(themes, [at[name] for name in names if name in at], "kept")
    mapped = [
        position
        for position in positions
        if learned.names[position].startswith(("coco", "clothing"))
    ]
    return Kept(of_themes), Kept(Subset(learned, mapped, "kept"))


def learned_with_maps(training: Training, n_values: int, folder: Path) -> Iterator[Mapped]:
    """Give the learned pictures that have a label map of their own or a drawn one."""
    positions, _ = split_positions(training.dataset)
    digest = fingerprint(training.dataset, positions)
    assert training.guides.segmenter is not None
    side, device = 2 * DEFAULT_RECIPE.grid, Device("cpu", False)
    source = with_pseudo_maps(
        training.dataset, training.guides.segmenter, folder / "maps", side, device, digest
    )
    ends = np.cumsum([part.n for part in sources_of(training.dataset)])
    of = np.searchsorted(ends, positions, side="right")
    counts = np.bincount(of)
    for position, part in zip(positions, of, strict=True):
        image = source[position]
        if image.read_label_map is None:
            continue
        label_map = shrink_label_maps(image.read_label_map()[None], DEFAULT_RECIPE.grid)
        if (label_map != VOID).any():
            times = round((counts.max() / counts[part]) ** DEFAULT_RECIPE.set_balance)
            shares = rows_of(map_shares(torch.from_numpy(label_map), n_values))
            yield Mapped(image.read_bytes(), shares, times)


def fit(trunk: Trunk, learned: list[Mapped], size: int) -> tuple[Tensor, Tensor]:
    """Fit shares at a size; slopes and intercepts."""
    sums: Sums | None = None
    for picture in learned:
        _, features = trunk.see(picture.encoded, size)
        sums = sums or Sums(features.shape[1], picture.shares.shape[1])
        sums.add(features, picture.shares, picture.shares.sum(dim=1) * picture.times)
    assert sums is not None
    return sums.solve(PENALTY)


def run(data: Path, model: Path) -> dict[str, Any]:
    """Measure at every size; differences are to the smallest."""
    training, trunk = default_training(data, None), Trunk(model)
    themes, mapped = kept_out(data, training)
    n_values = len(read_card(model).classes) + 1
    results: dict[str, Any] = {}
    first: tuple[Evaluation, Evaluation] | None = None
    with tempfile.TemporaryDirectory() as folder:
        learned = list(learned_with_maps(training, n_values, Path(folder)))
    for size in SIZES:
        slopes, intercepts = fit(trunk, learned, size)
        told = [
            (trunk.see(encoded, size)[1] @ slopes + intercepts)
            .clamp(min=0)[:, 1:]
            .flatten()
            .numpy()
            for encoded in mapped.data
        ]
        content = np.stack([trunk.see(encoded, size)[0] for encoded in themes.data])
        found = themes.judge(content, THEMES), mapped.judge(np.stack(told), LAYOUT)
        first = first or found
        results[str(size)] = {
            measure.label: {
                "value": interval(now, measure),
                "more": round(compare(now, then).differences[measure].difference.mean, 4),
                "p_value": round(compare(now, then).differences[measure].p_value, 4),
            }
            for measure, now, then in zip((THEMES, LAYOUT), found, first, strict=True)
        }
        print(size, results[str(size)])
    return {"pictures": [len(themes.data), len(mapped.data)], "fitted": len(learned), **results}


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="model folder; by default the one that ships")
    parser.add_argument("--out", type=Path, default=Path("docs/results/shown_sizes.json"))
    options = parser.parse_args()
    found = run(Path(os.environ["LOOKALIKE_DATA"]), options.model or default_model())
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
