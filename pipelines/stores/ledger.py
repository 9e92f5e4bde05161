"""What services must not forget of messages: attempts at them, objects that were met, and which video a source was. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines.stores import tables
from pipelines.stores.connection import put_row
from pipelines.stores.database import DatabaseResults

MOST = 500  # uris asked for at once: databases limit the parameters of a query
_attempts, _objects, _sources = tables.attempts, tables.objects, tables.sources


class Ledger:
    """Every change is committed when its method returns. All raise StoreUnavailable."""

    def __init__(self, results: DatabaseResults) -> None:
        self._database = results.database

    def begin(self, stage: str, message_id: str) -> int:
        """Count one more attempt at a message, before the work begins; how many there are now, this one included."""
        key = {"stage": stage, "message_id": message_id}
        now = _now()
        with self._database.writing(f"attempt {stage} {message_id}") as db:
            before = db.execute(sa.select(_attempts.c.attempts, _attempts.c.first_at).filter_by(**key)).one_or_none()
            count, first_at = (before.attempts + 1, before.first_at) if before else (1, now)
            put_row(db, _attempts, key | {"attempts": count, "first_at": first_at, "last_at": now})
        return count

    def first_at(self, stage: str, message_id: str) -> str:
        """When the first attempt began, as RFC 3339; empty where none is counted."""
        with self._database.reading() as db:
            return db.scalar(sa.select(_attempts.c.first_at).filter_by(stage=stage, message_id=message_id)) or ""

    def settle(self, stage: str, message_id: str) -> None:
        """Forget the attempts: the message is done, or buried."""
        with self._database.writing(f"attempt {stage} {message_id}") as db:
            db.execute(sa.delete(_attempts).filter_by(stage=stage, message_id=message_id))

    def withdraw(self, stage: str, message_id: str) -> None:
        """Count one attempt less: it was broken off through no fault of the message."""
        with self._database.writing(f"attempt {stage} {message_id}") as db:
            mine = {"stage": stage, "message_id": message_id}
            db.execute(sa.update(_attempts).filter_by(**mine).values(attempts=_attempts.c.attempts - 1))
            db.execute(sa.delete(_attempts).filter_by(**mine).where(_attempts.c.attempts < 1))

    def met(self, uri: str, version: str, sequencer: str, request_id: str) -> bool:
        """Note an object's version; False where this one or a newer one is noted already.

        sequencer: hexadecimal, later ones sort behind earlier ones of the same uri; empty where only a listing told: what lies there now
        is newer than all that is noted.
        """
        order = sequencer.upper()
        with self._database.writing(f"object {uri}") as db:
            there = db.execute(sa.select(_objects.c.version, _objects.c.sequencer).filter_by(uri=uri)).one_or_none()
            if there is not None and (there.version == version or "" < order < there.sequencer):
                if there.version == version and order > there.sequencer:
                    db.execute(sa.update(_objects).filter_by(uri=uri).values(sequencer=order))
                return False
            kept = order or (there.sequencer if there else "")
            row = {"uri": uri, "version": version, "sequencer": kept, "request_id": request_id, "seen_at": _now()}
            put_row(db, _objects, row)
        return True

    def known(self, uris: Collection[str]) -> dict[str, str]:
        """uri -> the version last met, of those that were."""
        found: dict[str, str] = {}
        wanted = list(uris)
        with self._database.reading() as db:
            for first in range(0, len(wanted), MOST):
                rows = db.execute(sa.select(_objects.c.uri, _objects.c.version).where(_objects.c.uri.in_(wanted[first : first + MOST])))
                found |= {row.uri: row.version for row in rows}
        return found

    def video_of(self, uri: str, version: str) -> str | None:
        """The id of the video that this version of the source was, where somebody has read it."""
        with self._database.reading() as db:
            found: str | None = db.scalar(sa.select(_sources.c.video_id).filter_by(uri=uri, version=version))
        return found

    def identified(self, uri: str, version: str, video_id: str) -> None:
        with self._database.writing(f"source {uri} {version}") as db:
            put_row(db, _sources, {"uri": uri, "version": version, "video_id": video_id})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
