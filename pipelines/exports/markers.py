"""What the marker formats mark: accepted findings, ad time, and the film as parts that never overlap. Knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.video import TimeSpan
from pipelines.findings import Finding, Report

SHORTEST_PART_S = 0.5  # what an ad leaves of a chapter; less is a sliver that no viewer would jump to


@dataclass(frozen=True, slots=True)
class Marker:
    span: TimeSpan
    title: str


def accepted(report: Report, *tasks: str) -> list[Finding]:
    """Findings that nobody rejected, in time order; of all tasks where none is named."""
    return [f for f in report.findings if f.state != "rejected" and (not tasks or f.task in tasks)]


def ad_breaks(report: Report) -> list[Marker]:
    """Ad time as stretches that never touch: breaks, and spots that lie in no break. The widest finding names its stretch."""
    merged: list[list[Finding]] = []
    end_s = -1.0
    for finding in accepted(report, "ads"):
        if finding.span.start_s > end_s:
            merged.append([])
        merged[-1].append(finding)
        end_s = max(end_s, finding.span.end_s)
    return [_stretch(group) for group in merged]


def _stretch(group: Sequence[Finding]) -> Marker:
    widest = max(group, key=lambda f: f.span.duration_s)
    return Marker(TimeSpan(group[0].span.start_s, max(f.span.end_s for f in group)), one_line(widest.label) or "Advertisement")


def film_parts(report: Report) -> list[Marker]:
    """Chapters with the ads and the intro, recap and credits cut out of them, and these, in time order without overlap.

    Where there are ads or such parts and no chapters, the programme between them is numbered. Players skip parts by these names.
    """
    breaks = ad_breaks(report)
    named = [Marker(finding.span, finding.kind.capitalize()) for finding in accepted(report, "parts")]
    fixed = sorted([*breaks, *(piece for part in _no_overlap(named) for piece in _without(part, breaks))], key=lambda marker: marker.span)
    chapters = _no_overlap([Marker(f.span, one_line(f.label) or "Chapter") for f in accepted(report, "chapters")])
    total_s = report.coverage.seconds_total
    if not chapters and fixed and total_s > 0:
        between = _without(Marker(TimeSpan(0.0, total_s), ""), fixed)
        chapters = [Marker(part.span, f"Part {number}") for number, part in enumerate(between, 1)]
    else:
        chapters = [part for chapter in chapters for part in _without(chapter, fixed)]
    return _closed_up(sorted([*chapters, *fixed], key=lambda marker: marker.span), fixed)


def _closed_up(parts: Sequence[Marker], ads: Sequence[Marker]) -> list[Marker]:
    """Where a sliver was dropped between two parts, the programme's part takes its time; ads keep their edges."""
    out: list[Marker] = []
    for part in parts:
        gap_s = part.span.start_s - out[-1].span.end_s if out else 0.0
        if 0 < gap_s < SHORTEST_PART_S and part not in ads:
            part = Marker(TimeSpan(out[-1].span.end_s, part.span.end_s), part.title)
        elif 0 < gap_s < SHORTEST_PART_S and out[-1] not in ads:
            out[-1] = Marker(TimeSpan(out[-1].span.start_s, part.span.start_s), out[-1].title)
        out.append(part)
    return out


def _no_overlap(markers: Sequence[Marker]) -> list[Marker]:
    """Each chapter ends where the next one begins, at the latest."""
    out: list[Marker] = []
    for marker in markers:
        if out and out[-1].span.end_s > marker.span.start_s:
            last = out.pop()
            if last.span.start_s < marker.span.start_s:
                out.append(Marker(TimeSpan(last.span.start_s, marker.span.start_s), last.title))
        out.append(marker)
    return out


def _without(marker: Marker, holes: Sequence[Marker]) -> list[Marker]:
    parts, start_s = [], marker.span.start_s
    for hole in [*(h for h in holes if h.span.overlap_s(marker.span) > 0), None]:
        end_s = hole.span.start_s if hole else marker.span.end_s
        if end_s - start_s >= min(SHORTEST_PART_S, marker.span.duration_s):
            parts.append(Marker(TimeSpan(start_s, end_s), marker.title))
        start_s = hole.span.end_s if hole else end_s
    return parts


def one_line(text: str) -> str:
    """Text on one line, without control characters: no format's line structure survives a newline in a title."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def milliseconds(span: TimeSpan) -> tuple[int, int]:
    """Start and end as whole milliseconds, at least one apart."""
    start = round(span.start_s * 1000)
    return start, max(start + 1, round(span.end_s * 1000))
