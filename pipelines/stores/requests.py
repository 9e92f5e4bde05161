"""What became of every request, one row each, in the result store's database. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines.stores import tables
from pipelines.stores.connection import put_row
from pipelines.stores.database import DatabaseResults

_requests = tables.requests
MOST = 500  # ids asked for at once: databases limit the parameters of a query


@dataclass(frozen=True, slots=True)
class RequestRow:
    """state: queued | working | superseded | ok | empty | degraded | failed; the last four are a report's, failed also a dead letter's."""

    id: str
    uri: str
    version: str
    name: str
    state: str
    reason: str = ""
    video_id: str = ""
    changed_at: str = ""


class RequestBook:
    """Knows how far every request has come."""

    def __init__(self, results: DatabaseResults) -> None:
        self._database = results.database

    def put(self, row: RequestRow) -> None:
        """The row as it is now, in place of what was known of it."""
        with self._database.writing(row.id) as db:
            put_row(db, _requests, asdict(row) | {"changed_at": _now()})

    def settle(self, request_id: str, state: str, reason: str, video_id: str) -> None:
        """How it ended. A request that nobody noted (one of before this table) stays unknown."""
        told = {"state": state, "reason": reason, "video_id": video_id, "changed_at": _now()}
        with self._database.writing(request_id) as db:
            db.execute(sa.update(_requests).filter_by(id=request_id).values(told))

    def rows(self, ids: Collection[str]) -> dict[str, RequestRow]:
        found: dict[str, RequestRow] = {}
        wanted = list(ids)
        with self._database.reading() as db:
            for first in range(0, len(wanted), MOST):
                query = sa.select(_requests).where(_requests.c.id.in_(wanted[first : first + MOST]))
                found |= {row["id"]: RequestRow(**row) for row in db.execute(query).mappings()}
        return found

    def all(self, state: str = "") -> list[RequestRow]:
        """Every row, or those in this state, the last changed first."""
        query = sa.select(_requests).order_by(_requests.c.changed_at.desc())
        with self._database.reading() as db:
            return [RequestRow(**row) for row in db.execute(query.filter_by(state=state) if state else query).mappings()]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
