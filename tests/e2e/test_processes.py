"""What the program loads: searching and indexing must start fast and never need PyTorch."""

import subprocess
import sys

import pytest

LOADED = """
import sys
from lookalike.__main__ import run
code = run(sys.argv[1:])
assert code == 0, code
heavy = {"torch", "matplotlib", "pyarrow", "faiss", "scipy"} & set(sys.modules)
print(sorted(heavy), file=sys.stderr)
"""


def loaded_by(*words):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", [["search", "--id", "1"], ["status"], ["verify"]])
def test_asking_loads_nothing_heavy(collection, command):
    name, *options = command
    assert loaded_by(name, collection, *options, "--json") == "[]"


def test_indexing_and_searching_by_file_never_load_pytorch(tmp_path, model, pictures):
    path = tmp_path / "c.lookalike"
    assert "torch" not in loaded_by("index", path, pictures, "--model", model, "--json")
    query = next(pictures.iterdir())
    assert "torch" not in loaded_by("search", path, "--image", query, "--json")


def test_help_loads_nothing_that_is_slow():
    code = (
        "import sys; from lookalike.__main__ import run; run(['--help']);"
        "print(sorted({'numpy', 'faiss', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
