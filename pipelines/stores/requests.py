"""What became of every request, one row each, in the result store's database. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines.stores.database import DatabaseResults

_tables = sa.MetaData()
_requests = sa.Table(
    "requests",
    _tables,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("uri", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("video_id", sa.String(64), nullable=False),
    sa.Column("changed_at", sa.String(32), nullable=False),
)
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
        self._results = results
        with results.session() as db:
            _tables.create_all(db)

    def put(self, row: RequestRow) -> None:
        """The row as it is now, in place of what was known of it."""
        told = asdict(row) | {"changed_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        with self._results.session() as db:
            if not db.execute(sa.update(_requests).filter_by(id=row.id).values(told)).rowcount:
                db.execute(sa.insert(_requests).values(told))

    def rows(self, ids: Collection[str]) -> dict[str, RequestRow]:
        found: dict[str, RequestRow] = {}
        wanted = list(ids)
        with self._results.session() as db:
            for first in range(0, len(wanted), MOST):
                query = sa.select(_requests).where(_requests.c.id.in_(wanted[first : first + MOST]))
                found |= {row["id"]: RequestRow(**row) for row in db.execute(query).mappings()}
        return found

    def all(self, state: str = "") -> list[RequestRow]:
        """Every row, or those in this state, the last changed first."""
        query = sa.select(_requests).order_by(_requests.c.changed_at.desc())
        with self._results.session() as db:
            return [RequestRow(**row) for row in db.execute(query.filter_by(state=state) if state else query).mappings()]
