import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, FileExample, IdExample, PixelsExample, Query
from lookalike.arrays import NO_ID
from lookalike.errors import (
    CollectionLockedError,
    DamagedCollectionError,
    EnvironmentFault,
    ImageError,
    MismatchError,
    ModelError,
    NotACollectionError,
    UsageError,
)
from tests.small_sets import save, write_pictures
from tests.tiny_model import write_tiny_model

N = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, N)
    return folder


@pytest.fixture(scope="module")
def indexed(tmp_path_factory, model, pictures):
    """Folder of a collection of all pictures, which tests only read or copy."""
    path = tmp_path_factory.mktemp("indexed") / "photos.lookalike"
    with Collection.create(path, model=model, descriptors=()) as made:
        made.add(pictures, workers=0)
    return path


@pytest.fixture(scope="module")
def photos(indexed):
    with Collection.open(indexed) as opened:
        yield opened


@pytest.fixture
def own(tmp_path, model):
    """A collection and its pictures that a test may change."""
    write_pictures(tmp_path / "pictures", N)
    with Collection.create(tmp_path / "own.lookalike", model=model, descriptors=()) as made:
        made.add(tmp_path / "pictures", workers=0)
        yield made


def path_of(collection, image_id):
    return os.fsdecode(collection.images([int(image_id)])[0].paths[0])


def id_of(collection, path):
    return collection.catalog.ids_of_paths([os.fsencode(path)])[os.fsencode(path)]


def add_pictures(collection, n, seed=1):
    return write_pictures(collection.path.parent / "pictures" / f"more-{seed}", n, seed)


def update(collection, **options):
    return collection.add(collection.path.parent / "pictures", workers=0, **options)


def index_card(collection, descriptor="content"):
    return json.loads((collection.path / "index" / f"{descriptor}.json").read_text())


def exact_order(collection, image_id, descriptor):
    """Ids by cosine similarity to one of them, slowly and without any index."""
    ids = collection.catalog.ids()
    rows = collection.vectors(ids, descriptor).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similarities = rows @ rows[ids == image_id][0]
    order = sorted(zip(-similarities.round(6), ids.tolist(), strict=True))
    return [other for _, other in order if other != image_id]


# Making and opening


def test_a_new_collection_is_empty_and_opens_again(tmp_path, model):
    path = tmp_path / "new.lookalike"
    with Collection.create(path, model=model) as made:
        assert len(made) == 0
        assert made.path == path
    with Collection.open(path) as opened:
        assert opened.manifest == made.manifest
        assert opened.card.classes == ("red", "green", "blue")


def test_an_empty_folder_becomes_a_collection(tmp_path, model):
    with Collection.open_or_create(tmp_path, model=model) as made:
        assert len(made) == 0
    with Collection.open(tmp_path) as opened:
        assert len(opened) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [("notes.txt", "no empty folder"), ("collection.json", "is a collection already")],
)
def test_nothing_that_is_there_is_made_a_collection(tmp_path, model, content, message):
    (tmp_path / content).write_text("mine")
    with pytest.raises(UsageError, match=message):
        Collection.create(tmp_path, model=model)
    assert [path.name for path in tmp_path.iterdir()] == [content]


def test_a_damaged_model_makes_no_collection(tmp_path, model):
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "network.onnx").write_bytes(b"\0" * (broken / "network.onnx").stat().st_size)
    with pytest.raises(ModelError, match=r"network\.onnx has changed"):
        Collection.create(tmp_path / "new.lookalike", model=broken)
    assert not (tmp_path / "new.lookalike").exists()


def test_a_model_for_another_way_of_decoding_makes_no_collection(tmp_path, model):
    other = shutil.copytree(model, tmp_path / "other")
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps({**card, "preprocess_version": 99}))
    with pytest.raises(MismatchError, match=r"version 99 of decoding.* learn the model again"):
        Collection.create(tmp_path / "new.lookalike", model=other)


