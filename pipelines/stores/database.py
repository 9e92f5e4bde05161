"""Reports, findings and corrections in any database SQLAlchemy speaks; SQLite where nothing else is named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from model.video import TimeSpan
from pipelines.corrections import Correction, corrected
from pipelines.exports.report_json import finding_from_json, finding_to_json, report_from_json, report_to_json
from pipelines.findings import Finding, Report
from pipelines.interfaces import WrongRequest
from pipelines.stores import tables
from pipelines.stores.connection import Database, put_row

_reports, _findings, _corrections = tables.reports, tables.findings, tables.corrections
BEYOND_S = 0.5  # what a rounded length may be over the film's end
ROW = ("id", "task", "kind", "start_s", "end_s", "score", "label", "state", "revision")


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One row of the findings list, corrections applied."""

    id: str
    video_id: str
    name: str
    source: str
    task: str
    kind: str
    start_s: float
    end_s: float
    score: float
    label: str
    state: str
    revision: int


class DatabaseResults:
    """The result store. Saving is idempotent: the same report under the same settings replaces itself."""

    def __init__(self, url: str) -> None:
        """Makes the tables where there are none. Raises StoreUnavailable, OldTables."""
        self.database = Database(url)

    def save(self, report: Report, source: str) -> None:
        """Keep the report as found (no corrections in it). Its tasks' rows replace those of earlier runs over the same video."""
        key = {"video_id": report.video_id, "digest": report.digest}
        text = json.dumps(report_to_json(report, with_pictures=True), separators=(",", ":"))
        saved_at = datetime.now(UTC).isoformat(timespec="microseconds")
        told = {"source": source, "name": report.name, "status": report.status.value, "saved_at": saved_at, "report": text}
        with self.database.writing(report.video_id) as db:
            put_row(db, _reports, key | told)
            self._write_rows(db, report, source)

    def load(self, video_id: str, digest: str) -> Report | None:
        """The stored report as it was found, or None."""
        with self.database.reading() as db:
            text = db.scalar(sa.select(_reports.c.report).filter_by(video_id=video_id, digest=digest))
        return report_from_json(json.loads(text)) if text else None

    def forget(self, video_id: str) -> None:
        """As if it had never been: its reports, findings and corrections, what search knows of it, and who asked for it."""
        with self.database.writing(video_id) as db:
            for table in tables.TABLES.sorted_tables:
                if "video_id" in table.c:
                    db.execute(sa.delete(table).where(table.c.video_id == video_id))

    def names(self) -> dict[str, str]:
        """Video id -> the file's name, of every video with a report; the latest where one was renamed."""
        with self.database.reading() as db:
            rows = db.execute(sa.select(_reports.c.video_id, _reports.c.name).order_by(_reports.c.saved_at)).all()
        return {row.video_id: row.name for row in rows}

    def videos(self, source: str) -> list[str]:
        """Ids of the videos with a report of this source, the last saved first."""
        when = sa.func.max(_reports.c.saved_at)
        query = sa.select(_reports.c.video_id).filter_by(source=source).group_by(_reports.c.video_id).order_by(when.desc())
        with self.database.reading() as db:
            return list(db.scalars(query))

    def findings(
        self,
        *,
        task: str | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        min_score: float = 0.0,
        video: str | None = None,
        finding_id: str | None = None,
    ) -> list[FindingRow]:
        """Rows in order of video and time. `video`: a name or the beginning of an id; times select what overlaps `[from_s, to_s)`."""
        rows = sa.select(_findings).where(_findings.c.score >= min_score)
        if task:
            rows = rows.where(_findings.c.task == task)
        if from_s is not None:
            rows = rows.where(_findings.c.end_s > from_s)
        if to_s is not None:
            rows = rows.where(_findings.c.start_s < to_s)
        if video:
            rows = rows.where(sa.or_(_findings.c.name == Path(video).name, _findings.c.video_id.startswith(video, autoescape=True)))
        if finding_id:
            rows = rows.where(_findings.c.id.startswith(finding_id, autoescape=True))
        with self.database.reading() as db:
            found = (
                db.execute(rows.order_by(_findings.c.name, _findings.c.start_s, _findings.c.end_s.desc(), _findings.c.id)).mappings().all()
            )
        return [FindingRow(**{k: v for k, v in row.items() if k not in ("digest", "finding")}) for row in found]

    def correct(
        self, finding_id: str, *, span: TimeSpan | None = None, label: str | None = None, rejected: bool = False, note: str = ""
    ) -> FindingRow:
        """Put a person's word on a finding (its id, or the unambiguous beginning of one) and return the row as it is now."""
        row = self.finding(finding_id)
        before = self._word_on(row)
        if span is not None and (span.start_s >= (length_s := self._length_s(row)) or span.end_s > length_s + BEYOND_S):
            late_s = span.start_s if span.start_s >= length_s else span.end_s
            raise WrongRequest(f"{row.name} ends at {length_s:.3f} s, before {late_s:.3f} s")
        words = {
            "finding": finding_to_json(before.finding) if before else self._as_found(row.id),
            "span": [s.start_s, s.end_s] if (s := span or (before.span if before else None)) else None,
            "label": label or (before.label if before else None),
            "rejected": rejected,
            "note": note or (before.note if before else ""),
        }
        said = {"revision": row.revision + 1, "made_at": datetime.now(UTC).isoformat(timespec="seconds"), "words": json.dumps(words)}
        with self.database.writing(row.video_id) as db:
            db.execute(sa.insert(_corrections).values(finding_id=row.id, video_id=row.video_id, source=row.source, **said))
        self._refresh(row.video_id)
        return self.finding(row.id)

    def corrections(self, *, video_id: str | None = None, source: str | None = None) -> list[Correction]:
        """People's words, oldest first."""
        query = sa.select(_corrections).order_by(_corrections.c.row)
        if video_id:
            query = query.filter_by(video_id=video_id)
        if source:
            query = query.filter_by(source=source)
        with self.database.reading() as db:
            return [_correction(row) for row in db.execute(query).mappings()]

    def _word_on(self, row: FindingRow) -> Correction | None:
        """The last correction of this very finding, whatever id it had then."""
        said = [c for c in self.corrections(video_id=row.video_id) if c.finding.task == row.task and c.finding.kind == row.kind]
        here = [c for c in said if c.finding.id == row.id or (c.span or c.finding.span) == TimeSpan(row.start_s, row.end_s)]
        return here[-1] if here else None

    def _length_s(self, row: FindingRow) -> float:
        with self.database.reading() as db:
            texts = db.scalars(sa.select(_reports.c.report).filter_by(video_id=row.video_id)).all()
        return max((float(json.loads(text)["coverage"]["seconds_total"]) for text in texts), default=math.inf)

    def _as_found(self, finding_id: str) -> Any:
        with self.database.reading() as db:
            return json.loads(str(db.scalar(sa.select(_findings.c.finding).filter_by(id=finding_id))))

    def finding(self, finding_id: str) -> FindingRow:
        """The row with this id, or the one id that begins so; an earlier run's id leads to what is there now. Raises WrongRequest."""
        rows = self.findings(finding_id=finding_id) or self._now(finding_id)
        exact = [row for row in rows if row.id == finding_id] or rows
        if len(exact) != 1:
            what = "no finding has an id that begins" if not exact else f"{len(exact)} findings have ids that begin"
            raise WrongRequest(f"{what} with {finding_id!r} in {self.database.name}; `longtake findings` lists them")
        return exact[0]

    def _now(self, finding_id: str) -> list[FindingRow]:
        """Rows for what a stored report calls `finding_id`: the same task and kind, the most overlap, else none."""
        with self.database.reading() as db:
            texts = db.scalars(sa.select(_reports.c.report).where(_reports.c.report.contains(f'"id":"{finding_id}', autoescape=True))).all()
        named = [(r.video_id, f) for r in map(report_from_json, map(json.loads, texts)) for f in r.findings if f.id.startswith(finding_id)]
        rows = {}
        for video_id, f in named:
            alike = [row for row in self.findings(task=f.task, video=video_id) if row.kind == f.kind]
            best = max(alike, key=lambda row: f.span.overlap_s(TimeSpan(row.start_s, row.end_s)), default=None)
            if best is not None and f.span.overlap_s(TimeSpan(best.start_s, best.end_s)) > 0:
                rows[best.id] = best
        return list(rows.values())

    def _refresh(self, video_id: str) -> None:
        """Lay the corrections over the video's stored reports again, oldest first."""
        with self.database.writing(video_id) as db:
            rows = db.execute(sa.select(_reports).filter_by(video_id=video_id).order_by(_reports.c.saved_at)).mappings().all()
            for row in rows:
                self._write_rows(db, report_from_json(json.loads(row["report"])), row["source"])

    def _write_rows(self, db: sa.Connection, report: Report, source: str) -> None:
        words = db.execute(sa.select(_corrections).filter_by(video_id=report.video_id).order_by(_corrections.c.row)).mappings().all()
        tasks = [task.task for task in report.tasks]
        shared = {"video_id": report.video_id, "digest": report.digest, "source": source, "name": report.name}
        own = [word for word in map(_correction, words) if word.finding.task in tasks]
        rows = [shared | _columns(f) for f in corrected(report.findings, own)]
        db.execute(sa.delete(_findings).where(_findings.c.video_id == report.video_id, _findings.c.task.in_(tasks)))
        if rows:
            db.execute(sa.insert(_findings), rows)


def _columns(f: Finding) -> dict[str, Any]:
    told = finding_to_json(f)  # also of the numbers: a row says what the report says, to the last digit
    return {name: told[name] for name in ROW} | {"finding": json.dumps(told)}


def _correction(row: Any) -> Correction:
    words = json.loads(row["words"])
    return Correction(
        finding=finding_from_json(words["finding"]),
        span=TimeSpan(*words["span"]) if words["span"] else None,
        **{name: row[name] for name in ("video_id", "source", "revision", "made_at")},
        **{name: words[name] for name in ("label", "rejected", "note")},
    )
