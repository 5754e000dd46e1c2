"""Kill -9 in the middle of `index --regions`: whole batches are there, and the next run goes on."""

import shutil
import signal

import numpy as np
import pytest
from forking import forker

from conftest import paint
from lookalike.features.regions import REGIONS_VERSION
from lookalike.storage.catalog import Catalog
from lookalike.storage.folder import open_folder
from lookalike.storage.integrity import verify

N = 34
"""Two batches."""

FEW = ("storage.regions.image:7", "storage.regions.done")
MORE = (
    *("storage.regions.begin", "storage.regions.end", "storage.regions.image:34"),
    *("storage.regions.done:2", "index.published:3"),
)


@pytest.fixture(scope="module")
def program():
    with forker() as started:
        yield started


@pytest.fixture(scope="module")
def before(program, model, tmp_path_factory):
    """A collection without regions, and the words that give it some."""
    folder = tmp_path_factory.mktemp("before")
    paint(folder / "pictures", N)
    words = (folder / "pictures", "--workers", "0", "--json")
    done = program.run("index", folder / "photos", *words, "--model", model)
    assert done.code == 0, done.err
    return folder / "photos", words


def regions_of(collection):
    """Regions of each content: outlines and vectors."""
    with Catalog.open(open_folder(collection)[0].catalog) as catalog:
        n_done, n_lacking, _ = catalog.regions.counts(REGIONS_VERSION)
        outlines = catalog.regions.outlines()
        batches = list(catalog.regions.vectors("content", catalog.descriptors["content"]))
        rows = np.concatenate([rows for _, rows in batches]) if batches else np.empty((0, 1))
    return n_done, n_lacking, outlines, rows


@pytest.fixture(scope="module")
def expected(program, before, tmp_path_factory):
    """What an undisturbed run leaves."""
    start, words = before
    whole = tmp_path_factory.mktemp("whole") / "photos"
    shutil.copytree(start, whole)
    assert program.run("index", whole, *words, "--regions").code == 0
    return regions_of(whole)


@pytest.mark.parametrize(
    "failpoint", [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)]
)
def test_regions_killed_anywhere_are_finished_by_the_next_run(
    program, before, expected, tmp_path, failpoint
):
    start, words = before
    collection = tmp_path / "photos"
    shutil.copytree(start, collection)
    killed = program.run("index", collection, *words, "--regions", LOOKALIKE_FAILPOINT=failpoint)
    assert killed.code == -signal.SIGKILL
    assert verify(collection).problems == ()
    n_done, n_lacking, _, _ = regions_of(collection)
    assert n_done + n_lacking == N
    done = program.run("index", collection, *words, "--regions")
    assert done.json["regions"]["images"] == n_lacking  # what was stored is not done again
    _, n_lacking, found, rows = regions_of(collection)
    assert n_lacking == 0
    np.testing.assert_array_equal(found.ids, expected[2].ids)
    np.testing.assert_array_equal(found.boxes, expected[2].boxes)
    np.testing.assert_allclose(rows, expected[3], atol=2e-3)  # half precision
    report = verify(collection)
    assert (report.problems, report.leftovers) == ((), ())
