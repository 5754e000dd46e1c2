"""Writes generated scenes as a COCO folder, in several processes.

Every scene has a random generator of its own, derived from the seed and its number, so that the
files are the same bytes whatever the number of processes. The workers are processes started from
the command line (`python -m lookalike.datasets.scene_files`), not forks: they are safe beside
threads, and a caller's script needs no `if __name__ == "__main__"`.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image
from pycocotools import mask as coco_mask

import lookalike
from lookalike.datasets.scene_painting import (
    CLASSES,
    PALETTE,
    SUPERCATEGORIES,
    THINGS,
    Scene,
    render_mirror_pair,
    render_scene,
)
from lookalike.errors import EnvironmentFault
from lookalike.images.workers import usable_processors
from lookalike.progress import Task

JPEG_QUALITY: Final = 90
_SCENES_PER_WORKER: Final = 200
"""Starting a worker takes as long as drawing about this many scenes takes two."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A run of scenes to be written.

    Attributes:
        folder: Where `images/` lies.
        seed: Seed of the whole set.
        start: Number of the first scene.
        stop: One more than the number of the last.
        px: Side of the pictures.
        mirrored: Whether each scene is followed by its mirror image.
    """

    folder: str
    seed: int
    start: int
    stop: int
    px: int
    mirrored: bool


def write_coco(folder: Path, job: Job, workers: int | None, task: Task) -> None:
    """Write the pictures of `job` and their annotations below `folder`, which must exist."""
    (folder / "images").mkdir()
    (folder / "annotations").mkdir()
    runs = _divide(job, workers or usable_processors())
    records = _draw_in_processes(runs, task) if len(runs) > 1 else list(_counted(_draw(job), task))
    _write_annotations(folder / "annotations", records, job)


def scene_generator(seed: int, number: int) -> np.random.Generator:
    """The random generator of one scene of a set."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))


def _divide(job: Job, workers: int) -> list[Job]:
    n_scenes = job.stop - job.start
    n_runs = max(1, min(workers, n_scenes // _SCENES_PER_WORKER))
    edges = [job.start + n_scenes * i // n_runs for i in range(n_runs + 1)]
    return [replace(job, start=start, stop=stop) for start, stop in pairwise(edges)]


def _draw(job: Job) -> Iterator[list[Record]]:
    """Write the pictures of a run; give the records of each scene as soon as it is done."""
    images = Path(job.folder) / "images"
    for number in range(job.start, job.stop):
        rng = scene_generator(job.seed, number)
        if job.mirrored:
            scene, mirrored = render_mirror_pair(rng, job.px)
            pair = ((f"{number:06d}-scene.jpg", scene), (f"{number:06d}-mirror.jpg", mirrored))
            yield [_save(images / name, picture) for name, picture in pair]
        else:
            yield [_save(images / f"{number:06d}.jpg", render_scene(rng, job.px))]


def _save(path: Path, scene: Scene) -> Record:
    buffer = io.BytesIO()
    Image.fromarray(scene.pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    path.write_bytes(buffer.getvalue())
    height, width = scene.label_map.shape
    return {
        "file_name": path.name,
        "width": width,
        "height": height,
        "light": scene.light,
        "caption": scene.caption,
        "annotations": list(_annotations(scene)),
    }


def _annotations(scene: Scene) -> Iterator[Record]:
    for label in scene.labels:
        if label not in THINGS:
            yield _annotation(label, scene.label_map == label + 1)
    for number, thing in enumerate(scene.things, start=1):
        yield _annotation(thing.label, scene.instance_map == number)


def _annotation(label: int, mask: Bool[ndarray, "height width"]) -> Record:
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    height, width = mask.shape
    return {
        "category_id": label + 1,
        "segmentation": {"size": [height, width], "counts": encoded["counts"].decode("ascii")},
        "area": int(coco_mask.area(encoded)),
        "bbox": [float(value) for value in coco_mask.toBbox(encoded)],
        "iscrowd": 0,
    }


def _counted(scenes: Iterator[list[Record]], task: Task) -> Iterator[Record]:
    for records in scenes:
        task.advance(len(records))
        yield from records


def _draw_in_processes(runs: Sequence[Job], task: Task) -> list[Record]:
    lock = threading.Lock()
    with ThreadPoolExecutor(len(runs)) as threads:
        parts = threads.map(lambda run: _draw_in_process(run, task, lock), runs)
        return [record for part in parts for record in part]


def _draw_in_process(run: Job, task: Task, lock: threading.Lock) -> list[Record]:
    command = [sys.executable, "-m", "lookalike.datasets.scene_files", json.dumps(asdict(run))]
    root = str(Path(lookalike.__file__).resolve().parents[1])
    known = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(known)}
    records: list[Record] = []
    # What a worker complains of goes to a file: nobody reads a second pipe while it works.
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, env=env) as worker,
    ):
        for line in worker.stdout or ():
            scene = json.loads(line)
            records.extend(scene)
            with lock:
                task.advance(len(scene))
        worker.wait()
        if worker.returncode != 0:
            complaints.seek(0)
            raise EnvironmentFault(_last_line(complaints.read(), worker.returncode))
    return records


def _last_line(complaints: bytes, code: int) -> str:
    lines = complaints.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else f"exit code {code}"
    return f"a process that draws scenes failed: {last}; check space and rights of the folder"


def _write_annotations(folder: Path, records: Sequence[Record], job: Job) -> None:
    images: list[Record] = []
    objects: list[Record] = []
    captions: list[Record] = []
    for image_id, record in enumerate(records, start=1):
        known = {key: record[key] for key in ("file_name", "width", "height", "light")}
        images.append({"id": image_id, **known})
        captions.append({"id": image_id, "image_id": image_id, "caption": record["caption"]})
        for annotation in record["annotations"]:
            objects.append({"id": len(objects) + 1, "image_id": image_id, **annotation})
    common = {"info": _info(job), "licenses": [], "images": images}
    instances = {**common, "categories": _categories(), "annotations": objects}
    _write_json(folder / "instances.json", instances)
    _write_json(folder / "captions.json", {**common, "annotations": captions})


def _write_json(path: Path, content: Record) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def _info(job: Job) -> Record:
    description = f"Scenes {job.start} to {job.stop - 1} of seed {job.seed}"
    return {"description": description + ", generated by Lookalike; free of any rights"}


def _categories() -> list[Record]:
    return [
        {
            "id": label + 1,
            "name": name,
            "supercategory": SUPERCATEGORIES[label],
            "isthing": int(label in THINGS),
            "color": list(PALETTE[label + 1]),
        }
        for label, name in enumerate(CLASSES)
    ]


def _main() -> None:
    run = Job(**json.loads(sys.argv[1]))
    for records in _draw(run):
        sys.stdout.write(json.dumps(records) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
