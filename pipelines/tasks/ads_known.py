"""Known spots among what was found: a spot that has a name gets it, and one that nothing else gave away is found by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model.video import TimeSpan
from pipelines.findings import Cue, Finding, Status, TaskResult
from pipelines.spots import Airing

SAME = 0.5  # of the stretch that two spans cover together


def with_known(found: TaskResult, airings: Sequence[Airing]) -> TaskResult:
    """`find_ads`'s result with the airings of known spots laid into it; as it is where there are none."""
    if not airings:
        return found
    findings = list(found.findings)
    for airing in airings:
        same = next((f for f in findings if f.kind == "spot" and _shared(f.span, airing.span) > SAME), None)
        if same is not None:
            findings[findings.index(same)] = _named(same, airing)
            continue
        if not any(f.kind == "break" and f.span.overlap_s(airing.span) > SAME * airing.span.duration_s for f in findings):
            findings.append(_finding("break", f"Ad break, 1 spot, {airing.span.duration_s:.1f} s", airing))
        findings.append(_finding("spot", f"{airing.spot.name}, {airing.span.duration_s:.1f} s", airing))
    status = Status.OK if found.status is Status.EMPTY else found.status
    ordered = tuple(sorted(findings, key=lambda f: (f.span.start_s, -f.span.end_s)))
    return replace(found, status=status, findings=ordered, reason=found.reason.removeprefix("No advertising found.").strip())


def _shared(a: TimeSpan, b: TimeSpan) -> float:
    both = a.overlap_s(b)
    return both / (a.duration_s + b.duration_s - both)


def _named(found: Finding, airing: Airing) -> Finding:
    data = {**found.data, **_told(airing)}
    label = f"{airing.spot.name}, {found.span.duration_s:.1f} s"
    explanation = f"A known spot. {found.explanation}"
    score = max(found.score, airing.score)
    return replace(found, label=label, score=score, explanation=explanation, evidence=(*_cues(airing), *found.evidence), data=data)


def _finding(kind: str, label: str, airing: Airing) -> Finding:
    return Finding("ads", kind, airing.span, airing.score, label, f"A known spot: {airing.reason}.", _cues(airing), _told(airing))


def _cues(airing: Airing) -> tuple[Cue, ...]:
    return tuple(replace(cue, name=f"known_{cue.name}") for cue in airing.evidence)


def _told(airing: Airing) -> dict[str, object]:
    spot = airing.spot
    told = {"spot": spot.name, "spot_id": spot.id, "advertiser": spot.advertiser, "product": spot.product, "match": airing.score}
    return {name: value for name, value in told.items() if value != ""}
