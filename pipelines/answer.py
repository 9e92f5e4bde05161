"""The answer: what the tasks said becomes a report with one status, and people's corrections are laid over it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pipelines.corrections import Correction, corrected
from pipelines.findings import Coverage, KeyFrame, Report, Status, TaskResult, numbered
from pipelines.interfaces import UnreadableVideo
from pipelines.judge import Case, curves
from pipelines.looking import in_worker
from pipelines.series import Missing
from pipelines.storyboard import key_frames
from pipelines.watching import Video
from pipelines.workers import WorkerDied

SYSTEM = "signals"  # no language model speaks; trained eyes and readers are told in the settings


def assemble(video: Video, settings: dict[str, object], digest: str, case: Case, results: Sequence[TaskResult], seconds: float) -> Report:
    measured = case.measured
    tasks = tuple(replace(task, findings=numbered(task.findings, video.id, digest, measured.clock)) for task in results)
    storyboard, trouble = _storyboard(video, tasks)
    status, reason = overall(tasks, measured.missing, "; ".join(filter(None, [trouble, *measured.lost])))
    return Report(
        request_id=hashlib.sha256(f"{video.id} {digest}".encode()).hexdigest()[:32],
        video_id=video.id,
        name=video.path.name,
        status=status,
        reason=reason,
        coverage=Coverage(measured.seen_s, measured.total_s),
        system=SYSTEM,
        settings=settings,
        digest=digest,
        media=measured.facts,
        tasks=tasks,
        shots=case.shots,
        curves=curves(measured),
        storyboard=storyboard,
        timings_s={"total": round(seconds, 3)},
        missing=measured.missing,
        clock=measured.clock,
        texts=measured.texts,
        spoken=measured.spoken,
    )


def _storyboard(video: Video, tasks: Sequence[TaskResult]) -> tuple[tuple[KeyFrame, ...], str]:
    """The pictures of the instants that the summary chose, and what went wrong with them."""
    instants: Sequence[float] = next((task.data.get("storyboard", []) for task in tasks if task.task == "summary"), [])
    try:
        return (in_worker(key_frames, video.path.absolute(), instants) if instants else ()), ""
    except (WorkerDied, UnreadableVideo) as error:
        return (), f"the storyboard's pictures could not be decoded: {error}"


def overall(tasks: Sequence[TaskResult], missing: Sequence[Missing], trouble: str = "") -> tuple[Status, str]:
    """One status for the report: what was lost first, then what could not be judged, then whether anything was found."""
    if missing:
        reasons = "; ".join(dict.fromkeys(gap.reason for gap in missing))
        return Status.DEGRADED, f"{sum(gap.duration_s for gap in missing):.1f} s of the file could not be decoded: {reasons}"
    if trouble:
        return Status.DEGRADED, trouble
    troubled = [t for t in tasks if t.status in (Status.DEGRADED, Status.FAILED)]
    if troubled:
        return Status.DEGRADED, _reasons(troubled)
    if all(t.status is Status.EMPTY for t in tasks):
        return Status.EMPTY, _reasons(tasks) or "looked at everything, found nothing"
    return Status.OK, ""


def _reasons(tasks: Sequence[TaskResult]) -> str:
    return "; ".join(f"{t.task}: {t.reason.rstrip('.')}" for t in tasks if t.reason)


def with_words(report: Report, words: Sequence[Correction]) -> Report:
    """The report with people's corrections laid over its findings."""
    if not words:
        return report
    tasks = tuple(_with_words(task, [w for w in words if w.finding.task == task.task]) for task in report.tasks)
    status, reason = (report.status, report.reason) if report.status in (Status.DEGRADED, Status.FAILED) else overall(tasks, report.missing)
    return replace(report, tasks=tasks, status=status, reason=reason)


def _with_words(task: TaskResult, words: Sequence[Correction]) -> TaskResult:
    findings = corrected(task.findings, words)
    status = task.status
    if words and status in (Status.OK, Status.EMPTY):
        status = Status.OK if any(f.state != "rejected" for f in findings) else Status.EMPTY
    return replace(task, findings=findings, status=status)
