"""What the client does with a server's models: learning them, and judging collections by them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lookalike.client.connection import Connection


class Learning:
    """Models that a server learns, for staff."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[dict[str, Any]]:
        """List the models that were learned or are being learned, the latest first."""
        return list(self._connection.get("/learning"))

    def look_at(self, dataset: str, level: str = "names") -> dict[str, Any]:
        """Tell what labeled pictures hold, before anything is learned from them."""
        return dict(self._connection.get("/learning/dataset", dataset=dataset, level=level))

    def start(
        self,
        title: str,
        dataset: str,
        *,
        recipe: Literal["quick", "small", "standard"] = "standard",
        minutes: int | None = None,
        level: Literal["names", "supercategories"] = "names",
        changes: Mapping[str, int | float | str] | None = None,
    ) -> str:
        """Ask for a model to be learned; return the id of the run.

        Args:
            title: What people call it.
            dataset: A folder below those of the server, or `scenes:N`.
            recipe: How much is learned.
            minutes: The most that it may take.
            level: What counts as a class in COCO.
            changes: Options of the recipe by name, such as `{"epochs": 5}`.
        """
        sent: dict[str, Any] = {"title": title, "dataset": dataset, "recipe": recipe}
        sent |= {"minutes": minutes, "level": level, "changes": dict(changes or {})}
        return str(self._connection.change("/learning", sent)["id"])

    def get(self, run_id: str) -> dict[str, Any]:
        """Tell how far a model is, with the figures of every pass; at last the report."""
        return dict(self._connection.get(f"/learning/{run_id}"))

    def steer(self, run_id: str, action: Literal["pause", "resume", "cancel"]) -> dict[str, Any]:
        """Pause, resume or cancel a run."""
        return dict(self._connection.change(f"/learning/{run_id}/{action}"))

    def use(self, run_id: str, title: str, source: str) -> str:
        """Make a collection with a model that was learned; return its name.

        Args:
            run_id: Of a run that is done.
            title: What people call the collection.
            source: A folder below those of the server, or `collection:NAME` for the folders of a
                collection.
        """
        sent = {"title": title, "source": source}
        return str(self._connection.change(f"/learning/{run_id}/use", sent)["name"])

    def delete(self, run_id: str) -> dict[str, Any]:
        """Delete a model that is not being learned; collections made with it keep it."""
        return dict(self._connection.delete(f"/learning/{run_id}"))


class Evaluations:
    """Collections judged, for those who may change them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, collection: str) -> list[dict[str, Any]]:
        """List the last evaluations of a collection, those at work among them."""
        return list(self._connection.get(_evaluations(collection)))

    def start(
        self,
        collection: str,
        *,
        truth: str = "labels",
        weights: Mapping[str, int | float] | None = None,
        at: Sequence[int] = (1, 2, 5, 10, 20),
        queries: int | None = None,
        without: Sequence[str] = (),
        seed: int = 0,
    ) -> str:
        """Ask for a collection to be judged; return the id of the evaluation.

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
        return str(self._connection.change(_evaluations(collection), sent)["id"])

    def get(self, collection: str, evaluation_id: str) -> dict[str, Any]:
        """Tell how far an evaluation is."""
        return dict(self._connection.get(f"{_evaluations(collection)}/{evaluation_id}"))

    def report(self, collection: str, evaluation_id: str) -> dict[str, Any]:
        """Return all that an evaluation found, as `lookalike evaluate --json` names it."""
        return dict(self._connection.get(f"{_evaluations(collection)}/{evaluation_id}/report"))

    def cancel(self, collection: str, evaluation_id: str) -> dict[str, Any]:
        """End an evaluation before it is done."""
        return dict(self._connection.change(f"{_evaluations(collection)}/{evaluation_id}/cancel"))


def _evaluations(collection: str) -> str:
    return f"/collections/{collection}/evaluations"
