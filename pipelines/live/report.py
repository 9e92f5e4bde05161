"""What is known of a stream as a report in the usual shape: growing while it is on air, whole when it has ended. Judges nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from pipelines.answer import SYSTEM, overall
from pipelines.findings import Coverage, Curve, Finding, Report, Status, TaskResult
from pipelines.judge import curves
from pipelines.live.panel import LINE
from pipelines.live.state import State, findings_from_bytes
from pipelines.live.watch import LiveWatch
from pipelines.series import Missing

MOST_FINDINGS = 5000  # of the newest; a stream may go on for years


def report_of(watch: LiveWatch) -> Report:
    """The report of everything that was told so far, without what was withdrawn. curves: of the newest window."""
    state, findings = watch.state, sorted(_findings(watch), key=lambda f: f.span)
    tasks = tuple(_task(name, [f for f in findings[-MOST_FINDINGS:] if f.task == name]) for name in sorted(state.rolling))
    missing = tuple(Missing(f.span.start_s, f.span.end_s, f.label) for f in findings if f.task == LINE)
    total_s = max((run.reached_s for run in state.runs), default=0.0)
    status, reason = overall([t for t in tasks if t.task != LINE] or tasks, (), "; ".join(_troubles(watch, len(findings))))
    window = watch.panel.newest.since(watch.panel.newest.start_s)
    return Report(
        request_id=hashlib.sha256(f"{watch.stream} {watch.digest}".encode()).hexdigest()[:32],
        video_id=watch.stream,
        name=watch.stream,
        status=status,
        reason=reason,
        coverage=Coverage(max(0.0, total_s - state.missed_s), total_s),
        system=SYSTEM,
        settings=watch.told_settings,
        digest=watch.digest,
        media=state.facts,
        tasks=tasks,
        curves={name: _later(curve, window.start_s) for name, curve in curves(window).items()} if window.parts else {},
        missing=missing,
        clock=state.run.clock if state.run else None,
    )


def _findings(watch: LiveWatch) -> Iterable[Finding]:
    for batch in range(watch.state.sealed):
        yield from findings_from_bytes(watch.keeper.get("sealed", batch))
    for rolling in watch.state.rolling.values():
        yield from (replace(t.finding, data={**t.finding.data, "open": t.is_open}) for t in rolling.open)


def _task(name: str, findings: list[Finding]) -> TaskResult:
    return TaskResult(name, Status.OK if findings else Status.EMPTY, tuple(findings), "" if findings else "nothing found so far")


def _troubles(watch: LiveWatch, count: int) -> list[str]:
    told = list(watch.senses.missing)
    if watch.state.missed_s > 0:
        told.append(f"{watch.state.missed_s:.1f} s of the stream were not seen ({_counted(watch.state)})")
    if count > MOST_FINDINGS:
        told.append(f"of {count} findings the newest {MOST_FINDINGS} are listed")
    return told


def _counted(state: State) -> str:
    words = {
        "lost": "chunks did not arrive",
        "late": "came too late",
        "damaged": "could not be decoded",
        "runs": "times the clock began anew",
    }
    return ", ".join(f"{state.counts[name]} {said}" for name, said in words.items() if state.counts[name]) or "the source sent nothing"


def _later(curve: Curve, by_s: float) -> Curve:
    return Curve(tuple(t + by_s for t in curve.times_s), curve.values)
