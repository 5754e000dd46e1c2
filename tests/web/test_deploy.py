"""The files for containers and systemd, as far as linters can tell."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent


def test_the_dockerfile_gives_hadolint_nothing_to_say():
    subprocess.run([BIN / "hadolint", DEPLOY / "Dockerfile"], check=True)


def test_the_compose_file_fits_its_schema():
    schema = ["--builtin-schema", "vendor.compose-spec"]
    subprocess.run([BIN / "check-jsonschema", *schema, DEPLOY / "compose.yaml"], check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_understands_the_unit():
    words = ["systemd-analyze", "verify", DEPLOY / "lookalike.service"]
    said = subprocess.run(words, capture_output=True, text=True).stderr.splitlines()
    assert [line for line in said if "is not executable" not in line] == []
