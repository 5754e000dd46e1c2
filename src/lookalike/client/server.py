"""What staff do with a client to the server itself: copies of its own database."""

import os
from typing import Final, Literal

from lookalike.client.connection import Connection
from lookalike.client.subjects import download, until_done
from lookalike.client.values import RemoteBackup, RemoteJob, read

_BACKUPS: Final = "/server/backups"


class ServerBackups:
    """Copies of people, roles, jobs, saved searches and the audit log, for staff."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[RemoteBackup]:
        """List the copies, the last first."""
        return [read(RemoteBackup, each) for each in self._connection.get(_BACKUPS)]

    def make(self) -> RemoteJob:
        """Ask for a copy, or for the one that is being made; it will have the id of the job.

        Raises:
            LookalikeError: If the server's data lie in PostgreSQL, which has tools of its own.
        """
        return read(RemoteJob, self._connection.change(_BACKUPS))

    def job(self, job_id: str) -> RemoteJob:
        """Tell how far a copy is."""
        return read(RemoteJob, self._connection.get(f"{_BACKUPS}/jobs/{job_id}"))

    def steer(self, job_id: str, action: Literal["pause", "resume", "cancel"]) -> RemoteJob:
        """Pause, resume or cancel a copy that is being made."""
        return read(RemoteJob, self._connection.change(f"{_BACKUPS}/jobs/{job_id}/{action}"))

    def wait(self, job_id: str, seconds: float = 3600.0) -> RemoteJob:
        """Return the job once the copy is there.

        Raises:
            LookalikeError: If it failed, was paused or cancelled, or takes longer than `seconds`.
        """
        return until_done(lambda: self.job(job_id), seconds)

    def download(self, backup_id: str, file: str | os.PathLike[str]) -> None:
        """Write a copy as a tar file, whole or not at all.

        Raises:
            UsageError: If there is a folder at `file`.
            EnvironmentFault: If the connection breaks off or the disk is full.
        """
        download(self._connection, f"{_BACKUPS}/{backup_id}/file", file)

    def delete(self, backup_id: str) -> None:
        """Delete a copy for good."""
        self._connection.delete(f"{_BACKUPS}/{backup_id}")
