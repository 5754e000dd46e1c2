"""Groups of near-duplicates over planted hashes and embeddings; pictures come in
tests/test_deduplicating.py."""

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.errors import UsageError
from lookalike.images.perceptual_hash import Fingerprint, mirrored
from lookalike.index.exact import exact_index
from lookalike.search.duplicate_chains import Chains
from lookalike.search.duplicates import DuplicateFinder, DuplicateOptions
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Batch
from tests.storage.stored import content_of, file_of, image_of

DIM = 24
N_OTHERS = 60


class Planted:
    """A catalog under construction: pictures by name, each with bits and a direction."""

    def __init__(self, path):
        self.catalog = Catalog.create(path, {"content": DIM})
        self._rng = np.random.default_rng(0)
        self._images = {}
        for number in range(N_OTHERS):
            self.add(f"other {number}")

    def random_bits(self):
        return self._rng.integers(0, 2, 128, np.uint8)

    def add(self, name, bits=None, like=None, contrast=50.0, **facts):
        """Plant a picture; `like` is another one whose embedding it nearly has."""
        bits = self.random_bits() if bits is None else bits
        vector = self._rng.standard_normal(DIM)
        if like is not None:
            vector = self._images[like].embeddings["content"] + 0.02 * vector
        print_ = Fingerprint(np.packbits(bits).tobytes(), contrast, facts.pop("sharpness", 1.0))
        embeddings = {"content": vector.astype(np.float32)}
        image = image_of(name, embeddings=embeddings, fingerprint=print_, **facts)
        self._images[name] = image
        return bits

    def add_copies(self, *names, apart=5, **facts):
        """Plant pictures, each of which differs from the one before in other `apart` bits."""
        bits = self.add(names[0], **facts)
        for step, name in enumerate(names[1:]):
            bits = bits.copy()
            bits[step * apart : (step + 1) * apart] ^= 1
            self.add(name, bits, like=names[0], **facts)

    def finder(self, **options):
        run = self.catalog.begin_run()
        files = tuple(file_of(f"/photos/{name}", name) for name in self._images)
        self.catalog.commit(Batch(tuple(self._images.values()), files), run=run)
        ids = self.catalog.ids()
        content = exact_index(ids, normalize(self.catalog.vectors(ids, "content")))
        return DuplicateFinder(self.catalog.duplicates, content, DuplicateOptions(**options))

    def ids(self, *names):
        known = self.catalog.image_ids([content_of(name) for name in names])
        return [known[content_of(name)] for name in names]

    def named(self, group):
        paths = [record.paths[0] for record in self.catalog.images(group.ids)]
        return [path.decode().removeprefix("/photos/") for path in paths]

    def decide(self, verdict, *names):
        self.catalog.duplicates.decide(verdict, [content_of(name) for name in names])


@pytest.fixture
def planted(tmp_path):
    made = Planted(tmp_path / "catalog.sqlite")
    yield made
    made.catalog.close()


def test_copies_are_grouped_and_others_are_not(planted):
    planted.add_copies("a", "b", "c")
    planted.add_copies("d", "e")
    groups = planted.finder().groups()
    assert [sorted(planted.named(group)) for group in groups] == [["a", "b", "c"], ["d", "e"]]
    assert {copy.bits for copy in groups[1].copies} == {5}
    assert all(copy.score > 2 for group in groups for copy in group.copies)
    assert all(len(group.removable) == len(group.copies) for group in groups)


def test_a_near_hash_of_another_content_is_no_copy(planted):
    bits = planted.add("a")
    planted.add("b", bits)
    assert planted.finder().groups() == []
    assert len(planted.finder(min_score=0).groups()) == 1


def test_the_threshold_counts_bits(planted):
    planted.add_copies("a", "b", apart=12)
    assert planted.finder(threshold=11).groups() == []
    assert len(planted.finder(threshold=12).groups()) == 1


def test_a_chain_does_not_swallow_what_is_far_from_the_picture_to_keep(planted):
    names = [f"link {number}" for number in range(7)]
    planted.add_copies(*names, apart=15)
    groups = planted.finder(threshold=20).groups()
    assert len(groups) == 3
    for group in groups:
        keep, *others = (names.index(name) for name in planted.named(group))
        assert all(abs(other - keep) == 1 for other in others)
    assert len({name for group in groups for name in planted.named(group)}) in (6, 7)


def test_the_best_copy_leads(planted):
    bits = planted.add("small", width=40, height=30)
    for name, facts in {
        "large": {"width": 80, "height": 60, "n_bytes": 5},
        "large and more bytes": {"width": 80, "height": 60, "n_bytes": 900},
        "large, lossy": {"width": 80, "height": 60, "n_bytes": 900, "format": "JPEG"},
    }.items():
        planted.add(name, bits, like="small", **facts)
    [group] = planted.finder().groups()
    assert planted.named(group) == ["large and more bytes", "large, lossy", "large", "small"]
    assert group.reason == "better format"


