import pytest
import torch
from small_runs import box_maps

from lookalike.arrays import VOID
from lookalike.learning.corruption import (
    corrupt,
    drop_objects,
    drop_units,
    mask_blocks,
    random_objects,
    salt_and_pepper,
    shift_objects,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def two_squares():
    """One class twice, apart; another one touches the first by a corner only."""
    label_map = torch.zeros(1, 16, 16, dtype=torch.uint8)
    label_map[0, 1:4, 1:4] = 2
    label_map[0, 10:14, 10:14] = 2
    label_map[0, 4:6, 4:6] = 3
    return label_map


def test_objects_are_what_hangs_together_in_a_class():
    maps = two_squares().expand(300, -1, -1).contiguous()
    objects = random_objects(maps, generator())
    third = two_squares()[0] == 3
    first, second = torch.zeros_like(third), torch.zeros_like(third)
    first[1:4, 1:4], second[10:14, 10:14] = True, True
    counts = [sum(torch.equal(o, k) for o in objects) for k in (third, first, second)]
    assert sum(counts) == 300
    assert counts[0] < counts[1] < counts[2]  # in proportion to their sizes: 4, 9, 16


def test_maps_without_objects_have_none():
    empty = torch.zeros(2, 16, 16, dtype=torch.uint8)
    empty[1] = VOID
    assert not random_objects(empty, generator()).any()
    assert torch.equal(drop_objects(empty, 1.0, generator()), empty)
    assert torch.equal(shift_objects(empty, 1.0, generator()), empty)


def test_a_dropped_object_leaves_background():
    maps = two_squares()
    dropped = drop_objects(maps, 1.0, generator())
    changed = dropped != maps
    assert int(changed.sum()) in (4, 9, 16)
    assert not dropped[changed].any()


def test_a_shifted_object_keeps_its_shape_and_class():
    maps = torch.zeros(200, 16, 16, dtype=torch.uint8)
    maps[:, 6:9, 6:10] = 5
    shifted = shift_objects(maps, 1.0, generator())
    assert ((shifted == 5).sum(dim=(1, 2)) == 12).all()
    rows = (shifted == 5).any(dim=2).int().argmax(dim=1)
    columns = (shifted == 5).any(dim=1).int().argmax(dim=1)
    assert set(rows.tolist()) == set(columns.tolist()) == {4, 5, 6, 7, 8}


def test_what_is_shifted_out_of_the_map_is_lost():
    maps = torch.zeros(100, 16, 16, dtype=torch.uint8)
    maps[:, :3, :3] = 1
    counts = (shift_objects(maps, 1.0, generator()) == 1).sum(dim=(1, 2))
    assert counts.min() == 1
    assert counts.max() == 9


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_shares_are_those_asked_for(share):
    maps = torch.ones(400, 16, 16, dtype=torch.uint8)
    masked = mask_blocks(maps, share, generator()) == VOID
    assert float(masked.float().mean()) == pytest.approx(share, abs=0.02)
    blocks = masked.view(400, 8, 2, 8, 2)
    assert torch.equal(blocks.any(dim=4).any(dim=2), blocks.all(dim=4).all(dim=2))
    peppered = salt_and_pepper(maps, share, 4, generator())
    assert float((peppered != 1).float().mean()) == pytest.approx(share * 3 / 4, abs=0.02)
    assert set(peppered.unique().tolist()) == {0, 1, 2, 3}
    dropped = drop_units(torch.ones(100, 200), share, generator())
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.02)


def test_nothing_is_corrupted_without_a_share_and_the_maps_stay_as_they_are():
    maps = box_maps(10)
    kept = maps.clone()
    assert torch.equal(corrupt(maps, 0.0, 4, generator()), maps)
    assert (corrupt(maps, 0.5, 4, generator()) != maps).any()
    assert torch.equal(maps, kept)


def test_equal_generators_corrupt_alike():
    maps = box_maps(10)
    first, second, other = (corrupt(maps, 0.3, 4, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
