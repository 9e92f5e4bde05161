"""What an answer rests on beside the video: a camera's ordinary recordings, a series' episodes, named spots, people's words.

All of it is part of the answer's settings: with other grounds it may be another answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.corrections import Correction, latest
from pipelines.encode import features_prefix
from pipelines.findings import Shot
from pipelines.interfaces import FilmFile, UnreadableVideo
from pipelines.judge import Case
from pipelines.profiles import Wanted
from pipelines.segments import open_measured
from pipelines.series import Measured
from pipelines.spots import Spot
from pipelines.stores.spots import SpotShelf
from pipelines.subtitles import sidecars
from pipelines.tasks.anomalies import Normal, learn_normal
from pipelines.watching import Run, Senses, Store, Video, identify, measure, series_prefix

MOST_EPISODES = 6  # that one is compared with: more tell little more, and all are read


@dataclass(frozen=True, slots=True)
class Beside:
    """What the caller names beside the video.

    normals: recordings of the source's ordinary life, which anomalies are judged against. episodes: others of its series, where the
    task parts looks for what they share; one that cannot be read is left out. series: its name; what the store keeps of that source
    are episodes too.
    """

    normals: Sequence[Path] = ()
    episodes: Sequence[Path] = ()
    series: str = ""


@dataclass(frozen=True, slots=True)
class Grounds:
    """All that was gathered. ordinary, others: to be measured; kept: measured before; words: of the source, oldest first."""

    ordinary: tuple[Video, ...]
    others: Mapping[str, Video]
    kept: Mapping[str, Measured]
    spots: tuple[Spot, ...]
    words: tuple[Correction, ...]

    def settings(self, path: FilmFile, wanted: Wanted) -> dict[str, object]:
        told = _normal_settings(wanted, self.ordinary, self.words) | _subtitle_settings(path)
        told |= {"episodes": sorted([*self.others, *self.kept])} if self.others or self.kept else {}
        return told | ({"spots": sorted(spot.id for spot in self.spots)} if self.spots else {})

    def case(self, measured: Measured, shots: tuple[Shot, ...], wanted: Wanted, store: Store, senses: Senses, run: Run) -> Case:
        """Everything a judgement may rest on; what else must be measured is measured now."""
        normal = taught(self.ordinary, self.words, wanted, store, senses, run)
        episodes = (*_measured_episodes(self.others.values(), wanted, store, senses, run), *self.kept.values())
        return Case(measured, shots, wanted, normal, senses.meaning, episodes, self.spots)


def gather(video: Video, beside: Beside, wanted: Wanted, store: Store, senses: Senses) -> Grounds:
    """Name and look up what the wanted tasks rest on; measures nothing yet."""
    ordinary = tuple(identify(normal, video.source) for normal in beside.normals if "anomalies" in wanted.tasks)
    others = _episodes(beside.episodes, video) if "parts" in wanted.tasks else {}
    kept = _kept_episodes(video, others, wanted, store, senses) if beside.series and "parts" in wanted.tasks else {}
    spots = SpotShelf(store.results).all() if "ads" in wanted.tasks else ()
    return Grounds(ordinary, others, kept, spots, tuple(store.results.corrections(source=video.source)))


def taught(ordinary: Sequence[Video], words: Sequence[Correction], wanted: Wanted, store: Store, senses: Senses, run: Run) -> Normal | None:
    """The source's normal: learned from its ordinary recordings and from the alarms that people rejected. None without either."""
    rejected = _false_alarms(words)
    if "anomalies" not in wanted.tasks or not (ordinary or rejected):
        return None
    normal = learn_normal(*(measure(video, wanted, store, senses, run) for video in ordinary)) if ordinary else Normal()
    for word in rejected:
        normal = normal.with_false_alarm(word.finding)
    return normal


def _episodes(paths: Sequence[Path], video: Video) -> dict[str, Video]:
    """By id, each once, without the video itself. What cannot be read is told where its own turn comes."""
    found: dict[str, Video] = {}
    for path in paths:
        with suppress(UnreadableVideo):
            other = identify(path)
            found[other.id] = other
    found.pop(video.id, None)
    return found


def _kept_episodes(video: Video, others: Mapping[str, Video], wanted: Wanted, store: Store, senses: Senses) -> dict[str, Measured]:
    """The last ones of the source whose measurements the store still has, without their files; as many as make up MOST_EPISODES."""
    found: dict[str, Measured] = {}
    for video_id in store.results.videos(video.source):
        prefix = series_prefix(video_id, wanted)
        measured = None if video_id == video.id or video_id in others else open_measured(store.blobs, prefix)
        if measured is not None and len(others) + len(found) < MOST_EPISODES:
            features = features_prefix(prefix, wanted.plan, senses.encoder) if senses.encoder else ""
            found[video_id] = replace(measured, features=features)
    return found


def _measured_episodes(others: Iterable[Video], wanted: Wanted, store: Store, senses: Senses, run: Run) -> tuple[Measured, ...]:
    out: list[Measured] = []
    for other in others:
        with suppress(UnreadableVideo):
            out.append(measure(other, wanted, store, senses, run))
    return tuple(out)


def _false_alarms(words: Sequence[Correction]) -> list[Correction]:
    return [w for w in latest(words) if w.finding.task == "anomalies" and w.rejected]


def _subtitle_settings(path: FilmFile) -> dict[str, object]:
    """Subtitle files beside the film are part of what is judged."""
    digests = [hashlib.sha256(sidecar.read_bytes()).hexdigest() for sidecar in sidecars(path)]
    return {"subtitles": digests} if digests else {}


def _normal_settings(wanted: Wanted, ordinary: Sequence[Video], words: Sequence[Correction]) -> dict[str, object]:
    """What was learned from is part of the answer's settings: the recordings, and the alarms that people rejected."""
    if "anomalies" not in wanted.tasks:
        return {}
    rejected = sorted(f"{w.video_id} {w.finding.id}" for w in _false_alarms(words))
    return {"normal": {"recordings": sorted(v.id for v in ordinary), "rejected": rejected}}
