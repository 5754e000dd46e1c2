"""Any order of runs, renamings, kills and reopenings against a dictionary of paths."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Batch
from tests.storage.stored import DESCRIPTORS, batch_of, content_of, file_of, vectors_of

FOLDERS = ["/a", "/a/b", "/a/bc", "/c"]
paths = st.builds("{}/{}".format, st.sampled_from(FOLDERS), st.sampled_from("xyz"))
texts = st.sampled_from(["red", "green", "blue", "black"])
trees = st.dictionaries(paths, texts, max_size=8)


def is_below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


class CatalogMachine(RuleBasedStateMachine):
    """`files` is what the catalog must hold; the disk is whatever a rule says it is."""

    @initialize()
    def create(self):
        self.folder = Path(tempfile.mkdtemp())
        self.catalog = Catalog.create(self.folder / "catalog.sqlite", DESCRIPTORS)
        self.files: dict[str, str] = {}
        self.deleted: set[int] = set()
        self.ids: dict[str, int] = {}

    def teardown(self):
        if hasattr(self, "catalog"):
            self.catalog.close()
            shutil.rmtree(self.folder)

    @rule(tree=trees, root=st.sampled_from(FOLDERS), batch_size=st.integers(1, 4))
    def run_over_a_folder(self, tree, root, batch_size):
        found = {path: text for path, text in tree.items() if is_below(path, root)}
        run = self.catalog.begin_run()
        self._commit(found, run, batch_size)
        gone = {path for path in self.files if is_below(path, root)} - set(found)
        assert self.catalog.remove_unseen(run, [root.encode()]) == len(gone)
        for path in gone:
            del self.files[path]

    @rule(tree=trees, batch_size=st.integers(1, 4))
    def run_that_is_stopped_before_its_end(self, tree, batch_size):
        self._commit(tree, self.catalog.begin_run(), batch_size)
        self.reopen()

    @rule(root=st.sampled_from(FOLDERS), unreadable=st.sampled_from(FOLDERS))
    def run_that_cannot_look_into_a_folder(self, root, unreadable):
        run = self.catalog.begin_run()
        options = {"except_below": [unreadable.encode()]}
        self.catalog.remove_unseen(run, [root.encode()], **options)
        kept = {p for p in self.files if not is_below(p, root) or is_below(p, unreadable)}
        self.files = {path: self.files[path] for path in kept}

    @rule(data=st.data(), new=paths)
    def rename(self, data, new):
        if not self.files:
            return
        old = data.draw(st.sampled_from(sorted(self.files)))
        text = self.files[old]
        image_id = self.ids[text]
        run = self.catalog.begin_run()
        self.catalog.commit(Batch((), (file_of(new, text),)), run=run)
        self.catalog.mark_seen([path.encode() for path in self.files if path != old], run)
        self.catalog.remove_unseen(run, [b"/"])
        self.files = {path: t for path, t in self.files.items() if path != old} | {new: text}
        assert self.catalog.image_ids([content_of(text)]) == {content_of(text): image_id}

    @rule()
    def run_that_finds_nothing_new(self):
        before = self.catalog.revision
        run = self.catalog.begin_run()
        self.catalog.mark_seen([path.encode() for path in self.files], run)
        assert self.catalog.remove_unseen(run, [b"/"]) == 0
        assert self.catalog.revision == before

    @rule()
    def reopen(self):
        self.catalog.close()
        self.catalog = Catalog.open(self.folder / "catalog.sqlite", writable=True)

    def _commit(self, tree, run, batch_size):
        items = sorted(tree.items())
        for start in range(0, len(items), batch_size):
            chunk = items[start : start + batch_size]
            self.catalog.commit(batch_of(*chunk), run=run)
            self.files.update(chunk)

    @invariant()
    def catalog_equals_the_dictionary(self):
        if not hasattr(self, "catalog"):
            return
        records = self.catalog.images(self.catalog.ids())
        held = {path.decode(): record.hash for record in records for path in record.paths}
        assert held == {path: content_of(text) for path, text in self.files.items()}
        assert all(record.paths for record in records)
        assert len({record.hash for record in records}) == len(records)
        assert self.catalog.n_files["indexed"] == len(self.files)

    @invariant()
    def vectors_belong_to_their_contents(self):
        if not hasattr(self, "catalog"):
            return
        stored = self.catalog.image_ids([content_of(text) for text in set(self.files.values())])
        for text in set(self.files.values()):
            (row,) = self.catalog.vectors([stored[content_of(text)]], "layout")
            np.testing.assert_array_equal(row, vectors_of(text)["layout"])

    @invariant()
    def ids_mean_one_content_for_ever(self):
        if not hasattr(self, "catalog"):
            return
        contents = {content_of(text): text for text in set(self.files.values())}
        stored = self.catalog.image_ids(list(contents))
        ids = {contents[content]: image_id for content, image_id in stored.items()}
        gone = set(self.ids.values()) - set(ids.values())
        self.deleted |= gone
        assert not self.deleted & set(ids.values())
        assert self.deleted <= set(self.catalog.deleted_since(0).tolist())
        self.ids = ids


def settings_of(n_examples, n_steps):
    return settings(
        max_examples=n_examples,
        stateful_step_count=n_steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def test_a_few_sequences_of_runs():
    run_state_machine_as_test(CatalogMachine, settings=settings_of(15, 12))


@pytest.mark.slow
def test_many_sequences_of_runs():
    run_state_machine_as_test(CatalogMachine, settings=settings_of(400, 30))
