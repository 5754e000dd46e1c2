"""Images per second of indexing against the usual pipeline: same network, same photos, one core.

    python -m benchmarks.ingest [--rounds 5] [--backbone NAME] [--image-size PX] [--out FILE]

The usual pipeline decodes every photo whole with Pillow, resizes it (bilinear) in one DataLoader
worker and runs the network with PyTorch, eager, in 32 bits. Ours is what `lookalike index` does
before it stores anything: one decoding process, content hashes, batches through the exported
network. Both are pinned to the same core and take turns, round by round; medians are shown. The
network is that of the model that ships, or another backbone, with random weights, which do not
matter to the clock. Needs the extra `learn`; OpenVINO is measured where the extra `fast` is
installed.

Photos: 640 x 480 as they are in COCO (needs LOOKALIKE_DATA, else painted ones), and 4000 x 3000
made of them: enlarged, grain added, JPEG quality 90.

The processor's time (user and system, of all processes of a side) is what is compared: on a
machine that does other things meanwhile, elapsed time says little. It is shown beside.
"""

import argparse
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike.features.extraction import extract
from lookalike.features.model import Model
from lookalike.images.decoding import PREPROCESS_VERSION
from lookalike.images.workers import DecodedFile, DecodePool
from lookalike.learning.default_recipe import DEFAULT_RECIPE
from lookalike.learning.recipes import Recipe
from lookalike.model_folder import ModelCard, write_card

SMALL, LARGE = "640x480", "12 megapixels"
USUAL = "usual (Pillow, PyTorch)"
OURS = "lookalike, ONNX Runtime"
FAST = "lookalike, OpenVINO"
DECODING = "lookalike, decoding alone"
BATCH = 32
N_SMALL, N_LARGE, N_CLASSES = 89, 12, 12

Pass = Callable[[list[Path]], np.ndarray]


@dataclass(frozen=True)
class Row:
    """What one pipeline did with one kind of photo, medians over the rounds.

    Attributes:
        photos: Kind of photo.
        pipeline: Which pipeline.
        cpu_ms: Processor milliseconds per image.
        elapsed_ms: Elapsed milliseconds per image.
        images_per_second: By processor time.
        ratio: `images_per_second` against the usual pipeline.
        agreement: Smallest cosine of an embedding with the usual pipeline's.
    """

    photos: str
    pipeline: str
    cpu_ms: float
    elapsed_ms: float
    images_per_second: float
    ratio: float
    agreement: float | None


