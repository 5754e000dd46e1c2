"""A typed client of the REST interface: the same questions to a server as to a collection.

with Client("https://pictures.example.org", token) as client:
    found = client.search("holiday", Query((IdExample(17),)), k=5)
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from lookalike.errors import EnvironmentFault, LookalikeError, MissingExtraError, UsageError
from lookalike.search.queries import Query

if TYPE_CHECKING:
    import httpx

_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class RemoteHit:
    """One hit.

    Attributes:
        rank: From 1.
        id: Of the image.
        path: Where it lies on the server.
        score: In decades, see `lookalike.search.calibration`.
        scores: The score under each part of the query.
    """

    rank: int
    id: int
    path: str
    score: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RemoteFound:
    """What a search found.

    Attributes:
        hits: Best first.
        took_ms: Time that the server took.
        probed_clusters: Clusters that were visited.
        exact: Whether every image was compared.
        revision: State of the collection that was searched.
    """

    hits: tuple[RemoteHit, ...]
    took_ms: float
    probed_clusters: int
    exact: bool
    revision: int


@dataclass(frozen=True, slots=True)
class RemoteCollection:
    """A collection on a server.

    Attributes:
        name: By which it is asked for.
        title: As people see it.
        images: How many it holds.
        role: What you may do with it.
        descriptors: What pictures can be compared by.
        has_layout: Whether layouts can be painted.
        has_words: Whether words can be compared with pictures.
    """

    name: str
    title: str
    images: int
    role: str
    descriptors: tuple[str, ...]
    has_layout: bool
    has_words: bool


class Client:
    """Asks a server; use it in a `with` statement.

    Args:
        address: Of the server, such as `http://127.0.0.1:8000`.
        token: Made under Account; `LOOKALIKE_TOKEN` by default.

    Raises:
        MissingExtraError: If the extra `client` is not installed.
        UsageError: If there is no token.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        shown = token or os.environ.get("LOOKALIKE_TOKEN", "")
        if not shown:
            raise UsageError("a token is needed; make one under Account, or set LOOKALIKE_TOKEN")
        try:
            import httpx  # noqa: PLC0415 - an optional extra
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "client", "asking a server") from error
        self._faults = (httpx.TransportError,)
        self._http: httpx.Client = httpx.Client(
            base_url=f"{address.rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {shown}"},
            timeout=_SECONDS,
        )

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
        self._http.close()

    def collections(self) -> list[RemoteCollection]:
        """List the collections that you may see."""
        content = self._ask("GET", "/collections")
        return [
            RemoteCollection(**{**each, "descriptors": tuple(each["descriptors"])})
            for each in content
        ]

    def search(self, collection: str, query: Query, k: int = 10) -> RemoteFound:
        """Find the `k` pictures that a query asks for; its ids and scores are those of Python.

        Raises:
            UsageError: If the query names files, which the server cannot see: use `upload`.
            LookalikeError: What the server finds wrong with it.
        """
        sent = {"query": query.to_json(), "k": k}
        return _found(self._ask("POST", f"/collections/{collection}/search", json=sent))

    def search_picture(
        self, collection: str, file: str | os.PathLike[str], k: int = 10
    ) -> RemoteFound:
        """Find pictures like a file of yours, which the server does not keep."""
        address = f"/collections/{collection}/search/picture"
        return _found(self._ask("POST", address, params={"k": k}, files=_picture(file)))

    def upload(self, file: str | os.PathLike[str]) -> str:
        """Send a picture for a day; the token stands for it in queries, as `{"upload": TOKEN}`."""
        return str(self._ask("POST", "/uploads", files=_picture(file))["upload"])

    def images(self, collection: str, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Tell what is known of images; unknown ids are left out."""
        listed = {"ids": ",".join(map(str, ids))}
        return list(self._ask("GET", f"/collections/{collection}/images", params=listed))

    def index(self, collection: str) -> str:
        """Ask for a collection to be brought up to date; returns the id of the job."""
        sent = {"kind": "index"}
        return str(self._ask("POST", f"/collections/{collection}/jobs", json=sent)["id"])

    def job(self, collection: str, job_id: str) -> dict[str, Any]:
        """Tell how far a job is."""
        return dict(self._ask("GET", f"/collections/{collection}/jobs/{job_id}"))

    def _ask(self, method: str, address: str, **words: Any) -> Any:
        try:
            answer = self._http.request(method, address, **words)
        except self._faults as error:
            raise EnvironmentFault(f"{self._http.base_url} does not answer: {error}") from error
        if answer.is_success:
            return answer.json()
        raise LookalikeError(_reason(answer))


def _found(content: Mapping[str, Any]) -> RemoteFound:
    hits = tuple(RemoteHit(**{k: hit[k] for k in RemoteHit.__slots__}) for hit in content["hits"])
    return RemoteFound(**{**{k: content[k] for k in RemoteFound.__slots__}, "hits": hits})


def _picture(file: str | os.PathLike[str]) -> dict[str, tuple[str, bytes]]:
    path = Path(file).expanduser()
    try:
        return {"picture": (path.name, path.read_bytes())}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give a picture") from error


def _reason(answer: "httpx.Response") -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"the server answers with status {answer.status_code}; look at its log"
