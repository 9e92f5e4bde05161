"""From evidence per second to alarms with a beginning, an end and a name. Knows surprises and times, no pictures.

S = seconds, K = cues. A surprise is how far a cue is beyond the beginning of its tail, in factors of e of rarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Cue, Finding
from pipelines.tasks.anomalies_evidence import Second
from pipelines.tasks.anomalies_normal import HEALTH, NAMES, PEAK_S, TAIL_SHARE

# Cues are seldom at their worst independently: on 2.3 h of made cameras, set for 2 false alarms an hour, 0.4 rang without this.
TOGETHER = 1 / 3
OFF_SHARE = 0.5  # an alarm goes on while its cue stays above this share of the threshold
FULL_SCALE = 1.5  # surprise per unit of log odds of the score
LOOK_BACK = 0.85  # of a surprise counts for the time since its cause began
LARGE = 0.012  # of the picture: what stands there is a vehicle rather than a bag
KINDS = {"still": ("stopped", "abandoned")}
SAID = {
    "blackout": "the picture goes dark or is covered",
    "freeze": "the picture stands still, without even the sensor's noise",
    "defocus": "the fine structure of the place is gone: out of focus or covered",
    "moved": "the camera does not see its usual place",
    "wrong_way": "something goes against the usual direction here",
    "fast": "something is much faster than usual here",
    "stopped": "something large has stopped where nothing stands",
    "abandoned": "something small was left where nothing lay",
    "intrusion": "somebody is where nobody goes",
    "loiter": "somebody stays about one place far longer than usual",
    "agitation": "violent motion on one spot",
    "fire": "a bright red flicker where there was none",
    "dwell": "something stays where things only pass",
    "crowd": "more in the picture than ever so far",
    "look": "something looks like nothing that was there so far",
}


@dataclass(frozen=True, slots=True)
class AlarmRules:
    """threshold: surprise at which an alarm begins. gap_s: shorter silences do not end it. least_s: shorter ones are dropped.
    cooldown_s: a new alarm of the same kind so soon after the last goes on with it."""

    threshold: float
    gap_s: float = 5.0
    least_s: float = 1.0
    cooldown_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """cue: index in NAMES. raised_s: when it would have rung live; span reaches back to where its cause began."""

    cue: int
    span: TimeSpan
    raised_s: float
    surprise: float
    box: tuple[float, float, float, float]
    values: dict[str, tuple[float, ...]]  # per cue that spoke: its largest value, and the box of all the places where it did
    also: tuple[tuple[int, float], ...] = ()  # other cues that spoke at the same time and place, with their surprises
    lent: float = 0.0  # of the surprise, by trained eyes
    looks: dict[int, str] = field(default_factory=dict)  # cell and look of what looked strange
    sight: tuple[int, float] | None = None  # a class that the camera had not shown, and its probability


def threshold_for(false_alarms_per_hour: float) -> float:
    """The surprise that ordinary life reaches so often an hour, all cues together, where tails are as learned."""
    beyond_start = 3600 / PEAK_S * TAIL_SHARE * len(NAMES) * TOGETHER
    return float(np.log(beyond_start / false_alarms_per_hour))


def score_curve(seconds: Sequence[Second], threshold: float) -> NDArray[np.float64]:
    """(S,) score per second in [0, 1], 0.5 at the threshold, 0 while warming up."""
    total = np.full(len(seconds), -np.inf)
    first_s = seconds[0].time_s if seconds else 0.0
    for k, second in enumerate(seconds):
        if second.warm:
            continue
        total[k] = max(total[k], float(second.surprise.max()))
        for cue in np.flatnonzero(second.surprise > 0.5 * threshold):
            back = max(0, int(second.since_s[cue] - first_s))
            total[back:k] = np.maximum(total[back:k], LOOK_BACK * second.surprise[cue])
    warm = np.array([s.warm for s in seconds], bool)
    return np.where(warm, 0.0, 1 / (1 + np.exp(-np.clip((total - threshold) / FULL_SCALE, -50, 50))))


def alarms(seconds: Sequence[Second], rules: AlarmRules) -> list[Alarm]:
    found = [a for cue in range(len(NAMES)) for a in _of_one_cue(seconds, cue, rules)]
    return _joined(sorted(found, key=lambda a: a.span.start_s), rules)


def _of_one_cue(seconds: Sequence[Second], cue: int, rules: AlarmRules) -> list[Alarm]:
    surprise = np.array([-np.inf if s.warm else s.surprise[cue] for s in seconds])
    high, held = surprise >= rules.threshold, surprise >= rules.threshold * OFF_SHARE
    found: list[Alarm] = []
    k = 0
    while k < len(seconds):
        if not high[k]:
            k += 1
            continue
        first = last = k
        while k < len(seconds) and seconds[k].time_s - seconds[last].time_s <= rules.gap_s:
            last = k if held[k] else last
            k += 1
        top = first + int(np.argmax(surprise[first : last + 1]))
        start_s = min(float(seconds[first].since_s[cue]), seconds[first].time_s)
        span = TimeSpan(max(0.0, start_s), seconds[last].time_s + 1)
        x0, y0, x1, y1 = map(float, seconds[top].boxes[cue])
        spoke = [s for s, h in zip(seconds[first : last + 1], held[first : last + 1], strict=True) if h]
        alarm = Alarm(
            cue, span, seconds[first].time_s, float(surprise[top]), (x0, y0, x1, y1), {NAMES[cue]: _told(spoke, cue)},
            lent=float(seconds[top].lent[cue]), looks={c: look for s in spoke for c, look in s.looks.items()},
            sight=max((s.sight for s in spoke if s.sight), key=lambda s: s[1], default=None),
        )  # fmt: skip
        if found and alarm.raised_s - found[-1].span.end_s < rules.cooldown_s:
            found[-1] = _merge(found[-1], alarm)
        else:
            found.append(alarm)
    return [a for a in found if a.span.duration_s >= rules.least_s]


def _told(spoke: Sequence[Second], cue: int) -> tuple[float, ...]:
    """The largest value of a cue over these seconds, and the box around all of its places."""
    boxes = np.array([s.boxes[cue] for s in spoke])
    return (max(float(s.values[cue]) for s in spoke), *map(float, boxes[:, :2].min(axis=0)), *map(float, boxes[:, 2:].max(axis=0)))


def _joined(found: list[Alarm], rules: AlarmRules) -> list[Alarm]:
    """Alarms of several cues about one thing become one, named by the strongest."""
    out: list[Alarm] = []
    for alarm in found:
        other = next((o for o in out if _same_thing(o, alarm, rules.gap_s)), None)
        if other is None:
            out.append(alarm)
        else:
            out[out.index(other)] = _merge(other, alarm)
    return out


def _same_thing(a: Alarm, b: Alarm, gap_s: float) -> bool:
    if b.span.start_s > a.span.end_s + gap_s or a.span.start_s > b.span.end_s + gap_s:
        return False
    if (NAMES[a.cue] in HEALTH) or (NAMES[b.cue] in HEALTH):
        return NAMES[a.cue] in HEALTH and NAMES[b.cue] in HEALTH
    near = 0.06
    return a.box[0] - near < b.box[2] and b.box[0] - near < a.box[2] and a.box[1] - near < b.box[3] and b.box[1] - near < a.box[3]


def _naming(alarm: Alarm) -> tuple[bool, float]:
    """What gives an alarm its name: a thing that stands still tells more than that it is where nothing was."""
    return NAMES[alarm.cue] == "still", alarm.surprise


def _merge(a: Alarm, b: Alarm) -> Alarm:
    lead, rest = (a, b) if _naming(a) >= _naming(b) else (b, a)
    span = TimeSpan(min(a.span.start_s, b.span.start_s), max(a.span.end_s, b.span.end_s))
    others = dict(lead.also)
    for cue, value in ((rest.cue, rest.surprise), *rest.also):
        if cue != lead.cue:
            others[cue] = max(value, others.get(cue, 0.0))
    values = {name: _around(a.values.get(name), b.values.get(name)) for name in rest.values | lead.values}
    return Alarm(
        lead.cue, span, min(a.raised_s, b.raised_s), max(a.surprise, b.surprise), lead.box, values,
        tuple(sorted(others.items(), key=lambda o: -o[1])), lead.lent, rest.looks | lead.looks,
        max((s for s in (lead.sight, rest.sight) if s), key=lambda s: s[1], default=None),
    )  # fmt: skip


def _around(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> tuple[float, ...]:
    """What two alarms say of one cue, as one."""
    if a is None or b is None:
        return a or b or ()
    return (max(a[0], b[0]), min(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]), max(a[4], b[4]))


def finding_of(alarm: Alarm, rules: AlarmRules, class_names: Sequence[str] = ()) -> Finding:
    kind = kind_of(alarm)
    score = float(1 / (1 + np.exp(-(alarm.surprise - rules.threshold) / FULL_SCALE)))
    named = [(alarm.cue, alarm.surprise), *alarm.also]
    detail = "surprise: factors of e rarer than this camera's ordinary life"
    evidence = [Cue(NAMES[cue], round(value, 2), detail, alarm.span) for cue, value in named]
    if alarm.lent > 0:
        evidence.append(Cue("eyes", round(alarm.lent, 2), f"part of {NAMES[alarm.cue]}'s surprise that its strange look adds", alarm.span))
    like = ""
    if alarm.sight and class_names:
        like = f"; the picture looks like: {class_names[alarm.sight[0]]} ({alarm.sight[1]:.0%}), which it never did before"
    return Finding(
        "anomalies", kind, alarm.span, round(min(1.0, score), 4), SAID[kind],
        explanation=f"{SAID[kind]}; rung {max(0.0, alarm.raised_s - alarm.span.start_s):.0f} s after it began{like}",
        evidence=tuple(evidence),
        data={"box": [round(v, 3) for v in alarm.box], "raised_s": alarm.raised_s, "surprise": round(alarm.surprise, 2),
              "cues": {name: [round(v, 4) for v in value] for name, value in alarm.values.items()},
              "looks": {str(cell): look for cell, look in sorted(alarm.looks.items())}},
    )  # fmt: skip


def kind_of(alarm: Alarm) -> str:
    name = NAMES[alarm.cue]
    if name != "still":
        return name
    area = (alarm.box[2] - alarm.box[0]) * (alarm.box[3] - alarm.box[1])
    return KINDS["still"][0 if area > LARGE else 1]