def main() -> None:
    """Write photos and a model, let the sides take turns, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backbone", default=DEFAULT_RECIPE.backbone)
    parser.add_argument("--image-size", type=int, default=DEFAULT_RECIPE.image_size)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    is_default = options.backbone == DEFAULT_RECIPE.backbone
    recipe = replace(
        DEFAULT_RECIPE if is_default else Recipe(),
        backbone=options.backbone,
        image_size=options.image_size,
    )
    if options.side:
        serve(options.side[0], Path(options.side[1]), recipe)
        return
    os.sched_setaffinity(0, {options.core})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder)
        write_model(folder / "model", recipe)
        rows = compare(folder, recipe, options.rounds)
    show(rows, options)


def compare(folder: Path, recipe: Recipe, rounds: int) -> list[Row]:
    """Let all pipelines take turns over the photos."""
    names = [USUAL, OURS, *([FAST] if importlib.util.find_spec("openvino") else []), DECODING]
    sides = {name: Side(name, folder, recipe) for name in names}
    try:
        taken: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for turn in range(rounds + 1):
            for photos in (SMALL, LARGE):
                for name, side in sides.items():
                    answer = side.run(photos)
                    if turn:  # the first one warms up
                        taken.setdefault((photos, name), []).append(answer)
    finally:
        for side in sides.values():
            side.close()
    return [summarize(photos, name, taken) for photos in (SMALL, LARGE) for name in names]


def summarize(photos: str, name: str, taken: dict[tuple[str, str], list[dict[str, Any]]]) -> Row:
    """Medians of one pipeline, and its ratio to the usual one."""
    cpu = statistics.median(answer["cpu_ms"] for answer in taken[photos, name])
    usual = statistics.median(answer["cpu_ms"] for answer in taken[photos, USUAL])
    expected = np.array(taken[photos, USUAL][0]["embeddings"])
    found = np.array(taken[photos, name][0]["embeddings"])
    return Row(
        photos=photos,
        pipeline=name,
        cpu_ms=cpu,
        elapsed_ms=statistics.median(answer["elapsed_ms"] for answer in taken[photos, name]),
        images_per_second=1000 / cpu,
        ratio=usual / cpu,
        agreement=float((found * expected).sum(axis=1).min()) if found.size else None,
    )


def show(rows: list[Row], options: argparse.Namespace) -> None:
    """Print a table, and write it as JSON if asked to."""
    print(
        f"{options.backbone} at {options.image_size} px, core {options.core}, "
        f"median of {options.rounds} rounds"
    )
    print(f"{'photos':14} {'pipeline':26} {'CPU ms':>7} {'elapsed':>8} {'img/s':>7} {'ratio':>6}")
    for row in rows:
        print(
            f"{row.photos:14} {row.pipeline:26} {row.cpu_ms:7.2f} {row.elapsed_ms:8.2f} "
            f"{row.images_per_second:7.1f} {row.ratio:5.2f}x"
            + (f"  cosine ≥ {row.agreement:.3f}" if row.agreement is not None else "")
        )
    if options.out:
        content = {"options": {**vars(options), "out": None}, "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


class Side:
    """A pipeline in a process of its own, started and warm before it is timed."""

    def __init__(self, name: str, folder: Path, recipe: Recipe) -> None:
        command = [sys.executable, "-m", "benchmarks.ingest", "--side", name, str(folder)]
        self._process = subprocess.Popen(
            [*command, "--image-size", str(recipe.image_size), "--backbone", recipe.backbone],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def run(self, photos: str) -> dict[str, Any]:
        """Have it take all photos of a kind once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(photos + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve(name: str, folder: Path, recipe: Recipe) -> None:
    """Be one side: take photos whenever told to, and say how long it took."""
    paths = {photos: sorted((folder / photos).iterdir()) for photos in (SMALL, LARGE)}
    for run in open_pipeline(name, folder, recipe):
        for line in sys.stdin:
            batch = paths[line.strip()]
            started, used = time.perf_counter(), cpu_seconds()
            embeddings = run(batch)
            elapsed, cpu = time.perf_counter() - started, cpu_seconds() - used
            answer = {
                "cpu_ms": 1000 * cpu / len(batch),
                "elapsed_ms": 1000 * elapsed / len(batch),
                "embeddings": embeddings.round(6).tolist(),
            }
            print(json.dumps(answer), flush=True)


def open_pipeline(name: str, folder: Path, recipe: Recipe) -> Iterator[Pass]:
    """Give one pipeline's pass over photos; what it needs is open meanwhile."""
    if name == USUAL:
        yield usual_pass(recipe)
        return
    with DecodePool(1, (recipe.image_size, recipe.image_size)) as pool:
        if name == DECODING:
            yield lambda paths: decode_all(pool, paths)
            return
        runtime = "openvino" if name == FAST else "onnx"
        model = Model.open(folder / "model", threads=1, runtime=runtime)
        yield lambda paths: encode_all(pool, model, paths)


def decode_all(pool: DecodePool, paths: list[Path]) -> np.ndarray:
    """Decode only."""
    n = sum(isinstance(outcome, DecodedFile) for outcome in pool.decode(map(os.fsencode, paths)))
    if n != len(paths):
        raise RuntimeError(f"{len(paths) - n} photos could not be decoded")
    return np.empty((0, 0))


def encode_all(pool: DecodePool, model: Model, paths: list[Path]) -> np.ndarray:
    """Go through the first part of `lookalike index`; embeddings in the order of the paths."""
    found: dict[bytes, np.ndarray] = {}
    outcomes = pool.decode(map(os.fsencode, paths))
    for batch in extract(outcomes, model, stored=lambda hashes: set()):
        found.update((image.file.path, image.embeddings["content"]) for image in batch.images)
    return np.stack([found[os.fsencode(path)] for path in paths])


def usual_pass(recipe: Recipe) -> Pass:
    """Build the usual pipeline, with its own copy of the same network."""
    import torch  # noqa: PLC0415 - our sides run without it
    from torch.utils.data import DataLoader, Dataset  # noqa: PLC0415

    torch.set_num_threads(1)
    network = build_network(recipe).eval()

    class Photos(Dataset[torch.Tensor]):
        def __init__(self, paths: list[Path]) -> None:
            self.paths = paths

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(self.paths[index]) as photo:
                small = photo.convert("RGB").resize(
                    (recipe.image_size, recipe.image_size), Image.Resampling.BILINEAR
                )
            return torch.from_numpy(np.array(small)).permute(2, 0, 1).float()

    loaders: dict[Path, DataLoader[torch.Tensor]] = {}

    @torch.inference_mode()
    def run(paths: list[Path]) -> np.ndarray:
        kind = paths[0].parent
        if kind not in loaders:
            loaders[kind] = DataLoader(
                Photos(paths), batch_size=BATCH, num_workers=1, persistent_workers=True
            )
        content = [network(images).content for images in loaders[kind]]
        return torch.nn.functional.normalize(torch.cat(content), dim=1).numpy()

    return run


def build_network(recipe: Recipe) -> Any:
    """The network of a recipe with the same random weights each time."""
    import torch  # noqa: PLC0415 - our sides run without it

    from lookalike.learning import network  # noqa: PLC0415

    torch.manual_seed(0)
    return network.build_network(N_CLASSES, recipe, has_code=False)


def write_model(folder: Path, recipe: Recipe) -> None:
    """Export the network as `lookalike learn` does."""
    import torch  # noqa: PLC0415 - our sides run without it

    from lookalike.learning.export import export_model  # noqa: PLC0415

    folder.mkdir()
    network = build_network(recipe).eval()
    pixels = torch.randint(0, 256, (4, recipe.image_size, recipe.image_size, 3), dtype=torch.uint8)
    export_model(folder, network, None, is_single_label=False, pixels=pixels, label_maps=None)
    card = ModelCard(
        name="random",
        classes=tuple(map(str, range(N_CLASSES))),
        relevant_classes=tuple(range(N_CLASSES)),
        palette=((0, 0, 0),) * (N_CLASSES + 1),
        image_size=recipe.image_size,
        grid=0,
        content_dim=network.content_dim,
        code_dim=0,
        is_single_label=False,
        preprocess_version=PREPROCESS_VERSION,
    )
    write_card(folder, card)


def write_photos(folder: Path) -> None:
    """Write both kinds of photos."""
    for kind in (SMALL, LARGE):
        (folder / kind).mkdir()
    for number, data in enumerate(islice(small_photos(), N_SMALL)):
        (folder / SMALL / f"{number:03d}.jpg").write_bytes(data)
        if number < N_LARGE:
            (folder / LARGE / f"{number:03d}.jpg").write_bytes(enlarged(data, seed=number))


def small_photos() -> Iterator[bytes]:
    """Photos of 640 x 480: as they are in COCO, or painted where it is absent."""
    data = os.environ.get("LOOKALIKE_DATA")
    for path in sorted(Path(data or "/nowhere", "coco", "images").glob("*.jpg")):
        with Image.open(path) as photo:
            if photo.size == (640, 480):
                yield path.read_bytes()
    rng = np.random.default_rng(0)
    while True:
        blobs = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        yield jpeg(with_grain(blobs.resize((640, 480), Image.Resampling.BICUBIC), rng))


def enlarged(data: bytes, seed: int) -> bytes:
    """Make a photo of 12 megapixels of a small one."""
    with Image.open(io.BytesIO(data)) as photo:
        large = photo.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    return jpeg(with_grain(large, np.random.default_rng(seed)))


def with_grain(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add noise, as sensors do; without it JPEG files would be unusually small."""
    pixels = np.asarray(photo).astype(np.int16)
    pixels += rng.integers(-9, 10, pixels.shape, np.int16)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpeg(photo: Image.Image) -> bytes:
    """Encode at quality 90."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def cpu_seconds() -> float:
    """Processor time of this process and all its living descendants, threads included."""
    ticks, waiting = 0, [os.getpid()]
    while waiting:
        pid = waiting.pop()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:13]))
        for task in Path(f"/proc/{pid}/task").iterdir():
            waiting += map(int, (task / "children").read_text().split())
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
