"""The shots task: shots as findings, and what of the recording is not story. Judges nothing beyond what signals found."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.findings import Cue, Finding, Shot, Status, TaskResult
from pipelines.series import Measured
from pipelines.signals.technical import find_technical, timecode_of

OPENINGS = {"start": "the video begins", "cut": "a hard cut", "fade": "a fade", "dissolve": "a dissolve", "wipe": "a wipe"}


def list_shots(measured: Measured, shots: Sequence[Shot]) -> TaskResult:
    """One finding a shot, its kind how it opens, its score how sure that is; `data` has the technical stretches and the timecode.

    EMPTY where the video has no pictures.
    """
    if not shots:
        return TaskResult("shots", Status.EMPTY, reason="the video has no pictures, so there are no shots")
    timecode = timecode_of(measured)
    technical = [
        {"kind": t.kind, "start_s": round(t.span.start_s, 3), "end_s": round(t.span.end_s, 3), "detail": t.detail}
        for t in find_technical(measured)
    ]
    data = {"technical": technical, "timecode": timecode.at(0) if timecode else None}
    findings = tuple(_finding(number, shot, timecode.at(shot.span.start_s) if timecode else "") for number, shot in enumerate(shots, 1))
    return TaskResult("shots", Status.OK, findings, data=data)


def _finding(number: int, shot: Shot, timecode: str) -> Finding:
    how = OPENINGS.get(shot.opened_by, shot.opened_by)
    cue = Cue(shot.opened_by, round(shot.score, 3), f"opened by {how}" if shot.opened_by != "start" else how, shot.transition)
    return Finding(
        task="shots",
        kind=shot.opened_by,
        span=shot.span,
        score=round(min(1.0, max(0.0, shot.score)), 3),
        label=f"Shot {number}",
        explanation=f"{how[0].upper()}{how[1:]}.",
        evidence=(cue,),
        data={"timecode": timecode} if timecode else {},
    )
