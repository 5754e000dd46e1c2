"""`lookalike serve`: one command to a working page.

The process that is started prepares the server's own folder and database, then keeps two groups of
others: the web server and the worker. When it ends, they do.
"""

import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from lookalike.errors import EnvironmentFault, MissingExtraError, UsageError
from lookalike.web.home import HOME, ROOTS, ServerHome

_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 10.0
_WATCH_SECONDS: Final = 0.2
_FRONT: Final = (sys.executable, "-m", "lookalike.web.front")
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Several requests keep all processors busy; threads of each would wait for one another."""

_WORKER: Final = (sys.executable, "-m", "lookalike.web.worker")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How a server is started.

    Attributes:
        home: Folder of the server's own files.
        host: Address to listen on.
        port: Port.
        roots: Folders that may be indexed from the browser.
        opens_browser: Whether to open the first page.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8000
    roots: tuple[Path, ...] = ()
    opens_browser: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A server that is ready to be started.

    Attributes:
        first_page: Path of the page to open: a link that lets the owner in, once.
        n_collections: Collections that it shows.
    """

    first_page: str
    n_collections: int


def prepare(options: ServeOptions, places: Sequence[Path]) -> Prepared:
    """Bring the server's folder and database up to date and register what is to be shown.

    Args:
        options: How the server is started.
        places: Collections, and folders of pictures, for each of which a collection is made.

    Raises:
        UsageError: If a place does not exist.
        MissingExtraError: If the extra `web` is not installed.
        EnvironmentFault: If the folder cannot be written or the port is taken.
    """
    _check_free(options.host, options.port)
    for place in places:
        if not place.exists():
            raise UsageError(f"there is no {place}; give collections or folders of pictures")
    os.environ[HOME] = str(options.home)
    os.environ[ROOTS] = os.pathsep.join(str(root) for root in _roots(options, places))
    os.environ["DJANGO_SETTINGS_MODULE"] = "lookalike.web.settings"
    ServerHome(options.home).prepare()
    try:
        import django  # noqa: PLC0415 - an optional extra
        from django.core.management import call_command  # noqa: PLC0415

        django.setup()
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "web", "the web application") from error
    call_command("migrate", verbosity=0, interactive=False)
    return _register(places)


def _roots(options: ServeOptions, places: Sequence[Path]) -> list[Path]:
    folders = [place for place in places if not _is_collection(place) and place.is_dir()]
    return list(dict.fromkeys(path.expanduser().resolve() for path in (*options.roots, *folders)))


def _is_collection(place: Path) -> bool:
    return (place / "collection.json").is_file()


def _register(places: Sequence[Path]) -> Prepared:
    from django.urls import reverse  # noqa: PLC0415 - Django must be set up first

    from lookalike.web.models import HostedCollection, User, WelcomeLink  # noqa: PLC0415
    from lookalike.web.registering import owner, register  # noqa: PLC0415

    user: User = owner()
    for place in places:
        register(place.expanduser().resolve(), user)
    link = reverse("welcome", args=[WelcomeLink.make(user)])
    return Prepared(link, HostedCollection.objects.count())


def run(options: ServeOptions, prepared: Prepared) -> int:
    """Serve until interrupted; return the exit code.

    Raises:
        EnvironmentFault: If the server does not start.
    """
    port = options.port
    children = [
        subprocess.Popen(
            [*_FRONT, options.host, str(port), str(os.getpid())], env={**_ONE_THREAD, **os.environ}
        ),
        subprocess.Popen([*_WORKER, str(os.getpid())]),
    ]
    try:
        _wait_until_up(options.host, port, children[0])
        if options.opens_browser:
            webbrowser.open(f"http://{options.host}:{port}{prepared.first_page}")
        return _keep(children)
    finally:
        _end(children)


def free_port(host: str) -> int:
    """Return a port of `host` that nobody uses.

    Raises:
        EnvironmentFault: If there is no such host.
    """
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise EnvironmentFault(f"{host} is no address of this machine: {error}") from error
        return int(probe.getsockname()[1])


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentFault(
                f"port {port} of {host} cannot be used ({error.strerror}); choose another: --port"
            ) from error


def _wait_until_up(host: str, port: int, web: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if web.poll() is not None:
            raise EnvironmentFault(f"the web server ended with code {web.returncode} as it started")
        with suppress(URLError, OSError), urlopen(f"http://{host}:{port}/healthz/live") as answer:
            if answer.status == 200:
                return
        time.sleep(_POLL_SECONDS)
    raise EnvironmentFault(f"the web server did not answer within {_START_SECONDS:.0f} s")


def _keep(children: "list[subprocess.Popen[bytes]]") -> int:
    """Wait until the web server ends; a worker that dies is started again."""
    web, worker = children
    with suppress(KeyboardInterrupt):
        while web.poll() is None:
            if worker.poll() is not None:
                worker = children[1] = subprocess.Popen([*_WORKER, str(os.getpid())])
            time.sleep(_WATCH_SECONDS)
        return int(web.returncode)
    return 0


def _end(children: "Sequence[subprocess.Popen[bytes]]") -> None:
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
