"""What is remembered of every video, in the result store's database; embeddings in full lie with the blobs. Searches nothing."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.glimpses import KEPT_CLASSES, Glimpses, Line, codes_of
from pipelines.interfaces import Blobs, Meaning, StoreUnavailable
from pipelines.stores import tables
from pipelines.stores.connection import put_row
from pipelines.stores.database import DatabaseResults

_seen, _said = tables.seen, tables.said


@dataclass(frozen=True, slots=True)
class SeenVideo:
    """One video that holds hits; its arrays as in Glimpses."""

    video_id: str
    name: str
    duration_s: float
    spans_s: NDArray[np.float32]
    classes: NDArray[np.int16]
    shares: NDArray[np.float16]


class SeenShelf:
    """The searchable memory of one store."""

    def __init__(self, results: DatabaseResults, blobs: Blobs, encoder: str) -> None:
        """encoder: name and digest of the one whose embeddings are compared, empty for words alone."""
        self._database, self._blobs, self._encoder = results.database, blobs, encoder

    def put(self, video_id: str, name: str, duration_s: float, glimpses: Glimpses, lines: Sequence[Line]) -> None:
        """Keep what was seen and said, in place of what was kept of this video before."""
        key = {"video_id": video_id, "encoder": self._encoder}
        arrays = {"spans": glimpses.spans_s, "codes": codes_of(glimpses.embeddings), "classes": glimpses.classes, "shares": glimpses.shares}
        rows = [
            {"video_id": video_id, "ordinal": k, "start_s": line.span.start_s, "end_s": line.span.end_s, "origin": line.origin,
             "text": (text := line.text.replace("\0", "")), "folded": text.casefold(), "confidence": line.confidence, "how": line.how}
            for k, line in enumerate(lines)
        ]  # fmt: skip
        self._blobs.put(self._key(video_id), _npy(glimpses.embeddings))
        self._blobs.delete(f"search/{video_id}/meaning.npy")
        stored = {n: np.ascontiguousarray(a).tobytes() for n, a in arrays.items()}
        with self._database.writing(video_id) as db:
            put_row(db, _seen, key | {"name": name, "duration_s": duration_s} | stored)
            db.execute(sa.delete(_said).filter_by(video_id=video_id))
            if rows:
                db.execute(sa.insert(_said), rows)

    def has(self, video_id: str) -> bool:
        with self._database.reading() as db:
            return db.scalar(sa.select(_seen.c.video_id).filter_by(video_id=video_id, encoder=self._encoder)) is not None

    def names(self, only: Collection[str] | None = None) -> dict[str, tuple[str, float]]:
        """Video id -> (file name, seconds), of all videos that this encoder has seen, or of those in `only`."""
        return {row.video_id: (row.name, row.duration_s) for row in self._rows(only, _seen.c.name, _seen.c.duration_s)}

    def codes(self, only: Collection[str] | None = None) -> dict[str, NDArray[np.uint64]]:
        """Video id -> (n, 4) codes of its glimpses. One column of the table: it is read whole for every search."""
        return {row.video_id: np.frombuffer(row.codes, np.uint64).reshape(-1, 4) for row in self._rows(only, _seen.c.codes)}

    def classes(self, only: Collection[str] | None = None) -> dict[str, NDArray[np.int16]]:
        """Video id -> (n, 8) likeliest classes of its glimpses."""
        return {row.video_id: np.frombuffer(row.classes, np.int16).reshape(-1, KEPT_CLASSES) for row in self._rows(only, _seen.c.classes)}

    def videos(self, only: Collection[str]) -> list[SeenVideo]:
        return [
            _seen_video(row) for row in self._rows(only, *(_seen.c[name] for name in ("name", "duration_s", "classes", "shares", "spans")))
        ]

    def _rows(self, only: Collection[str] | None, *columns: Any) -> Sequence[Any]:
        rows = sa.select(_seen.c.video_id, *columns).filter_by(encoder=self._encoder).order_by(_seen.c.video_id)
        with self._database.reading() as db:
            return db.execute(rows if only is None else rows.where(_seen.c.video_id.in_(only))).all()

    def embeddings(self, video_id: str) -> NDArray[np.float16]:
        """(n, D): in full, as encoded."""
        found: NDArray[np.float16] = np.load(io.BytesIO(self._blobs.get(self._key(video_id))), allow_pickle=False)
        return found

    def meanings(self, video_id: str, meaning: Meaning) -> NDArray[np.uint64]:
        """(lines, 4): codes of what each line means, in the lines' order; made when first asked for."""
        key = f"search/{video_id}/meaning.npy"
        try:
            found: NDArray[np.uint64] = np.load(io.BytesIO(self._blobs.get(key)), allow_pickle=False)
        except KeyError:
            lines = self.lines([video_id])
            found = codes_of(meaning.embed([line.text for _, line in lines]) if lines else np.empty((0, 1)))
            with suppress(StoreUnavailable):  # a store that cannot be written answers all the same, only slower
                self._blobs.put(key, _npy(found))
        return found

    def lines(self, only: Collection[str] | None = None, containing: Sequence[str] = (), at: Sequence[int] = ()) -> list[tuple[str, Line]]:
        """(video id, line): all, or those that hold any of the pieces `containing` (casefolded), or of those `at` these ordinals."""
        rows = sa.select(_said).order_by(_said.c.video_id, _said.c.ordinal)
        if only is not None:
            rows = rows.where(_said.c.video_id.in_(only))
        if at:
            rows = rows.where(_said.c.ordinal.in_(at))
        if containing:
            rows = rows.where(sa.or_(*(_said.c.folded.contains(piece, autoescape=True) for piece in containing)))
        with self._database.reading() as db:
            found = db.execute(rows).all()
        return [(r.video_id, Line(TimeSpan(r.start_s, r.end_s), r.text, r.origin, r.confidence, r.how)) for r in found]

    def _key(self, video_id: str) -> str:
        return f"search/{video_id}/{self._encoder or 'words'}.npy"


def _seen_video(row: sa.Row[Any]) -> SeenVideo:
    spans_s = np.frombuffer(row.spans, np.float32).reshape(-1, 2)
    classes = np.frombuffer(row.classes, np.int16).reshape(-1, KEPT_CLASSES)
    shares = np.frombuffer(row.shares, np.float16).reshape(-1, KEPT_CLASSES)
    return SeenVideo(row.video_id, row.name, row.duration_s, spans_s, classes, shares)


def _npy(array: NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()
