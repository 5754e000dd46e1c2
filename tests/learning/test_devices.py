import torch

from lookalike.learning.devices import seeded


def test_convolutions_stay_fast_and_repeatable_while_a_seed_is_set():
    before = (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic)
    with seeded(3):
        assert torch.backends.cudnn.enabled
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic) == before


def test_the_same_seed_draws_the_same_and_the_caller_goes_on_as_before():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(3) as generator:
        first = torch.rand(2), torch.rand(2, generator=generator)
    with seeded(3) as generator:
        second = torch.rand(2), torch.rand(2, generator=generator)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert torch.equal(torch.rand(2), expected)
