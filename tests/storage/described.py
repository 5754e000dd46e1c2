"""A small catalog of pictures that are labeled, captioned and dated, for tests of words."""

from dataclasses import dataclass

from lookalike.storage.catalog import Catalog
from lookalike.storage.records import (
    DATA_SET,
    FILE,
    FILE_TIME,
    PERSON,
    Batch,
    Description,
    ImageDetails,
    Known,
)
from tests.storage.stored import DESCRIPTORS, content_of, file_of, image_of


@dataclass(frozen=True)
class Shown:
    """One picture of the catalog, as a test can read it."""

    path: str
    text: str
    width: int = 40
    height: int = 30
    n_bytes: int = 5000
    format: str = "JPEG"
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    predicted: tuple[tuple[str, float], ...] = ()
    camera: str = ""
    iso: str = ""
    taken: str = ""
    file_time: str = "2020-01-01T00:00:00"
    colors: tuple[tuple[str, float], ...] = ()


PICTURES = (
    Shown("/p/holiday/beach.jpg", "a", 4000, 3000, 3_000_000, captions=("Two dogs on a beach",),
          labels=("dog",), predicted=(("person", 0.9), ("cat", 0.6)), camera="Canon EOS 5D",
          iso="800", taken="2024-05-31T14:30:00", colors=(("blue", 0.5), ("yellow", 0.3))),
    Shown("/p/holiday/IMG_0002.png", "b", 300, 400, 2000, "PNG", ("A cat at a window",),
          given=("cat",), camera="Nikon D90", iso="100", taken="2023-12-31T23:59:59",
          colors=(("gray", 0.9),)),
    Shown("/p/work/plan.tif", "c", 100, 100, 900, "TIFF", labels=("Größe", "hot"),
          predicted=(("dog", 0.7),), colors=(("white", 0.95),)),
    Shown("/p/work/dog.gif", "d", 64, 48, 700, "GIF", ("Déjà vu", "A day in the hot", "Dog days"),
          taken="2025-01-01T00:00:00", colors=(("blue", 0.1), ("red", 0.8))),
    Shown("/p/work/copy of dog.gif", "d"),
    Shown("/p/100%_sure.jpg", "e", 1000, 500, 2_400_000, file_time="2019-06-01T12:00:00"),
)  # fmt: skip


def fill(catalog: Catalog, pictures=PICTURES) -> dict[str, int]:
    """Index and describe `pictures`; return the ids by text."""
    first: list[Shown] = []
    for shown in pictures:
        if shown.text not in [other.text for other in first]:
            first.append(shown)
    batch = Batch(
        tuple(_image(shown) for shown in first),
        tuple(file_of(shown.path, shown.text, root=b"/p") for shown in pictures),
        tuple(_details(shown) for shown in first),
    )
    run = catalog.begin_run()
    catalog.commit(batch, run=run)
    catalog.remove_unseen(run, [b"/p"])
    for shown in first:
        content = content_of(shown.text)
        catalog.descriptions.change(
            [
                Description(content, PERSON, shown.captions, shown.labels),
                Description(content, DATA_SET, (), shown.given),
            ]
        )
    hashes = catalog.image_ids([content_of(shown.text) for shown in first])
    return {shown.text: hashes[content_of(shown.text)] for shown in first}


def make(path, pictures=PICTURES) -> tuple[Catalog, dict[str, int]]:
    catalog = Catalog.create(path, DESCRIPTORS)
    return catalog, fill(catalog, pictures)


def _image(shown: Shown):
    return image_of(
        shown.text,
        shown.predicted,
        width=shown.width,
        height=shown.height,
        n_bytes=shown.n_bytes,
        format=shown.format,
    )


def _details(shown: Shown) -> ImageDetails:
    known = [("camera", shown.camera), ("iso", shown.iso), ("taken", shown.taken)]
    attributes = [Known(key, value, FILE) for key, value in known if value]
    if not shown.taken:
        attributes.append(Known("taken", shown.file_time, FILE_TIME))
    return ImageDetails(content_of(shown.text), tuple(attributes), shown.colors)
