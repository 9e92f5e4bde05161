"""Known spots in the result store's database: names, words about them, and their fingerprints. Recognises nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines.interfaces import WrongRequest
from pipelines.spots import Spot
from pipelines.spots_prints import pack_print, unpack_print
from pipelines.stores import tables
from pipelines.stores.connection import put_row
from pipelines.stores.database import DatabaseResults

_spots, _spot_files = tables.spots, tables.spot_files


class SpotShelf:
    """The spots of one result store. They come back in the order of their names."""

    def __init__(self, results: DatabaseResults) -> None:
        self._results, self._database = results, results.database

    def add(self, spot: Spot) -> None:
        """Raises WrongRequest where the name or the very same fingerprint is there."""
        words = {column: getattr(spot, column) for column in ("id", "name", "advertiser", "product", "note", "origin", "length_s")}
        try:
            with self._database.writing("spots") as db:
                added_at = datetime.now(UTC).isoformat(timespec="seconds")
                db.execute(sa.insert(_spots).values(**words, added_at=added_at, print=pack_print(spot.print)))
        except sa.exc.IntegrityError as error:
            there = next((s.name for s in self.all() if s.id == spot.id), None)
            reason = f"this very spot is there, as {there!r}" if there else f"a spot called {spot.name!r} is there; choose another name"
            raise WrongRequest(reason) from error

    def all(self) -> tuple[Spot, ...]:
        with self._database.reading() as db:
            rows = db.execute(sa.select(_spots).order_by(_spots.c.name)).mappings().all()
        return tuple(_spot(row) for row in rows)

    def remove(self, name_or_id: str) -> Spot:
        """Take away the spot with this name or id, or the one id that begins so. Raises WrongRequest where there is none, or several."""
        spots = self.all()
        found = [s for s in spots if name_or_id in (s.name, s.id)] or [s for s in spots if name_or_id and s.id.startswith(name_or_id)]
        if len(found) != 1:
            what = "no spot has a name or id that begins" if not found else f"{len(found)} spots have ids that begin"
            raise WrongRequest(f"{what} with {name_or_id!r}; `longtake spots list` shows them")
        with self._database.writing("spots") as db:
            db.execute(sa.delete(_spots).filter_by(id=found[0].id))
        return found[0]

    def met(self, video_id: str, path: str) -> None:
        """Remember where a video lies."""
        with self._database.writing(video_id) as db:
            put_row(db, _spot_files, {"video_id": video_id, "path": path})

    def paths(self) -> dict[str, str]:
        """Video id -> where it lay when it was last met here, else the name that its report has."""
        with self._database.reading() as db:
            rows = db.execute(sa.select(_spot_files)).all()
        return self._results.names() | {row.video_id: row.path for row in rows}


def _spot(row: Any) -> Spot:
    words = {column: row[column] for column in ("id", "name", "advertiser", "product", "note", "origin")}
    return Spot(print=unpack_print(row["print"], row["length_s"]), **words)
