"""What a client can do beside searching: jobs, labels, duplicates, saved searches, backups."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from lookalike.atomic import write_atomically
from lookalike.client.connection import Connection
from lookalike.client.values import (
    RemoteBackup,
    RemoteDoubt,
    RemoteFound,
    RemoteGroup,
    RemoteJob,
    RemoteLabel,
    RemoteProposal,
    RemoteSearch,
    read,
    read_found,
)
from lookalike.errors import LookalikeError, UsageError
from lookalike.search.queries import Query

_POLL_SECONDS: Final = 0.5

Verdict = Literal["keep", "same", "different", "forget"]


class Jobs:
    """Long work on a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, collection: str) -> list[RemoteJob]:
        """List the last jobs of a collection."""
        return [read(RemoteJob, each) for each in self._connection.get(_jobs(collection))]

    def get(self, collection: str, job_id: str) -> RemoteJob:
        """Tell how far a job is."""
        return read(RemoteJob, self._connection.get(f"{_jobs(collection)}/{job_id}"))

    def make(
        self,
        collection: str,
        kind: Literal["index", "clusters", "map", "duplicates", "verify"],
        *,
        descriptor: str = "",
        name: str = "",
        k: int | None = None,
    ) -> RemoteJob:
        """Ask for long work.

        Args:
            collection: On which.
            kind: What is to be done.
            descriptor: For clusters and maps: what is compared.
            name: Instead: clusters or a map that are there and take in new images.
            k: Clusters; as many as fit by default.
        """
        content = {"kind": kind, "descriptor": descriptor, "name": name, "k": k}
        return read(RemoteJob, self._connection.change(_jobs(collection), content))

    def steer(
        self, collection: str, job_id: str, action: Literal["pause", "resume", "cancel"]
    ) -> RemoteJob:
        """Pause, resume or cancel a job."""
        address = f"{_jobs(collection)}/{job_id}/{action}"
        return read(RemoteJob, self._connection.change(address))

    def wait(self, collection: str, job_id: str, seconds: float = 3600.0) -> RemoteJob:
        """Return a job once it is done.

        Raises:
            LookalikeError: If it failed, was paused or cancelled, or takes longer than `seconds`.
        """
        return until_done(lambda: self.get(collection, job_id), seconds)


class Labels:
    """What people say of pictures, and what follows from it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, collection: str) -> list[RemoteLabel]:
        """List all labels with the number of images, by who says so."""
        return [read(RemoteLabel, each) for each in self._connection.get(_labels(collection))]

    def of_image(self, collection: str, image_id: int) -> list[dict[str, Any]]:
        """Tell who says what of an image: `label`, `by` and `probability` of each."""
        address = f"/collections/{collection}/images/{image_id}/known"
        return list(self._connection.get(address)["labels"])

    def proposal(self, collection: str, clusters: str = "", at: int = 0) -> RemoteProposal:
        """Propose what to label next, or after `at` others."""
        address = f"{_labels(collection)}/proposal"
        return read(RemoteProposal, self._connection.get(address, clusters=clusters, at=at))

    def add(
        self,
        collection: str,
        labels: Sequence[str],
        images: Sequence[int],
        not_images: Sequence[int] = (),
    ) -> int:
        """Say which images show labels and which do not; return the number of the action."""
        content = {"labels": list(labels), "images": [*images], "not_images": [*not_images]}
        return int(self._connection.change(_labels(collection), content)["action"])

    def preview(self, collection: str, clusters: str = "") -> list[dict[str, Any]]:
        """Tell what propagating would say of which images; nothing is stored."""
        return list(self._connection.get(f"{_labels(collection)}/preview", clusters=clusters))

    def propagate(self, collection: str, clusters: str = "") -> RemoteJob:
        """Ask for every image to be given the probability of every label."""
        address = f"{_labels(collection)}/propagation"
        return read(RemoteJob, self._connection.change(address, {"clusters": clusters}))

    def doubts(
        self, collection: str, label: str = "", n: int = 20, at: int = 0
    ) -> list[RemoteDoubt]:
        """List images whose probability is nearest to one half."""
        address = f"{_labels(collection)}/review"
        found = self._connection.get(address, label=label, n=n, at=at)
        return [read(RemoteDoubt, each) for each in found]

    def answer(
        self,
        collection: str,
        label: str,
        images: Sequence[int],
        not_images: Sequence[int] = (),
    ) -> int:
        """Say which images that were in doubt show a label; return the number of the action."""
        content = {"label": label, "images": [*images], "not_images": [*not_images]}
        return int(self._connection.change(f"{_labels(collection)}/review", content)["action"])

    def actions(self, collection: str) -> list[dict[str, Any]]:
        """List what was done and not taken back, the last first."""
        return list(self._connection.get(f"{_labels(collection)}/actions"))

    def undo(self, collection: str, action: int) -> dict[str, Any]:
        """Take an action back, if it is the last one; `job` is set where that takes longer."""
        return dict(self._connection.change(f"{_labels(collection)}/undo", {"action": action}))


class Duplicates:
    """Nearly equal pictures, and what is decided about them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def groups(self, collection: str, page: int = 50) -> Iterator[RemoteGroup]:
        """Give all groups, the largest first, `page` of them with each request."""
        cursor = ""
        while True:
            found = self._connection.get(_duplicates(collection), k=page, cursor=cursor)
            yield from (read(RemoteGroup, each) for each in found["groups"])
            cursor = found["cursor"]
            if not cursor:
                return

    def decide(self, collection: str, verdict: Verdict, images: Sequence[int]) -> None:
        """Decide about pictures; `forget` takes decisions back."""
        content = {"verdict": verdict, "images": list(images)}
        self._connection.change(f"{_duplicates(collection)}/decisions", content)

    def decisions(self, collection: str) -> dict[str, Any]:
        """List what was decided: `keep`, and pairs that are `same` or `different`."""
        return dict(self._connection.get(f"{_duplicates(collection)}/decisions"))

    def removable(self, collection: str) -> list[str]:
        """List the files that could go; nothing is deleted."""
        return list(self._connection.get(f"{_duplicates(collection)}/removable")["files"])


