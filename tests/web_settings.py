"""The settings of the server, with a home of its own that is gone afterwards."""

import atexit
import os
import shutil
import sys
import tempfile


def _remove(home: str, maker: int) -> None:
    if os.getpid() == maker:  # processes that were forked leave it alone
        shutil.rmtree(home, ignore_errors=True)


# Where doctests are collected this file is imported twice, the server's settings once.
if "lookalike.web.settings" not in sys.modules:
    os.environ["LOOKALIKE_HOME"] = tempfile.mkdtemp(prefix="lookalike-home-")
    atexit.register(_remove, os.environ["LOOKALIKE_HOME"], os.getpid())
if os.environ.get("LOOKALIKE_TEST_DATABASE"):  # see .ci/postgres
    os.environ["DATABASE_URL"] = os.environ["LOOKALIKE_TEST_DATABASE"]

from lookalike.web.settings import *  # noqa: E402, F403 - the home comes first
