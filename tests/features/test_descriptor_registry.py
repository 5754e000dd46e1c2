"""Descriptors by name, of this package and of others that are installed."""

from functools import partial

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.features.descriptors import BUILT_IN, describe, find, find_same, read_names, sizes_of
from tests.plugins import REDNESS, install_package


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return partial(install_package, tmp_path)


def test_names_are_read_and_unknown_ones_refused_with_the_known():
    assert read_names("all") == tuple(BUILT_IN)
    assert read_names("none") == ()
    assert read_names("texture,color,texture") == ("texture", "color")
    with pytest.raises(UsageError, match=r"no descriptor 'smell'; choose all, none, .*aspect"):
        read_names("color,smell")
    with pytest.raises(UsageError, match="'content' comes from the model and is always there"):
        read_names("content")


@pytest.mark.parametrize("target", ["make", "redness_here"])
def test_another_package_adds_a_descriptor(install, target):
    install("lookalike_redness", "redness_here", target=target)
    assert read_names("all") == (*BUILT_IN, "redness_here")
    [found] = find(["redness_here"]).values()
    rows = describe([found], np.full((2, 9, 9, 3), 7, np.uint8), sizes_of([(9, 9)] * 2))
    np.testing.assert_array_equal(rows["redness_here"], [[7, 7], [7, 7]])
    assert find_same({"redness_here": (3, 2), "color": (1, 304)}).keys() == {
        "redness_here",
        "color",
    }
    # Another version is another descriptor, and one that is gone is none.
    assert find_same({"redness_here": (2, 2), "gone": (1, 1)}) == {}


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("import no_such_module", "make", r"'broken_one' cannot be loaded \(ModuleNotFoundError"),
        (REDNESS, "lost", r"'broken_one' cannot be loaded \(AttributeError"),
        ("def make(): raise OSError('no file')", "make", r"'broken_one' .*\(OSError: no file\)"),
        ("def make(): return 7", "make", "package 'broken_one' registers 'int' as"),
        (
            REDNESS.replace('"NAME"', '"other"'),
            "make",
            "registers 'other' as the descriptor 'smell'",
        ),
    ],
)
def test_a_broken_package_is_named_when_it_is_asked_for(install, code, target, message):
    install("broken_one", "smell", code, target)
    with pytest.raises(UsageError, match=message):
        find(["smell"])
    find(["color"])  # nobody else is harmed


def test_packages_that_clash_are_named(install):
    install("first_one", "smell")
    install("second_one", "smell")
    with pytest.raises(UsageError, match=r"'first_one' and 'second_one' both register .* 'smell'"):
        find(["smell"])
    install("third_one", "color")
    with pytest.raises(UsageError, match="'third_one' registers a descriptor 'color', which Looka"):
        find(["color"])


@pytest.mark.parametrize(
    ("row", "message"), [("[[1.0]]", r"rows of \(1, 1\)"), ("[[1, np.nan]]", "not finite")]
)
def test_a_descriptor_that_gives_nonsense_is_named(install, row, message):
    body = REDNESS.replace(
        "return pixels.mean(axis=(1, 2)).astype(np.float32)[:, :2]",
        f"return np.array({row}, np.float32)",
    )
    install("nonsense", "smell", body)
    with pytest.raises(UsageError, match=f"the descriptor 'smell' gave .*{message}.* leave it out"):
        describe(find(["smell"]).values(), np.zeros((1, 8, 8, 3), np.uint8), sizes_of([(8, 8)]))
