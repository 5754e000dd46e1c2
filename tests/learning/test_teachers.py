import numpy as np
import pytest
import torch
from foreign_files import SIDE, write_segmenter, write_teacher

from lookalike.errors import UsageError
from lookalike.learning.colors import N_BINS, color_histogram
from lookalike.learning.devices import Device
from lookalike.learning.teachers import Target, describe, open_teacher, similarity_loss

CPU = Device("cpu", has_bfloat16=False)
TEMPERATURE = 0.1


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


def unit(shape, generator):
    return torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=1)


def slow_similarity_loss(content, target):
    """Kullback–Leibler divergence of each picture's neighbors, one sum after the other."""
    n, total = len(content), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        wanted = np.array([float(target[i] @ target[j]) for j in others]) / TEMPERATURE
        found = np.array([float(content[i] @ content[j]) for j in others]) / TEMPERATURE
        p, q = (np.exp(x) / np.exp(x).sum() for x in (wanted, found))
        total += sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))
    return total / n


@pytest.mark.parametrize("n", [2, 3, 7])
def test_similarities_are_compared_as_a_slow_sum_does(n, generator):
    content, target = unit((n, 5), generator), unit((n, 9), generator)
    expected = slow_similarity_loss(content, target)
    assert float(similarity_loss(content, target)) == pytest.approx(expected, abs=1e-5)


def test_equal_similarities_cost_nothing_whatever_the_axes(generator):
    content = unit((6, 4), generator)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator))[0]
    assert float(similarity_loss(content, content @ rotation)) == pytest.approx(0, abs=1e-5)


def test_a_picture_alone_has_no_neighbors_to_learn(generator):
    content = unit((1, 4), generator).requires_grad_()
    loss = similarity_loss(content, unit((1, 4), generator))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not content.grad.any()


def test_gradients_lead_to_the_teachers_neighbors(generator):
    target = unit((8, 5), generator)
    content = torch.randn(8, 5, generator=generator, requires_grad=True)
    for _ in range(100):
        loss = similarity_loss(torch.nn.functional.normalize(content, dim=1), target)
        [gradient] = torch.autograd.grad(loss, content)
        content = (content - gradient).detach().requires_grad_()
    found = torch.nn.functional.normalize(content, dim=1).detach()
    nearest = [(x @ x.T).fill_diagonal_(-2).argmax(dim=1) for x in (found, target)]
    assert torch.equal(*nearest)


def test_the_target_joins_centered_embedding_and_color_by_their_share(tmp_path, generator):
    path = write_teacher(tmp_path / "a.onnx")
    teacher = open_teacher(path, "unit", 4, 0.3, CPU)
    images = torch.rand(6, 3, SIDE, SIDE, generator=generator) * 255
    teacher.center([images[:4], images[4:]])
    means, colors = images.mean(dim=(2, 3)) / 255, color_histogram(images)
    expected = torch.cat(
        [
            torch.nn.functional.normalize(means - means.mean(dim=0), dim=1) * 0.7**0.5,
            torch.nn.functional.normalize(colors - colors.mean(dim=0), dim=1) * 0.3**0.5,
        ],
        dim=1,
    )
    found = teacher.target(images).whole
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(6))


def test_without_a_network_color_is_all_that_is_taught(generator):
    teacher = open_teacher(None, "imagenet", 4, 0.25, CPU)
    images = torch.rand(3, 3, 32, 32, generator=generator) * 255
    found = teacher.target(images)
    assert found.cells is None
    torch.testing.assert_close(found.whole, color_histogram(images))
    assert (teacher.side, teacher.color_share) == (0, 1.0)


def test_regression_is_a_cosine_through_a_linear_map(tmp_path, generator):
    teacher = open_teacher(None, "imagenet", 4, 0.25, CPU)
    content = 3 * torch.randn(5, 4, generator=generator)
    target = unit((5, N_BINS), generator)
    losses = teacher.losses(content, Target(target, None))
    mapped = teacher.map(torch.nn.functional.normalize(content, dim=1)).detach()
    cosines = [float(m @ t / m.norm()) for m, t in zip(mapped, target, strict=True)]
    assert float(losses["teacher_loss"].detach()) == pytest.approx(1 - np.mean(cosines), abs=1e-5)
    assert set(losses) == {"teacher_loss", "similarity_loss"}


def test_cells_are_taught_what_the_teacher_sees_there(tmp_path, generator):
    path = write_teacher(tmp_path / "a.onnx")
    cut, whole = (open_teacher(path, "unit", 4, 0.3, CPU, n) for n in (7, 0))
    images = torch.rand(6, 3, SIDE, SIDE, generator=generator) * 255
    for teacher in (cut, whole):
        teacher.center([images])
    target = cut.target(images)
    torch.testing.assert_close(target.whole, whole.target(images).whole, atol=1e-5, rtol=0)
    seen = torch.randn(6, 7, SIDE, SIDE, generator=generator)
    found = cut.losses(torch.randn(6, 4, generator=generator), target, seen)["cells_loss"]
    centered = (images - images.mean(dim=(0, 2, 3))[:, None, None]) / 255
    mapped = torch.einsum("dc,bcyx->bdyx", cut.cell_map.weight.detach()[:, :, 0, 0], seen)
    mapped = mapped + cut.cell_map.bias.detach()[:, None, None]
    cosines = torch.nn.functional.cosine_similarity(mapped, centered)
    assert float(found.detach()) == pytest.approx(1 - float(cosines.mean()), abs=1e-5)
    coarse = cut.losses(torch.randn(6, 4, generator=generator), target, seen[..., :4, :4])
    assert float(coarse["cells_loss"].detach()) > 0


def test_a_teacher_that_does_not_pool_has_no_cells(tmp_path):
    path = write_segmenter(tmp_path / "a.onnx", output="scores")
    with pytest.raises(UsageError, match=r"has no average pooling.*teacher_cells_weight of 0"):
        open_teacher(path, "unit", 4, 0.3, CPU, 7)


def test_the_network_itself_is_no_part_of_a_checkpoint(tmp_path):
    teacher = open_teacher(write_teacher(tmp_path / "a.onnx"), "unit", 4, 0.3, CPU)
    assert set(teacher.state_dict()) == {"mean", "map.weight", "map.bias"}


def test_a_teacher_is_described_by_name_and_checksum(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"abc")
    assert describe(tmp_path / "a.onnx").startswith("a.onnx sha256:ba7816bf")
    assert describe(None) == ""