class Searches:
    """Your own searches under names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, collection: str) -> list[RemoteSearch]:
        """List your saved searches of a collection."""
        return [read(RemoteSearch, each) for each in self._connection.get(_searches(collection))]

    def get(self, collection: str, search_id: int) -> RemoteSearch:
        """Open a saved search."""
        return read(RemoteSearch, self._connection.get(f"{_searches(collection)}/{search_id}"))

    def save(self, collection: str, name: str, query: Query) -> RemoteSearch:
        """Keep a search, in the place of one of the same name."""
        content = {"name": name, "query": query.to_json()}
        return read(RemoteSearch, self._connection.change(_searches(collection), content))

    def run(self, collection: str, name: str, k: int = 10, *, cursor: str = "") -> RemoteFound:
        """Ask a saved search again, by its name; see `Client.search`."""
        sent = {"saved": name, "k": k, "cursor": cursor}
        return read_found(self._connection.find(f"/collections/{collection}/search", sent))

    def delete(self, collection: str, search_id: int) -> None:
        """Forget a search."""
        self._connection.delete(f"{_searches(collection)}/{search_id}")


class Backups:
    """Copies of collections that you own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, collection: str) -> list[RemoteBackup]:
        """List the backups of a collection, the last first."""
        return [read(RemoteBackup, each) for each in self._connection.get(_backups(collection))]

    def make(self, collection: str) -> RemoteJob:
        """Ask for a backup; it will have the id of the job."""
        return read(RemoteJob, self._connection.change(_backups(collection)))

    def download(self, collection: str, backup_id: str, file: str | os.PathLike[str]) -> None:
        """Write a backup as a tar file, whole or not at all.

        Raises:
            UsageError: If there is a folder at `file`.
            EnvironmentFault: If the connection breaks off or the disk is full.
        """
        download(self._connection, f"{_backups(collection)}/{backup_id}/file", file)

    def delete(self, collection: str, backup_id: str) -> None:
        """Delete a backup for good."""
        self._connection.delete(f"{_backups(collection)}/{backup_id}")

    def restore(self, collection: str, backup_id: str, title: str = "") -> RemoteJob:
        """Ask for a new collection of a backup; the report of the job has its name."""
        address = f"{_backups(collection)}/{backup_id}/restore"
        return read(RemoteJob, self._connection.change(address, {"title": title}))


def until_done(get: Callable[[], RemoteJob], seconds: float) -> RemoteJob:
    """Return a job once it is done; see `Jobs.wait`."""
    end = time.monotonic() + seconds
    while True:
        job = get()
        if job.state == "done":
            return job
        if job.is_over or job.state == "paused":
            raise LookalikeError(f"the job is {job.state}: {job.error or 'somebody wished so'}")
        if time.monotonic() > end:
            raise LookalikeError(f"the job is still {job.state} after {seconds:g} s; ask later")
        time.sleep(_POLL_SECONDS)


def download(connection: Connection, address: str, file: str | os.PathLike[str]) -> None:
    """Write what is at an address to a file, whole or not at all; see `Backups.download`."""
    path = Path(file).expanduser()
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")

    def write(unfinished: Path) -> None:
        with connection.reading(address) as pieces, unfinished.open("wb") as out:
            out.writelines(pieces)

    write_atomically(path, write)


def _jobs(collection: str) -> str:
    return f"/collections/{collection}/jobs"


def _labels(collection: str) -> str:
    return f"/collections/{collection}/labels"


def _duplicates(collection: str) -> str:
    return f"/collections/{collection}/duplicates"


def _searches(collection: str) -> str:
    return f"/collections/{collection}/searches"


def _backups(collection: str) -> str:
    return f"/collections/{collection}/backups"
