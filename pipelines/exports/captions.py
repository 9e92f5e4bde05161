"""What caption tools and browsers read: WebVTT chapters, WebVTT metadata cues, SubRip."""

from __future__ import annotations

import html
import json

from model.video import TimeSpan
from pipelines.exports.markers import accepted, film_parts, milliseconds, one_line
from pipelines.findings import Finding, Report

TITLE_CARD_S = 6.0  # a chapter's title shown for its whole length would cover the film


def vtt_chapters(report: Report) -> str:
    """WebVTT for `<track kind="chapters">`: parts of the film that never overlap."""
    cues = [
        f"{number}\n{_range(part.span, '.')}\n{html.escape(part.title, quote=False)}\n" for number, part in enumerate(film_parts(report), 1)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def vtt_metadata(report: Report) -> str:
    """WebVTT for `<track kind="metadata">`: a JSON object per finding, on one line."""
    cues = [f"{one_line(f.id) or number}\n{_range(f.span, '.')}\n{_payload(f)}\n" for number, f in enumerate(accepted(report), 1)]
    return "\n".join(["WEBVTT\n", *cues])


def srt(report: Report) -> str:
    """SubRip: what was found, as captions; titles of chapters and lines of the summary as cards of a few seconds."""
    said = [f for f in accepted(report) if f.task != "shots"]  # "Shot 812" all through a film tells a viewer nothing
    cues = [f"{number}\n{_range(_shown(f), ',')}\n{_caption(f)}\n" for number, f in enumerate(said, 1)]
    return "\n".join(cues)


def _payload(finding: Finding) -> str:
    """JSON without `>`: a cue's text must not hold an arrow."""
    values = {
        "id": finding.id,
        "task": finding.task,
        "kind": finding.kind,
        "start_s": round(finding.span.start_s, 6),
        "end_s": round(finding.span.end_s, 6),
        "score": round(finding.score, 6),
        "label": finding.label,
        "explanation": finding.explanation,
        "evidence": [{"name": cue.name, "score": round(cue.score, 6), "detail": cue.detail} for cue in finding.evidence],
        "state": finding.state,
    }
    return json.dumps(values).replace(">", "\\u003e").replace("<", "\\u003c").replace("&", "\\u0026")


def _shown(finding: Finding) -> TimeSpan:
    if finding.task not in ("chapters", "summary"):
        return finding.span
    return TimeSpan(finding.span.start_s, min(finding.span.end_s, finding.span.start_s + TITLE_CARD_S))


def _caption(finding: Finding) -> str:
    """SubRip has no escapes, and players read `<i>` and `{\\an8}` as mark-up: other brackets say the same to a reader."""
    return one_line(finding.label or finding.kind).translate(str.maketrans("<>{}", "‹›()"))


def cue_range(span: TimeSpan) -> str:
    """`00:01:02.500 --> 00:01:04.000`, as WebVTT writes it."""
    return _range(span, ".")


def _range(span: TimeSpan, point: str) -> str:
    start, end = milliseconds(span)
    return f"{_clock(start, point)} --> {_clock(end, point)}"


def _clock(milliseconds: int, point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{thousandths:03d}"
