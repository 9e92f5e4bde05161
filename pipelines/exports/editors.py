"""What editing programs read: an OpenTimelineIO timeline, the film as one clip with the findings as markers on it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from model.video import TimeSpan
from pipelines.exports.markers import accepted, one_line
from pipelines.findings import Finding, Report

if TYPE_CHECKING:
    import opentimelineio

RATE_WITHOUT_FRAMES = 1000.0  # milliseconds, where the file tells no frame rate
COLOURS = {"ads": "ORANGE", "anomalies": "RED", "chapters": "BLUE", "summary": "GREEN"}


def otio(report: Report) -> str:
    """OTIO JSON. Times are rounded to the frame where the frame rate is known: editors cut on frames."""
    import opentimelineio as otio

    rate = _frame_rate(report.media)
    whole = TimeSpan(0.0, max(report.coverage.seconds_total, 1 / rate))
    reference = otio.schema.ExternalReference(
        target_url=quote(report.name.encode("utf-8", "surrogateescape")), available_range=_range(whole, rate)
    )
    clip = otio.schema.Clip(name=one_line(report.name), media_reference=reference, source_range=_range(whole, rate))
    clip.markers.extend(_marker(finding, rate) for finding in accepted(report))
    timeline = otio.schema.Timeline(name=one_line(report.name))
    timeline.metadata["longtake"] = {"request_id": report.request_id, "video_id": report.video_id, "digest": report.digest}
    timeline.tracks.append(otio.schema.Track(name="video", kind=otio.schema.TrackKind.Video, children=[clip]))
    return f"{otio.adapters.write_to_string(timeline, 'otio_json')}\n"


def _marker(finding: Finding, rate: float) -> opentimelineio.schema.Marker:
    import opentimelineio as otio

    known = {"id": finding.id, "task": finding.task, "kind": finding.kind, "score": round(finding.score, 6), "state": finding.state}
    exact = {"start_s": round(finding.span.start_s, 6), "end_s": round(finding.span.end_s, 6)}
    return otio.schema.Marker(
        name=one_line(finding.label) or finding.kind,
        marked_range=_range(finding.span, rate),
        color=COLOURS.get(finding.task, "PURPLE"),
        metadata={"longtake": {**known, **exact, "explanation": finding.explanation}},
    )


def _range(span: TimeSpan, rate: float) -> opentimelineio.opentime.TimeRange:
    import opentimelineio as otio

    start, end = round(span.start_s * rate), round(span.end_s * rate)
    return otio.opentime.TimeRange(otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(max(end - start, 1), rate))


def _frame_rate(media: Any) -> float:
    try:
        rate = float(Fraction(str(media.get("frame_rate"))))
    except (ValueError, ZeroDivisionError):
        return RATE_WITHOUT_FRAMES
    return rate if rate > 0 else RATE_WITHOUT_FRAMES
