"""At which size the model that ships should be shown pictures, by those kept out of its learning.

    LOOKALIKE_DATA=photographs python -m benchmarks.shown_sizes [--mirrored]

The weights stay as they were learned. Measured are P@10 by `content` among the kept-out pictures
of the learned half of `corel`, relevant if of the same theme, and layout mIoU@10 by `layout` among
those of `coco#train` and `clothing`. The measured half of `corel` and `coco#test` are not seen.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime import InferenceSession, SessionOptions

from benchmarks.default_model import LAYOUT, OF_THEMES, Vectors, interval
from lookalike.arrays import normalize
from lookalike.datasets import open_dataset
from lookalike.datasets.base import ListedDataset
from lookalike.datasets.splits import Subset
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.images.decoding import decode
from lookalike.images.files import content_hash
from lookalike.learning.default_recipe import default_training
from lookalike.learning.preparing import split_positions
from lookalike.model_folder import NETWORK
from lookalike.models import default_model

SIZES = (128, 144, 160, 192, 224)
THEMES = OF_THEMES[0]


def network_of_any_size(model: Path) -> InferenceSession:
    """Open the network so that it takes pictures of every size."""
    graph = onnx.load(str(model / NETWORK))
    for axis, name in ((1, "height"), (2, "width")):
        graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    options = SessionOptions()
    options.log_severity_level = 3
    return InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Kept:
    """Pictures kept out of learning, with the truth about them."""

    def __init__(self, pictures: ListedDataset) -> None:
        data = [pictures[position].read_bytes() for position in range(len(pictures))]
        ids = {content_hash(encoded): number for number, encoded in enumerate(data, 1)}
        self.truth: GroundTruth = ground_truth(pictures, ids)
        self.data = [data[image_id - 1] for image_id in self.truth.ids]

    def judge(
        self, network: InferenceSession, output: str, size: int, measure: Measure, mirrored: bool
    ) -> Evaluation:
        """Rank each picture's neighbors by an output of the network."""
        rows = []
        for encoded in self.data:
            pixels = decode(encoded, (size, size)).pixels
            views = np.stack([pixels, pixels[:, ::-1]]) if mirrored else pixels[None]
            rows.append(network.run([output], {"images": views})[0].sum(axis=0))
        system = Vectors(self.truth.ids, normalize(np.stack(rows).astype(np.float32)))
        return evaluate(system, self.truth, at=() if measure.k is None else (measure.k,))


def kept_out(data: Path) -> tuple[Kept, Kept]:
    """Of the learned half of `corel`, by theme; and of `coco#train` and `clothing`, with maps."""
    learned = default_training(data, None).dataset
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


def run(data: Path, model: Path, *, mirrored: bool) -> dict[str, Any]:
    """Measure at every size; differences are to the smallest."""
    themes, mapped = kept_out(data)
    network = network_of_any_size(model)
    results: dict[str, Any] = {}
    first: tuple[Evaluation, Evaluation] | None = None
    for size in SIZES:
        found = (
            themes.judge(network, "content", size, THEMES, mirrored),
            mapped.judge(network, "layout", size, LAYOUT, False),
        )
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
    return {"mirrored": mirrored, "pictures": [len(themes.data), len(mapped.data)], **results}


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirrored", action="store_true", help="add what mirrored ones give")
    parser.add_argument("--out", type=Path, default=Path("docs/results/shown_sizes.json"))
    options = parser.parse_args()
    found = run(Path(os.environ["LOOKALIKE_DATA"]), default_model(), mirrored=options.mirrored)
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