def test_sharpness_decides_between_equals(planted):
    bits = planted.add("soft", n_bytes=9)
    planted.add("sharp", bits, like="soft", n_bytes=9, sharpness=2.0)
    [group] = planted.finder().groups()
    assert (planted.named(group), group.reason) == (["sharp", "soft"], "sharper")


def test_mirrored_pictures_are_a_group_of_their_own_of_which_nothing_is_to_go(planted):
    bits = planted.add("a", n_bytes=9)
    planted.add("b", bits, like="a", n_bytes=8)
    turned = np.unpackbits(mirrored(np.packbits(bits)[None])[0])
    for name, n_bytes in (("c", 7), ("d", 6)):
        planted.add(name, turned, like="a", n_bytes=n_bytes)
    found = {(g.kind, *planted.named(g)): g for g in planted.finder().groups()}
    assert found.keys() == {("copies", "a", "b"), ("copies", "c", "d"), ("mirrored", "a", "c")}
    assert found["mirrored", "a", "c"].removable == ()
    assert found["mirrored", "a", "c"].copies[0].bits == 0


def test_plain_pictures_are_left_out_unless_they_are_said_to_be_the_same(planted):
    bits = planted.add("sky", contrast=1.0)
    planted.add("wall", bits, like="sky", contrast=1.0)
    assert planted.finder().groups() == []
    planted.decide("same", "sky", "wall")
    assert len(planted.finder().groups()) == 1


def test_many_copies_do_not_make_copies_common(planted):
    for number in range(12):
        planted.add_copies(*(f"{number}/{copy}" for copy in range(12)), apart=1)
    assert [len(group.copies) for group in planted.finder().groups()] == [11] * 12


def test_what_is_decided_counts_more_than_what_is_measured(planted):
    planted.add_copies("a", "b", "c")
    planted.add("far")
    planted.decide("same", "a", "far")
    planted.decide("different", "a", "b")
    planted.decide("keep", "c")
    groups = planted.finder().groups()
    assert [planted.named(group)[0] for group in groups] == ["c"]
    assert groups[0].reason == "kept by decision"
    named = planted.named(groups[0])
    assert len({"a", "b"} & set(named)) == 1
    planted.decide("different", "c", "a")
    planted.decide("different", "c", "b")
    groups = planted.finder().groups()
    assert [planted.named(group) for group in groups] == [["a", "far"]] or [
        planted.named(group) for group in groups
    ] == [["far", "a"]]
    assert groups[0].copies[0].is_decided
    planted.decide("forget", "a", "b", "c", "far")
    assert [len(group.copies) for group in planted.finder().groups()] == [2]


def test_two_that_are_both_to_be_kept_stay_both(planted):
    planted.add_copies("a", "b", "c")
    planted.decide("keep", "a")
    planted.decide("keep", "b")
    [group] = planted.finder().groups()
    assert group.removable == tuple(planted.ids("c"))


def test_what_is_said_to_be_the_same_goes_through_others(planted):
    for name in ("a", "b", "c"):
        planted.add(name)
    planted.decide("same", "a", "b")
    planted.decide("same", "b", "c")
    [group] = planted.finder().groups()
    assert sorted(planted.named(group)) == ["a", "b", "c"]


def test_hits_are_represented_by_the_first_of_their_copies(planted):
    planted.add_copies("a", "b", "c")
    planted.add("d")
    finder = planted.finder()
    a, b, c, d = planted.ids("a", "b", "c", "d")
    given = np.array([d, b, a, c, b, 10**9])
    assert finder.representatives(given).tolist() == [d, b, b, b, b, 10**9]
    planted.decide("different", "b", "a")
    assert finder.representatives(given).tolist() == [d, b, a, b, b, 10**9]
    assert finder.representatives(np.array([], np.int64)).tolist() == []


def test_an_empty_collection_has_no_groups(tmp_path):
    with Catalog.create(tmp_path / "empty.sqlite", {"content": DIM}) as catalog:
        content = exact_index(np.empty(0, np.int64), np.empty((0, DIM), np.float32))
        assert DuplicateFinder(catalog.duplicates, content).groups() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 24}, "0 to 23 of 128 bits, not in 24"),
        ({"threshold": -1}, "not in -1"),
        ({"min_score": -0.5}, "least score must be 0 or more, not -0.5"),
        ({"min_score": float("nan")}, "least score must be 0 or more, not nan"),
    ],
)
def test_options_without_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        DuplicateOptions(**options)


def test_chains_are_those_of_a_graph():
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 200, (2, 120))
    chains = Chains(200)
    for start in range(0, 120, 7):
        chains.join((pairs[0, start : start + 7], pairs[1, start : start + 7]))
    found = {tuple(chain.tolist()) for chain in chains.of_two_or_more()}
    neighbors = {n: {n} for n in range(200)}
    for _ in range(200):
        for a, b in pairs.T.tolist():
            neighbors[a] |= neighbors[b]
            neighbors[b] |= neighbors[a]
    assert found == {tuple(sorted(group)) for group in neighbors.values() if len(group) > 1}
