"""The folder in which a server keeps what is its own: database, secret, uploads.

Collections stay where they are. What lies here can be moved as a whole::

    server.sqlite    accounts, jobs, saved searches (unless DATABASE_URL names another database)
    secret           signs sessions; readable by its owner alone
    uploads/         pictures that people search with, until they expire
    atlases/         small pictures for maps; derived, may be deleted at any time
    duplicates/      groups of near-duplicates; derived, may be deleted at any time
    created/         collections made in the browser
    backups/         copies of collections and of the database
    trainings/       models learned in the browser, each in a folder of its own
    evaluations/     what was measured of collections
    static/          empty, or what `collectstatic` gathered
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike.atomic import environment_fault, write_atomically

HOME: Final = "LOOKALIKE_HOME"
ROOTS: Final = "LOOKALIKE_ROOTS"

_SECRET_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class ServerHome:
    """Where a server keeps its own files.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def from_environment(cls) -> "ServerHome":
        """Return the folder that `LOOKALIKE_HOME` names, else one in the person's data folder."""
        named = os.environ.get(HOME)
        if named:
            return cls(Path(named).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return cls(Path(data).expanduser().absolute() / "lookalike")

    @property
    def database(self) -> Path:
        """The database of a server that is told of no other."""
        return self.path / "server.sqlite"

    @property
    def uploads(self) -> Path:
        """Pictures that people search with."""
        return self.path / "uploads"

    @property
    def atlases(self) -> Path:
        """Small pictures for maps, many to a file."""
        return self.path / "atlases"

    @property
    def duplicates(self) -> Path:
        """Groups of near-duplicates, a file for each collection."""
        return self.path / "duplicates"

    @property
    def created(self) -> Path:
        """Collections made in the browser."""
        return self.path / "created"

    @property
    def backups(self) -> Path:
        """Copies of collections and of the database."""
        return self.path / "backups"

    @property
    def trainings(self) -> Path:
        """Models learned in the browser."""
        return self.path / "trainings"

    @property
    def evaluations(self) -> Path:
        """What was measured of collections."""
        return self.path / "evaluations"

    @property
    def static(self) -> Path:
        """What `collectstatic` gathered, for a server in front of this one."""
        return self.path / "static"

    def prepare(self) -> None:
        """Make the folders that are missing.

        Raises:
            EnvironmentFault: If they cannot be made.
        """
        try:
            for folder in (self.path, *self._parts):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise environment_fault(error, f"{self.path} cannot be used") from error

    @property
    def _parts(self) -> tuple[Path, ...]:
        derived = (self.uploads, self.atlases, self.duplicates, self.static)
        return (*derived, self.created, self.backups, self.trainings, self.evaluations)

    def secret(self) -> str:
        """Return the key that signs sessions; it is made when it is first needed.

        Raises:
            EnvironmentFault: If it can be neither read nor written.
        """
        place = self.path / "secret"
        try:
            return place.read_text(encoding="ascii")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise environment_fault(error, f"{place} cannot be read") from error
        self.prepare()
        write_atomically(place, secrets.token_urlsafe(_SECRET_BYTES).encode("ascii"))
        place.chmod(0o600)
        return place.read_text(encoding="ascii")


def allowed_roots() -> tuple[Path, ...]:
    """Return the folders that may be indexed from the browser, as `LOOKALIKE_ROOTS` lists them."""
    listed = os.environ.get(ROOTS, "").split(os.pathsep)
    return tuple(Path(root).expanduser().resolve() for root in listed if root)
