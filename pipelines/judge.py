"""Every task over one video's series. Decodes nothing, stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.video import TimeSpan
from pipelines.findings import Curve, Shot, TaskResult
from pipelines.interfaces import Meaning
from pipelines.profiles import Wanted
from pipelines.series import Measured, Series
from pipelines.spots import Spot, known_airings
from pipelines.tasks.ads import find_ads
from pipelines.tasks.ads_known import with_known
from pipelines.tasks.anomalies import Normal, find_anomalies
from pipelines.tasks.chapters import find_chapters
from pipelines.tasks.parts import find_parts
from pipelines.tasks.shots import list_shots
from pipelines.tasks.slots import find_slots
from pipelines.tasks.summary import summarise

MOST_ADS = 0.6  # of a video; where more is called advertising, no programme is left that it could interrupt
CURVES = {"loudness_lufs": "sound.loudness", "motion": "frame.change"}  # drawn on the timeline, one point a second


@dataclass(frozen=True, slots=True)
class Case:
    """All that a judgement may rest on."""

    measured: Measured
    shots: tuple[Shot, ...]
    wanted: Wanted
    normal: Normal | None = None  # of the source, from other recordings and people's corrections
    meaning: Meaning | None = None  # says how near two texts are in what they mean
    episodes: tuple[Measured, ...] = ()  # others of the same series
    spots: tuple[Spot, ...] = ()  # that have a name


Done = Mapping[str, TaskResult]  # what tasks before this one said: a chapter is a part of the programme, not of its ads

JUDGES: Mapping[str, Callable[[Case, Done], TaskResult]] = {
    "shots": lambda case, done: list_shots(case.measured, case.shots),
    "ads": lambda case, done: _ads(case),
    "anomalies": lambda case, done: find_anomalies(case.measured, case.shots, case.wanted.anomalies, case.normal),
    "chapters": lambda case, done: find_chapters(case.measured, programme(case.shots, done), case.wanted.chapters, case.meaning),
    "summary": lambda case, done: summarise(case.measured, programme(case.shots, done), case.meaning),
    "parts": lambda case, done: find_parts(case.measured, case.shots, case.episodes, case.wanted.parts, ad_breaks(case.shots, done)),
    "slots": lambda case, done: find_slots(case.measured, programme(case.shots, done), case.wanted.slots, ad_breaks(case.shots, done)),
}


def _ads(case: Case) -> TaskResult:
    airings = known_airings(case.measured, case.spots)
    return with_known(find_ads(case.measured, case.shots, case.wanted.ads, airings), airings)


def judge(case: Case) -> tuple[TaskResult, ...]:
    done: dict[str, TaskResult] = {}
    for task in case.wanted.tasks:
        done[task] = JUDGES[task](case, done)
    return tuple(done.values())


def programme(shots: Sequence[Shot], done: Done) -> tuple[Shot, ...]:
    """The shots that are not mostly inside an ad break, where ads were looked for."""
    breaks = ad_breaks(shots, done)
    return tuple(shot for shot in shots if not _is_inside(shot, breaks))


def ad_breaks(shots: Sequence[Shot], done: Done) -> list[TimeSpan]:
    """Where the ads are, as far as they are breaks in something: none where they leave too little of it."""
    found = [finding.span for finding in done["ads"].findings] if "ads" in done else []
    inside_s = sum(shot.span.duration_s for shot in shots if _is_inside(shot, found))
    return found if inside_s <= MOST_ADS * sum(shot.span.duration_s for shot in shots) else []


def _is_inside(shot: Shot, spans: Sequence[TimeSpan]) -> bool:
    return any(shot.span.overlap_s(span) > shot.span.duration_s / 2 for span in spans)


def curves(measured: Measured) -> dict[str, Curve]:
    """The series worth drawing, as the mean of each second."""
    found = {name: measured.get(series) for name, series in CURVES.items()}
    return {name: by_second(series) for name, series in found.items() if series is not None}


def by_second(series: Series) -> Curve:
    """Means over whole seconds; seconds without a value (or with none finite) are left out."""
    finite = np.isfinite(series.values)
    seconds = series.times_s[finite].astype(np.int64)
    sums, counts = (np.bincount(seconds, weights) for weights in (series.values[finite].astype(np.float64), None))
    present = np.flatnonzero(counts)
    means = sums[present] / counts[present]
    return Curve(tuple(map(float, present)), tuple(round(float(v), 3) for v in means))
