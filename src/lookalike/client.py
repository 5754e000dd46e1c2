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

    def learn(
        self,
        title: str,
        dataset: str,
        *,
        recipe: str = "standard",
        minutes: int | None = None,
        level: str = "names",
        changes: Mapping[str, float | str] | None = None,
    ) -> str:
        """Ask for a model to be learned, as staff; returns the id of the run.

        Args:
            title: What people call it.
            dataset: A folder below those of the server, or `scenes:N`.
            recipe: `quick`, `small` or `standard`.
            minutes: The most that it may take.
            level: `names` or `supercategories`, of COCO.
            changes: Options of the recipe by name, such as `{"epochs": 5}`.
        """
        sent: dict[str, Any] = {"title": title, "dataset": dataset, "recipe": recipe}
        sent |= {"minutes": minutes, "level": level, "changes": dict(changes or {})}
        return str(self._ask("POST", "/learning", json=sent)["id"])

    def learning(self, run_id: str) -> dict[str, Any]:
        """Tell how far a model is, with the figures of every pass; at last the report."""
        return dict(self._ask("GET", f"/learning/{run_id}"))

    def steer_learning(self, run_id: str, action: str) -> dict[str, Any]:
        """Pause, resume or cancel a run: `action` is one of these words."""
        return dict(self._ask("POST", f"/learning/{run_id}/{action}"))

    def use_learned(self, run_id: str, title: str, source: str) -> str:
        """Make a collection with a model that was learned; returns its name."""
        sent = {"title": title, "source": source}
        return str(self._ask("POST", f"/learning/{run_id}/use", json=sent)["name"])

    def evaluate(
        self,
        collection: str,
        *,
        truth: str = "labels",
        weights: Mapping[str, float] | None = None,
        at: Sequence[int] = (1, 2, 5, 10, 20),
        queries: int | None = None,
        without: Sequence[str] = (),
        seed: int = 0,
    ) -> str:
        """Ask for a collection to be judged; returns the id of the evaluation.

        Args:
            collection: Its name.
            truth: `labels`, those given to its pictures, or words for a data set.
            weights: Weight of each descriptor; the default mixture without.
            at: Numbers of hits at which is measured.
            queries: Pictures to ask with; all by default.
            without: Labels that do not count.
            seed: Which draw of queries.
        """
        sent: dict[str, Any] = {"truth": truth, "at": list(at), "queries": queries, "seed": seed}
        sent |= {"without": list(without), "weights": None if weights is None else dict(weights)}
        return str(self._ask("POST", f"/collections/{collection}/evaluations", json=sent)["id"])

    def evaluation(self, collection: str, evaluation_id: str) -> dict[str, Any]:
        """Tell how far an evaluation is."""
        return dict(self._ask("GET", f"/collections/{collection}/evaluations/{evaluation_id}"))

    def evaluation_report(self, collection: str, evaluation_id: str) -> dict[str, Any]:
        """Return all that an evaluation found."""
        address = f"/collections/{collection}/evaluations/{evaluation_id}/report"
        return dict(self._ask("GET", address))

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
