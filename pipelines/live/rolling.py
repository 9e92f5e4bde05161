"""What was told of a stream's findings, and what is to be told now. Knows spans and scores, no measurement and no task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from model.video import TimeSpan
from pipelines.findings import Finding

EDGE_S = 0.02  # an edge moved by less is where it was
SCORE = 0.05
GROWN_S = 10.0  # what is still going on is told again when it has grown by so much
ALIKE = 0.5  # of the shorter of two findings must be shared for them to be one
PATIENCE = 2  # judgements without a finding until it is withdrawn: a score may waver about its threshold
APART = frozenset({"ads", "technical", "stream"})  # tasks whose kinds are different things; elsewhere a kind is a name that may change


@dataclass(frozen=True, slots=True)
class Change:
    """Something new about one finding. revision: counts what was said of it, from 1; finding.state: found | withdrawn."""

    type: Literal["new", "update", "end"]
    revision: int
    finding: Finding


@dataclass(slots=True)
class Told:
    """A finding as it was last told. is_open: it reached the newest moment. absent: judgements that did not have it."""

    finding: Finding
    revision: int = 1
    is_open: bool = False
    absent: int = 0

    @property
    def span(self) -> TimeSpan:
        return self.finding.span


@dataclass(slots=True)
class Rolling:
    """One task's findings over time. counts: findings of each kind so far, ended: spans of those sealed of late."""

    task: str
    stream: str
    digest: str
    open: list[Told] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    ended: list[tuple[str, float, float]] = field(default_factory=list)

    def follow(self, found: Iterable[Finding], view: TimeSpan, settle_s: float) -> list[Change]:
        """Compare with what was told. view: the stretch that was judged; what ended `settle_s` before its end is sealed."""
        horizon_s = view.end_s - settle_s
        changes, free = [], list(self.open)
        for one in sorted(found, key=lambda f: (f.span, f.kind)):
            told = max((t for t in free if self._same(t.finding, one, view)), key=lambda t: _shared(t.span, one.span), default=None)
            if told is not None:
                free.remove(told)
                changes += self._refined(told, self._anchored(told, one, view), view)
            elif one.span.end_s > horizon_s and not self._was(one):
                changes.append(self._begun(one, view))
        changes += [change for told in free for change in self._missed(told)]
        self.ended = [e for e in self.ended if e[2] > view.start_s]
        return changes + self.seal(horizon_s)

    def seal(self, horizon_s: float) -> list[Change]:
        """End what ended before `horizon_s`."""
        done = [t for t in self.open if t.span.end_s <= horizon_s]
        self.open = [t for t in self.open if t.span.end_s > horizon_s]
        self.ended += [(self._group(t.finding), t.span.start_s, t.span.end_s) for t in done]
        return [Change("end", t.revision + 1, _marked(t.finding, is_open=False)) for t in done]

    def _begun(self, one: Finding, view: TimeSpan) -> Change:
        ordinal = self.counts.get(one.kind, 0)
        self.counts[one.kind] = ordinal + 1
        text = "\n".join((self.stream, self.task, self.digest, one.kind, str(ordinal)))
        told = Told(replace(one, id=hashlib.sha256(text.encode()).hexdigest()[:32]), 1, _reaches(one, view))
        self.open.append(told)
        return Change("new", 1, _marked(told.finding, is_open=told.is_open))

    def _refined(self, told: Told, now: Finding, view: TimeSpan) -> list[Change]:
        before, was_open = told.finding, told.is_open
        told.absent, told.is_open = 0, _reaches(now, view)
        grown_s = now.span.end_s - before.span.end_s
        both_open = was_open and told.is_open
        has_moved = abs(grown_s) > (GROWN_S if both_open else EDGE_S) or abs(now.span.start_s - before.span.start_s) > EDGE_S
        is_same = not has_moved and (both_open or now.label == before.label) and now.kind == before.kind
        if is_same and was_open == told.is_open and abs(now.score - before.score) < SCORE:
            return []
        told.finding, told.revision = replace(now, id=before.id), told.revision + 1
        return [Change("update", told.revision, _marked(told.finding, is_open=told.is_open))]

    def _missed(self, told: Told) -> list[Change]:
        told.absent += 1
        if told.absent < PATIENCE:
            return []
        self.open.remove(told)
        return [Change("end", told.revision + 1, replace(_marked(told.finding, is_open=False), state="withdrawn"))]

    def _anchored(self, told: Told, now: Finding, view: TimeSpan) -> Finding:
        """What began before the stretch that was judged keeps its beginning."""
        if told.span.start_s < view.start_s + 1 and now.span.start_s <= view.start_s + 1 and now.span.end_s > told.span.start_s:
            return replace(now, span=TimeSpan(told.span.start_s, now.span.end_s))
        return now

    def _group(self, one: Finding) -> str:
        return one.kind if self.task in APART else ""

    def _same(self, told: Finding, now: Finding, view: TimeSpan) -> bool:
        """As far as what was told lies in the stretch that was judged."""
        start_s = max(told.span.start_s, view.start_s)
        if start_s >= told.span.end_s or self._group(told) != self._group(now):
            return False
        return _alike(TimeSpan(start_s, told.span.end_s), now.span)

    def _was(self, one: Finding) -> bool:
        return any(group == self._group(one) and _alike(TimeSpan(start_s, end_s), one.span) for group, start_s, end_s in self.ended)


def _shared(a: TimeSpan, b: TimeSpan) -> float:
    return a.overlap_s(b) / max(a.duration_s, b.duration_s)


def _alike(a: TimeSpan, b: TimeSpan) -> bool:
    return a.overlap_s(b) >= ALIKE * min(a.duration_s, b.duration_s)


def _reaches(one: Finding, view: TimeSpan) -> bool:
    return one.span.end_s >= view.end_s - 0.25


def _marked(finding: Finding, *, is_open: bool) -> Finding:
    data: dict[str, Any] = {**finding.data, "open": is_open}
    return replace(finding, data=data)
