import json
from pathlib import Path

import pytest

from lookalike.errors import (
    CollectionLockedError,
    DamagedCollectionError,
    EnvironmentFault,
    MismatchError,
    ModelError,
    NotACollectionError,
    UsageError,
)
from lookalike.model_folder import CARD, NETWORK, ModelCard, read_card, write_card
from lookalike.storage.catalog import Catalog
from lookalike.storage.folder import (
    DescriptorSpec,
    check_model,
    checksum_of_model,
    create_folder,
    open_folder,
)
from lookalike.storage.lock import LOCK, WriterLock
from tests.killing import failpoints_of, kill_at
from tests.storage.permissions import forbid_writing, ordinary_user, public_folder
from tests.storage.stored import DESCRIPTORS

SPECS = {name: DescriptorSpec(1, dim) for name, dim in DESCRIPTORS.items()}


@pytest.fixture
def model(tmp_path):
    """A folder with a card and files, which is all that storage knows of a model."""
    return write_model(tmp_path / "model")


def write_model(folder, network=b"network"):
    folder.mkdir()
    (folder / NETWORK).write_bytes(network)
    write_card(folder, ModelCard("m", ("a",), (0,), ((0, 0, 0), (1, 1, 1)), 32, 8, 6, 4, False, 3))
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_collection_has_all_its_parts_and_says_what_it_is(tmp_path, model):
    path = tmp_path / "a" / "photos.lookalike"
    create_folder(path, model, SPECS)
    assert names(path) == ["catalog.sqlite", "collection.json", "model", LOCK]
    assert names(path / "model") == names(model)
    folder, manifest = open_folder(path)
    assert manifest.model == read_card(model).id
    assert manifest.descriptors == SPECS
    assert manifest.preprocess_version == 3
    assert manifest.model_checksum == checksum_of_model(model)
    check_model(folder, manifest)
    with Catalog.open(folder.catalog) as catalog:
        assert catalog.descriptors == DESCRIPTORS
    assert names(tmp_path / "a") == ["photos.lookalike"]


def test_an_empty_folder_may_become_a_collection(tmp_path, model):
    (tmp_path / "c").mkdir()
    create_folder(tmp_path / "c", model, SPECS)
    open_folder(tmp_path / "c")


def test_a_creation_killed_anywhere_leaves_nothing_half_made(tmp_path, model):
    passed = failpoints_of(lambda: create_folder(tmp_path / "x", model, SPECS), tmp_path / "log")
    assert {"storage.folder.begin:1", "atomic.synced:1", "storage.folder.end:1"} <= set(passed)
    for number, name in enumerate(passed):
        path = tmp_path / f"c{number}"
        kill_at(name, lambda path=path: create_folder(path, model, SPECS))
        if path.exists():
            open_folder(path)
        else:
            create_folder(path, model, SPECS)
            assert names(path) == names(tmp_path / "x"), name
    expected = {"log", "model", "x"} | {f"c{number}" for number in range(len(passed))}
    assert set(names(tmp_path)) == expected


def test_what_is_there_already_is_not_overwritten(tmp_path, model):
    create_folder(tmp_path / "c", model, SPECS)
    with pytest.raises(UsageError, match="/c is a collection already; open it"):
        create_folder(tmp_path / "c", model, SPECS)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "letter").touch()
    for name in ("d", "d/letter"):
        with pytest.raises(UsageError, match=f"{name} exists already and is no empty folder"):
            create_folder(tmp_path / name, model, SPECS)


def test_two_cannot_make_the_same_collection_at_once(tmp_path, model):
    (tmp_path / ".c.partial").mkdir()
    with WriterLock(tmp_path / ".c.partial"), pytest.raises(CollectionLockedError):
        create_folder(tmp_path / "c", model, SPECS)
    create_folder(tmp_path / "c", model, SPECS)


def test_a_collection_is_not_made_of_a_damaged_model(tmp_path, model):
    (model / NETWORK).write_bytes(b"other")
    with pytest.raises(ModelError, match="has changed since the model was made"):
        create_folder(tmp_path / "c", model, SPECS)
    with pytest.raises(ModelError, match="is not a model folder"):
        create_folder(tmp_path / "c", tmp_path, SPECS)
    assert not (tmp_path / "c").exists()


def test_a_card_that_lists_files_elsewhere_is_refused(tmp_path, model):
    card = json.loads((model / CARD).read_text())
    card["files"]["../secret"] = "0" * 64
    (model / CARD).write_text(json.dumps(card))
    (tmp_path / "secret").touch()
    with pytest.raises(ModelError, match=r"lists a file outside of it: '../secret'"):
        create_folder(tmp_path / "c", model, SPECS)


def test_what_is_no_collection_is_told_with_the_command_that_makes_one(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotACollectionError, match=f"make one with: lookalike index {path} SOU"):
            open_folder(path)


def test_lost_parts_are_damage(tmp_path, model):
    for name in ("collection.json", "catalog.sqlite"):
        path = tmp_path / f"without {name}"
        create_folder(path, model, SPECS)
        (path / name).unlink()
        with pytest.raises(DamagedCollectionError, match=f"has lost its {name}"):
            open_folder(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "model": 3'])
def test_an_unreadable_manifest_is_damage(tmp_path, model, text):
    create_folder(tmp_path / "c", model, SPECS)
    (tmp_path / "c" / "collection.json").write_text(text)
    with pytest.raises(DamagedCollectionError, match=r"collection.json cannot be read"):
        open_folder(tmp_path / "c")


def test_another_format_is_refused_with_what_to_do(tmp_path, model):
    create_folder(tmp_path / "c", model, SPECS)
    (tmp_path / "c" / "collection.json").write_text('{"format": 9}')
    with pytest.raises(MismatchError, match="has collection format 9, this program reads 1; updat"):
        open_folder(tmp_path / "c")


def test_another_model_in_the_folder_is_noticed(tmp_path, model):
    folder = create_folder(tmp_path / "c", model, SPECS)
    _, manifest = open_folder(tmp_path / "c")
    other = write_model(tmp_path / "other", b"another network")
    for path in other.iterdir():
        path.replace(folder.model / path.name)
    message = f"was built with model {manifest.model}, its model folder now holds m@"
    with pytest.raises(MismatchError, match=message):
        check_model(folder, manifest)


def test_a_folder_without_permission_is_a_fault_of_the_environment(model):
    with public_folder() as folder:
        forbid_writing(folder)
        with ordinary_user(), pytest.raises(EnvironmentFault, match="/c could not be made: Permis"):
            create_folder(folder / "c", Path("/model"), SPECS)


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path, model):
    folder = create_folder(tmp_path / "c", model, SPECS)
    folder.index.mkdir()
    left = [
        folder.path / ".collection.json.1.partial",
        folder.index / ".content.faiss.2.partial",
        folder.index / "content-00000001.rows.npy",
        folder.index / "layout-00000002.rows.npy",
    ]
    kept = [folder.index / "content-00000002.rows.npy", folder.index / "notes.txt"]
    for path in (*left, *kept):
        path.touch()
    card = {"files": {"content-00000002.rows.npy": {"sha256": ""}}}
    (folder.index / "content.json").write_text(json.dumps(card))
    assert folder.leftovers() == left
    assert folder.sweep() == left
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)
