"""What people say about findings, laid over what the machine says. A run never overwrites a person. Knows no store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from model.video import TimeSpan
from pipelines.findings import Finding

SAME_FINDING_OVERLAP = 0.3  # of the union: edges move between versions and settings, findings rarely do


@dataclass(frozen=True, slots=True)
class Correction:
    """One person's word on one finding. `finding` is what the machine had said; None fields leave that part as it was."""

    finding: Finding
    video_id: str
    source: str
    revision: int
    made_at: str  # RFC 3339, UTC
    span: TimeSpan | None = None
    label: str | None = None
    rejected: bool = False
    note: str = ""


def corrected(findings: Sequence[Finding], corrections: Sequence[Correction]) -> tuple[Finding, ...]:
    """Findings with the latest word on each, which also holds for the spots in a break. What a run no longer finds stays as said:
    a corrected finding counts, a rejected one can still be taken back."""
    out = list(findings)
    for correction in latest(corrections):
        place = _match(correction, findings)
        if place is not None:
            out[place] = _revised(out[place], correction)
        else:
            out.append(_kept(correction))
        out = [_within(finding, correction) for finding in out]
    out = [part for finding in out for part in _around_its_spots(finding, out)]
    return tuple(sorted(out, key=lambda f: (f.span.start_s, f.span.end_s)))


def _around_its_spots(finding: Finding, findings: Sequence[Finding]) -> list[Finding]:
    """A break follows what was said of its spots: one that is programme is no part of it, and may part it in two."""
    if finding.kind != "break" or finding.state != "found":
        return [finding]
    spots = [f for f in findings if (f.task, f.kind) == (finding.task, "spot") and f.span.overlap_s(finding.span) > f.span.duration_s / 2]
    spots = sorted(spots, key=lambda f: f.span)
    if all(spot.state == "found" for spot in spots):
        return [finding]
    groups = [list(group) for is_left, group in groupby(spots, lambda f: f.state != "rejected") if is_left]
    revision = max(spot.revision for spot in spots)
    if not groups:
        return [replace(finding, state="rejected", revision=revision)]
    return [_break_of(finding, group, number, revision) for number, group in enumerate(groups)]


def _break_of(finding: Finding, spots: Sequence[Finding], number: int, revision: int) -> Finding:
    span = TimeSpan(spots[0].span.start_s, spots[-1].span.end_s)
    label = f"Ad break, {len(spots)} spot{'s' if len(spots) > 1 else ''}, {span.duration_s:.1f} s"
    own = finding.id if number == 0 else hashlib.sha256(f"{finding.id}\n{number}".encode()).hexdigest()[:32]
    return replace(finding, span=span, ticks=None, label=label, id=own, revision=revision, state="corrected")


def latest(corrections: Sequence[Correction]) -> list[Correction]:
    """The last revision of each corrected finding."""
    last: dict[tuple[str, str, TimeSpan], Correction] = {}
    for correction in sorted(corrections, key=lambda c: c.revision):
        last[correction.finding.task, correction.finding.kind, correction.finding.span] = correction
    return list(last.values())


def _match(correction: Correction, findings: Sequence[Finding]) -> int | None:
    """The finding of the same task that best covers the same time, by its id only where times cannot tell."""
    told = correction.finding
    spans = [s for s in (told.span, correction.span) if s is not None]
    scored = [
        (max(_likeness(span, f.span) for span in spans) + 0.1 * (f.kind == told.kind) + 0.01 * (f.id == told.id), place)
        for place, f in enumerate(findings)
        if f.task == told.task
    ]
    best = max(scored, default=(0.0, -1))
    return best[1] if best[0] >= SAME_FINDING_OVERLAP + 0.1 else None


def _likeness(a: TimeSpan, b: TimeSpan) -> float:
    return a.overlap_s(b) / (max(a.end_s, b.end_s) - min(a.start_s, b.start_s))


def _revised(finding: Finding, correction: Correction) -> Finding:
    return replace(
        finding,
        span=correction.span or finding.span,
        ticks=None if correction.span else finding.ticks,
        label=correction.label
        or (finding.label.split(",")[0] if correction.span else finding.label),  # its length and spots are told there
        explanation=correction.note or finding.explanation,
        revision=correction.revision,
        state="rejected" if correction.rejected else "corrected",
    )


def _kept(correction: Correction) -> Finding:
    found = replace(correction.finding, explanation="A person's word; this run did not find it by itself.")
    return _revised(found if correction.rejected else replace(found, score=1.0), correction)


def _within(finding: Finding, correction: Correction) -> Finding:
    """A spot goes with its break: rejected with it, and no longer than it."""
    told = correction.finding
    is_part = (finding.task, finding.kind, told.kind) == (told.task, "spot", "break")
    if not is_part or finding.state != "found" or finding.span.overlap_s(told.span) < finding.span.duration_s / 2:
        return finding
    if correction.rejected or (correction.span and finding.span.overlap_s(correction.span) < finding.span.duration_s / 2):
        return replace(finding, state="rejected", revision=correction.revision)
    if correction.span is None:
        return finding
    span = TimeSpan(max(finding.span.start_s, correction.span.start_s), min(finding.span.end_s, correction.span.end_s))
    return finding if span == finding.span else replace(finding, span=span, ticks=None, revision=correction.revision, state="corrected")