def test_a_folder_of_something_else_is_no_collection(pictures, tmp_path, model):
    for path in (pictures, tmp_path / "nowhere", "~no-such-user/photos.lookalike"):
        with pytest.raises(NotACollectionError, match=r"is not a collection.* lookalike index"):
            Collection.open(path)
    with pytest.raises(NotACollectionError, match="is not a collection"):
        Collection.open_or_create(pictures, model=model)


@pytest.mark.parametrize("lost", ["collection.json", "catalog.sqlite"])
def test_a_collection_that_lost_a_part_says_which(indexed, tmp_path, lost):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    (copy / lost).unlink()
    with pytest.raises(DamagedCollectionError, match=f"has lost its {lost}"):
        Collection.open(copy)


def test_a_collection_of_a_later_program_is_not_touched(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    manifest = json.loads((copy / "collection.json").read_text())
    (copy / "collection.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(MismatchError, match=r"format 99.* update Lookalike"):
        Collection.open(copy, writable=True)


def test_another_model_put_into_a_collection_is_noticed(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    shutil.rmtree(copy / "model")
    write_tiny_model(copy / "model", seed=1)
    with pytest.raises(MismatchError, match="its model folder now holds"):
        Collection.open(copy)


def test_a_new_collection_takes_the_model_that_ships(tmp_path, model, monkeypatch):
    monkeypatch.setattr("lookalike.models.FOLDER", Path(model))
    with Collection.create(tmp_path / "a.lookalike") as created:
        assert created.card.name == "tiny"
    with Collection.open_or_create(tmp_path / "b.lookalike") as created:
        assert created.card.name == "tiny"
    # What is there already keeps the model that it has.
    monkeypatch.setattr("lookalike.models.FOLDER", tmp_path / "gone")
    with Collection.open_or_create(tmp_path / "b.lookalike") as opened:
        assert opened.card.name == "tiny"


def test_without_a_model_that_ships_one_must_be_given(tmp_path, monkeypatch):
    monkeypatch.setattr("lookalike.models.FOLDER", tmp_path / "gone")
    with pytest.raises(EnvironmentFault, match=r"none lies in .*gone; give --model MODEL, or make"):
        Collection.open_or_create(tmp_path / "new.lookalike")
    assert not (tmp_path / "new.lookalike").exists()


def test_the_same_model_may_be_named_again_and_another_may_not(tmp_path, model):
    path = tmp_path / "new.lookalike"
    Collection.open_or_create(path, model=model).close()
    Collection.open_or_create(path, model=model).close()
    write_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(MismatchError, match=r"was made with model tiny.*leave --model out"):
        Collection.open_or_create(path, model=tmp_path / "other")
    with pytest.raises(ModelError, match=r"card\.json"):
        Collection.open_or_create(path, model=tmp_path / "nowhere")
    Collection.open(path, writable=True).close()


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, model, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(model, tmp_path / "tiny")
    picture = write_pictures(tmp_path / "pictures", 3)[0]
    for _ in range(2):
        with Collection.open_or_create("~/photos.lookalike", model="~/tiny") as photos:
            photos.add("~/pictures", workers=0)
    with Collection.open("~/photos.lookalike") as photos:
        assert path_of(photos, photos.search("~/pictures/000.png").ids[0, 0]) == str(picture)


def test_one_writes_and_the_others_read(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    with Collection.open(copy, writable=True):
        with pytest.raises(CollectionLockedError, match="locked"):
            Collection.open(copy, writable=True)
        with Collection.open(copy) as reader:
            assert len(reader) == N
    Collection.open(copy, writable=True).close()


def test_closing_twice_does_no_harm_and_errors_close_too(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    with pytest.raises(KeyError), Collection.open(copy, writable=True) as opened:
        raise KeyError
    opened.close()
    Collection.open(copy, writable=True).close()


# Adding


def test_adding_again_changes_nothing(own):
    before = own.catalog.revision
    report = update(own)
    assert (report.indexed, report.unchanged) == (0, N)
    assert own.catalog.revision == before


def test_a_source_that_is_gone_is_named_and_changes_nothing(own):
    with pytest.raises(UsageError, match=r"nowhere: .* give folders or files that exist"):
        own.add(own.path.parent / "nowhere", workers=0)
    assert len(own) == N


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "tree"}, "no index of kind 'tree'; choose auto, exact, pq, clusters"),
        ({"recall_target": 1.5}, "recall target must lie between 0 and 1, not 1.5"),
        ({"recall_target": float("nan")}, "recall target must lie between 0 and 1"),
        ({"seconds_per_file": 0.0}, "some time"),
    ],
)
def test_senseless_options_are_refused_before_any_work(tmp_path, model, pictures, options, message):
    with Collection.create(tmp_path / "new.lookalike", model=model) as made:
        with pytest.raises(UsageError, match=message):
            made.add(pictures, workers=0, **options)
        assert len(made) == 0


def test_an_empty_source_is_not_the_folder_one_is_in(own):
    with pytest.raises(UsageError, match="an empty source names nothing"):
        own.add("", workers=0)


def test_adding_to_what_was_opened_for_reading_is_refused(photos, pictures):
    with pytest.raises(UsageError, match="reading"):
        photos.add(pictures, workers=0)


# Searching


def test_an_image_of_the_collection_finds_the_others_in_the_exact_order(photos):
    for descriptor in ("content", "layout"):
        query = Query((IdExample(7),), weights={descriptor: 1})
        hits = photos.search(query, k=N)
        assert hits.ids.shape == (1, N)
        assert hits.ids[0, :-1].tolist() == exact_order(photos, 7, descriptor)
        assert hits.ids[0, -1] == NO_ID
        assert hits.is_exact


def test_a_file_finds_itself_first(photos, pictures):
    for path in sorted(pictures.iterdir())[::9]:
        hits = photos.search(path, k=3)
        assert path_of(photos, hits.ids[0, 0]) == str(path)
        assert hits.scores[0, 0] > hits.scores[0, 1]


def test_pixels_find_what_their_file_finds(photos, pictures):
    path = pictures / "011.png"
    pixels = photos.read(path)
    by_pixels = photos.search(Query((PixelsExample.of(pixels),)), k=8)
    by_file = photos.search(path, k=8)
    assert by_pixels.ids.tolist() == by_file.ids.tolist()
    np.testing.assert_allclose(by_pixels.scores, by_file.scores, rtol=1e-5)


def test_an_id_out_of_hits_is_an_id(photos):
    first = photos.search(3, k=1).ids[0, 0]
    assert isinstance(first, np.int64)
    assert photos.search(first, k=5).ids.tolist() == photos.search(int(first), k=5).ids.tolist()


def test_several_examples_are_all_left_out_and_all_count(photos):
    both = photos.search(Query((IdExample(1), IdExample(2))), k=N)
    assert not {1, 2} & set(both.ids[0].tolist())
    assert both.ids.tolist() != photos.search(1, k=N).ids.tolist()
    swapped = photos.search(Query((IdExample(2), IdExample(1))), k=N)
    assert both.ids.tolist() == swapped.ids.tolist()


def test_what_is_disliked_falls(photos):
    plain = photos.search(1, k=N)
    disliked = int(plain.ids[0, 0])
    like_it = next(i for i in photos.search(disliked, k=5).ids[0].tolist() if i != 1)
    steered = photos.search(Query((IdExample(1),), (IdExample(disliked),)), k=N)
    assert disliked not in steered.ids
    scores = [dict(zip(h.ids[0].tolist(), h.scores[0], strict=True)) for h in (plain, steered)]
    assert scores[1][like_it] < scores[0][like_it]


def test_weights_choose_and_mix_descriptors(photos):
    def scores(**weights):
        hits = photos.search(Query((IdExample(5),), weights=weights), k=N - 1)
        order = np.argsort(hits.ids[0])
        return set(hits.parts), hits.scores[0, order]

    names, content = scores(content=1)
    assert names == {"content"}
    _, layout = scores(layout=2)
    names, mixed = scores(content=1, layout=3)
    assert names == {"content", "layout"}
    np.testing.assert_allclose(mixed, (content + 3 * layout) / 4)
    assert scores(content=1, layout=0)[0] == {"content"}


@pytest.mark.parametrize(
    ("query", "k", "error", "message"),
    [
        (4711, 5, UsageError, "no image with id 4711"),
        (10**30, 5, UsageError, "no image with id 1000"),
        (1, 0, UsageError, "must be 1 or more, not 0"),
        (Query((IdExample(1),), weights={"smell": 1}), 5, UsageError, "'smell'.*content, layout"),
        (Query((IdExample(1),), order="list"), 5, UsageError, "give one of them a weight"),
        (Query((IdExample(1),), weights={"content": 1}, order="list"), 5, UsageError, "clusters"),
        ("nowhere.jpg", 5, ImageError, "nowhere.jpg: "),
        (Query((FileExample("nowhere.jpg"),)), 5, ImageError, "nowhere.jpg: "),
    ],
)
def test_questions_that_make_no_sense_are_refused(photos, query, k, error, message):
    with pytest.raises(error, match=message):
        photos.search(query, k)


def test_a_file_that_is_no_picture_is_named(photos, tmp_path):
    (tmp_path / "notes.jpg").write_text("milk, bread")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    with pytest.raises(ImageError, match=r"notes\.jpg: not an image"):
        photos.search(tmp_path / "notes.jpg")
    with pytest.raises(ImageError, match=r"loop\.jpg: "):
        photos.search(tmp_path / "loop.jpg")
    with pytest.raises(ImageError, match=r"~no-such-user/a\.jpg: no such file"):
        photos.search("~no-such-user/a.jpg")


def test_a_link_that_a_person_names_is_followed(photos, pictures, tmp_path):
    (tmp_path / "link.png").symlink_to(pictures / "004.png")
    hits = photos.search(tmp_path / "link.png", k=1)
    assert path_of(photos, hits.ids[0, 0]) == str(pictures / "004.png")


def test_an_empty_collection_cannot_be_searched(tmp_path, model, pictures):
    with Collection.create(tmp_path / "new.lookalike", model=model) as made:
        for _ in range(2):
            with pytest.raises(UsageError, match=r"has no images yet; .* lookalike index"):
                made.search(pictures / "000.png")
            (tmp_path / "empty").mkdir(exist_ok=True)
            made.add(tmp_path / "empty", workers=0)


def test_alone_in_a_collection_an_image_finds_nothing(tmp_path, model):
    path = write_pictures(tmp_path / "pictures", 1)[0]
    with Collection.create(tmp_path / "new.lookalike", model=model) as made:
        made.add(path, workers=0)
        [image_id] = made.catalog.ids()
        assert made.search(int(image_id)).ids.tolist() == [[NO_ID]]
        assert made.search(path).ids.tolist() == [[image_id]]


def test_equal_pictures_are_ordered_by_id_each_time(own):
    folder = own.path.parent / "pictures"
    pixels = own.read(folder / "000.png")
    twins = [save(folder / f"twin-{number}.png", pixels, str(number)) for number in (3, 1, 2)]
    update(own)
    expected = sorted([id_of(own, path) for path in (folder / "000.png", *twins)])
    answers = [own.search(folder / "000.png", k=9) for _ in range(3)]
    with Collection.open(own.path) as again:
        answers.append(again.search(folder / "000.png", k=9))
    assert answers[0].ids[0, :4].tolist() == expected
    assert len(set(answers[0].scores[0, :4].tolist())) == 1
    for answer in answers:
        assert answer.ids.tobytes() == answers[0].ids.tobytes()
        assert answer.scores.tobytes() == answers[0].scores.tobytes()


# What comes and goes after the index was built


def test_new_images_are_found_at_once_and_no_index_is_built(own):
    built = index_card(own)
    new = add_pictures(own, 3)
    assert update(own).indexed == 3
    assert index_card(own) == built
    for path in new:
        hits = own.search(path, k=5)
        assert path_of(own, hits.ids[0, 0]) == str(path)
        others = own.search(id_of(own, path), k=N + 2)
        ranked = own.search(
            Query((IdExample(id_of(own, path)),), weights={"content": 1}), k=N + 2
        ).ids[0]
        assert ranked.tolist() == exact_order(own, id_of(own, path), "content")
        assert NO_ID not in others.ids


def test_what_was_deleted_is_found_no_more(own):
    built = index_card(own)
    gone = [own.path.parent / "pictures" / f"00{number}.png" for number in (1, 2, 3)]
    ids = {id_of(own, path) for path in gone}
    for path in gone:
        path.unlink()
    assert update(own).removed == 3
    assert index_card(own) == built
    hits = own.search(5, k=N)
    assert not ids & set(hits.ids[0].tolist())
    assert (hits.ids[0] != NO_ID).sum() == N - 3 - 1
    assert own.status()["indexes"][0]["deleted"] == 3
    with pytest.raises(UsageError, match="no image"):
        own.search(min(ids))


def test_the_index_is_built_again_when_a_tenth_has_come_or_gone(own):
    add_pictures(own, 4, seed=1)
    update(own)
    assert index_card(own)["facts"]["n"] == N
    (own.path.parent / "pictures" / "000.png").unlink()
    update(own)
    assert index_card(own)["facts"]["n"] == N + 3
    assert own.status()["indexes"][0]["newer"] == 0


def search_all(collection):
    """Everything that searches for every image find, ids and scores."""
    hits = [collection.search(int(image_id), k=N) for image_id in collection.catalog.ids()]
    return [(one.ids.tolist(), one.scores.round(3).tolist()) for one in hits]


def damage(collection, how):
    folder = collection.path / "index"
    rows = [path for path in folder.iterdir() if path.name.endswith(".rows.npy")]
    if how == "deleted":
        shutil.rmtree(folder)
    elif how == "truncated":
        for path in rows:
            os.truncate(path, path.stat().st_size - 1)
    elif how == "rows missing":
        for path in rows:
            path.unlink()
    elif how == "card overwritten":
        (folder / "content.json").write_text("{")
    elif how == "of another model":
        card = json.loads((folder / "layout.json").read_text())
        (folder / "layout.json").write_text(json.dumps({**card, "model": "other-1"}))


@pytest.mark.parametrize(
    "how", ["deleted", "truncated", "rows missing", "card overwritten", "of another model"]
)
def test_a_damaged_index_is_done_without_and_built_again(indexed, tmp_path, pictures, how):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    with Collection.open(copy, writable=True) as opened:
        expected = search_all(opened)
    damage(opened, how)
    with Collection.open(copy, writable=True) as opened:
        assert search_all(opened) == expected
        opened.add(pictures, workers=0)
        assert {index_card(opened, name)["model"] for name in ("content", "layout")} == {
            opened.card.id
        }
        assert [index["n"] for index in opened.status()["indexes"]] == [N, N]
        assert search_all(opened) == expected


def test_a_reader_sees_what_a_writer_stores(own):
    with Collection.open(own.path) as reader:
        assert reader.search(1, k=3).ids.tolist() == own.search(1, k=3).ids.tolist()
        [new] = add_pictures(own, 1)
        update(own)
        assert len(reader) == N + 1
        assert path_of(reader, reader.search(new, k=1).ids[0, 0]) == str(new)
        add_pictures(own, 10, seed=2)
        update(own)  # builds the index again while the reader has the old one open
        assert index_card(own)["facts"]["n"] == N + 11
        assert reader.search(new, k=9).ids.tolist() == own.search(new, k=9).ids.tolist()
        assert reader.status()["images"] == N + 11


# Kinds of index


@pytest.mark.parametrize("kind", ["clusters", "pq", "hamming"])
def test_other_kinds_of_index_are_tuned_and_say_what_they_find(own, kind):
    exact = search_all(own)
    update(own, kind=kind, recall_target=0.9)
    for state in own.status()["indexes"]:
        assert state["kind"] == kind
        assert state["recall_target"] == 0.9
        assert 0.9 <= state["measured_recall"] <= 1
        assert (state["n_clusters"] > 1) == (state["members"] > 0) == (kind == "clusters")
    found = search_all(own)
    shared = [len({*a[0][0][:10]} & {*b[0][0][:10]}) for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) >= 9
    new = add_pictures(own, 1)[0]
    update(own, recall_target=0.9)  # of whatever kind: it stays as it is
    assert own.status()["indexes"][0]["kind"] == kind
    assert path_of(own, own.search(new, k=1).ids[0, 0]) == str(new)


def test_clusters_can_be_walked_as_published(own):
    update(own, kind="clusters")
    query = Query((IdExample(4),), weights={"content": 1}, order="list")
    hits = own.search(query, k=12)
    assert not hits.is_ranked
    assert hits.probed_clusters is not None
    assert hits.probed_clusters[0] >= 1
    found = hits.ids[0].tolist()
    assert len(set(found)) == 12
    assert not {4, NO_ID} & set(found)
    assert own.search(query, k=12).ids[0].tolist() == found


def test_a_kind_can_be_changed_back(own):
    update(own, kind="clusters")
    update(own, kind="exact")
    assert own.status()["indexes"][0]["kind"] == "exact"


# What it tells


def test_status_tells_what_is_there(own):
    (own.path.parent / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (own.path.parent / "pictures" / "link.png").symlink_to("000.png")
    update(own)
    told = own.status()
    assert told["path"] == str(own.path)
    assert told["model"] == own.card.id
    assert (told["format"], told["classes"], told["images"]) == (1, 3, N)
    assert told["files"] == {"indexed": N, "failed": 1, "skipped": 1}
    assert told["folders"] == [str(own.path.parent / "pictures")]
    assert told["descriptors"] == {"content": 48, "layout": 48}
    assert told["revision"] == own.catalog.revision > 0
    assert told["bytes"] >= sum(p.stat().st_size for p in (own.path / "index").iterdir())
    assert [index["descriptor"] for index in told["indexes"]] == ["content", "layout"]
    for index in told["indexes"]:
        assert (index["kind"], index["n"], index["newer"], index["deleted"]) == ("exact", N, 0, 0)
    json.dumps(told, allow_nan=False)


def test_images_and_vectors_come_in_the_order_asked_for(photos):
    assert [record.id for record in photos.images([9, 2, 9])] == [9, 2, 9]
    rows = photos.vectors([9, 2], "content")
    np.testing.assert_array_equal(rows[1], photos.vectors([2], "content")[0])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_pictures_come_in_their_proportions_and_are_never_enlarged(own):
    wide = np.full((300, 600, 3), 200, np.uint8)
    path = save(own.path.parent / "pictures" / "wide.png", wide)
    thin = save(own.path.parent / "pictures" / "thin.png", wide[:1])
    update(own)
    assert own.picture(id_of(own, path)).shape == (128, 256, 3)
    assert own.read(path, 60).shape == (30, 60, 3)
    assert own.read(path, 5000).shape == (300, 600, 3)
    assert own.read(thin).shape == (1, 256, 3)
    assert (own.picture(id_of(own, path)) == 200).all()


def test_a_picture_is_read_from_whichever_of_its_files_is_left(own):
    folder = own.path.parent / "pictures"
    shutil.copyfile(folder / "000.png", folder / "copy.png")
    update(own)
    image_id = id_of(own, folder / "000.png")
    expected = own.picture(image_id)
    for first, second in (("000.png", "copy.png"), ("copy.png", "000.png")):
        (folder / first).rename(folder / "away")
        np.testing.assert_array_equal(own.picture(image_id), expected)
        (folder / "away").rename(folder / first)
        assert (folder / second).exists()
    for name in ("000.png", "copy.png"):
        (folder / name).unlink()
    with pytest.raises(ImageError, match=r"(000|copy)\.png: "):
        own.picture(image_id)


def test_a_model_without_layout_makes_a_collection_without(tmp_path, pictures):
    write_tiny_model(tmp_path / "plain", has_layout=False)
    with Collection.create(
        tmp_path / "plain.lookalike", model=tmp_path / "plain", descriptors=()
    ) as made:
        made.add(pictures, workers=0)
        assert set(made.search(1, k=2).parts) == {"content"}
        with pytest.raises(UsageError, match=r"'layout'.* it has: content"):
            made.search(Query((IdExample(1),), weights={"layout": 1}))
