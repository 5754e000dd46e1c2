"""The settings of the server, with a home of its own that is gone afterwards."""

import atexit
import os
import shutil
import tempfile

HOME = tempfile.mkdtemp(prefix="lookalike-home-")
os.environ["LOOKALIKE_HOME"] = HOME
if os.environ.get("LOOKALIKE_TEST_DATABASE"):  # see .ci/postgres
    os.environ["DATABASE_URL"] = os.environ["LOOKALIKE_TEST_DATABASE"]


def _remove(maker: int = os.getpid()) -> None:
    if os.getpid() == maker:  # processes that were forked leave it alone
        shutil.rmtree(HOME, ignore_errors=True)


atexit.register(_remove)

from lookalike.web.settings import *  # noqa: E402, F403 - the home comes first
