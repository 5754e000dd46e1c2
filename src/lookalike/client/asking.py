"""The client: searching, and a door to everything else."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from lookalike.client.connection import Connection
from lookalike.client.measures import Evaluations, Learning
from lookalike.client.server import ServerBackups
from lookalike.client.subjects import Backups, Duplicates, Jobs, Labels, Searches
from lookalike.client.values import RemoteCollection, RemoteFound, RemoteHit, read, read_found
from lookalike.errors import UsageError
from lookalike.search.queries import Query

PATIENCE_SECONDS: Final = 10.0


class Client:
    """Asks a server; use it in a `with` statement.

    Args:
        address: Of the server, such as `http://127.0.0.1:8000`.
        token: Made under Account; `LOOKALIKE_TOKEN` by default.
        patience: Seconds for which a request is tried again while the server does not answer or
            is busy; nothing is done twice by that.

    Attributes:
        jobs: Long work.
        labels: What people say of pictures.
        duplicates: Nearly equal pictures.
        searches: Saved searches.
        backups: Copies of collections.
        server_backups: Copies of the server's own database.
        learning: Models that the server learns.
        evaluations: Collections judged.

    Raises:
        MissingExtraError: If the extra `client` is not installed.
        UsageError: If there is no token.
    """

    def __init__(
        self, address: str, token: str | None = None, *, patience: int | float = PATIENCE_SECONDS
    ) -> None:
        self._connection = Connection(address, token, patience)
        self.jobs: Final = Jobs(self._connection)
        self.labels: Final = Labels(self._connection)
        self.duplicates: Final = Duplicates(self._connection)
        self.searches: Final = Searches(self._connection)
        self.backups: Final = Backups(self._connection)
        self.server_backups: Final = ServerBackups(self._connection)
        self.learning: Final = Learning(self._connection)
        self.evaluations: Final = Evaluations(self._connection)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections."""
        self._connection.close()

    def collections(self) -> list[RemoteCollection]:
        """List the collections that you may see."""
        return [read(RemoteCollection, each) for each in self._connection.get("/collections")]

    def status(self, collection: str) -> dict[str, Any]:
        """Tell what a collection holds, how accurate its indexes are, and what room it takes."""
        return dict(self._connection.get(f"/collections/{collection}/status"))

    def search(
        self, collection: str, query: Query, k: int = 10, *, cursor: str = ""
    ) -> RemoteFound:
        """Find the `k` pictures that a query asks for; its ids and scores are those of Python.

        Args:
            collection: Where.
            query: What is asked.
            k: Number of hits.
            cursor: Of what was found before, for the hits after those.

        Raises:
            UsageError: If the query names files, which the server cannot see: use `upload`.
            LookalikeError: What the server finds wrong with it; that the collection has changed
                since the cursor was made.
        """
        sent = {"query": query.to_json(), "k": k, "cursor": cursor}
        return read_found(self._connection.find(f"/collections/{collection}/search", sent))

    def all_hits(self, collection: str, query: Query, page: int = 100) -> Iterator[RemoteHit]:
        """Give hits, best first, `page` of them with each request, until there are no more."""
        found = self.search(collection, query, page)
        yield from found.hits
        while found.cursor:
            found = self.search(collection, query, page, cursor=found.cursor)
            yield from found.hits

    def search_picture(
        self, collection: str, file: str | os.PathLike[str], k: int = 10
    ) -> RemoteFound:
        """Find pictures like a file of yours, which the server does not keep."""
        address = f"/collections/{collection}/search/picture"
        return read_found(self._connection.send(address, _picture(file), k=k))

    def upload(self, file: str | os.PathLike[str]) -> str:
        """Send a picture for a day; the token stands for it in queries, as `{"upload": TOKEN}`."""
        return str(self._connection.send("/uploads", _picture(file))["upload"])

    def images(self, collection: str, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Tell what is known of images; unknown ids are left out."""
        listed = ",".join(map(str, ids))
        return list(self._connection.get(f"/collections/{collection}/images", ids=listed))

    def export(
        self,
        collection: str,
        kind: Literal["csv", "json"],
        *,
        query: Query | None = None,
        ids: Sequence[int] | None = None,
        saved: str | None = None,
    ) -> str:
        """List what a query or a saved search finds, or images by id, or everything."""
        asked = {"query": query and query.to_json(), "saved": saved}
        sent = {**asked, "ids": None if ids is None else list(ids)}
        return self._connection.text(f"/collections/{collection}/export/{kind}", sent)

    def clusters(self, collection: str, name: str = "content") -> dict[str, Any]:
        """Show the clusters of a name, the largest first."""
        return dict(self._connection.get(f"/collections/{collection}/clusters/{name}"))

    def map(self, collection: str, name: str = "content") -> dict[str, Any]:
        """Give the place of every image on a map."""
        return dict(self._connection.get(f"/collections/{collection}/maps/{name}"))

    def subjects(
        self, collection: str, subject: str = "", start: int = 0, k: int = 20
    ) -> dict[str, Any]:
        """Show a subject with counts of what is beneath it, and its most probable pictures."""
        address = f"/collections/{collection}/subjects"
        return dict(self._connection.get(address, subject=subject, start=start, k=k))

    def index(self, collection: str) -> str:
        """Ask for a collection to be brought up to date; returns the id of the job."""
        return self.jobs.make(collection, "index").id

    def job(self, collection: str, job_id: str) -> dict[str, Any]:
        """Tell how far a job is, as the server says it."""
        return dict(self._connection.get(f"/collections/{collection}/jobs/{job_id}"))


def _picture(file: str | os.PathLike[str]) -> tuple[str, bytes]:
    path = Path(file).expanduser()
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give a picture") from error
