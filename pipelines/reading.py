"""The stage `reading`: texts in the pictures, each with the time it stands. Chooses few moments and reads those.

A glance finds letters in the small grey pictures that decoding kept; only moments that show letters not yet read are decoded and read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.interfaces import Blobs, FilmFile, TextReader
from pipelines.limits import STANDARD, Limits
from pipelines.media import VideoFacts, VideoIndex, examine
from pipelines.reading_merge import Reading, Stretch, as_texts, joined, liveliness
from pipelines.sampling import Instants, sample_frames
from pipelines.series import Measured, Series, join
from pipelines.signals.lettering import Box, edges_between, new_cards, new_letters
from pipelines.texts import ScreenText, texts_from_json, texts_to_json
from pipelines.workers import Crew, crew

logger = logging.getLogger(__name__)
READING_VERSION = "2"  # raise it whenever the same pictures would give other texts
WINDOW_S = 1200.0  # worked on and stored as one: memory stays flat, and a run broken off goes on with the next
BATCH = 8  # pictures decoded at once
GLANCE = 1.5  # times the grey pictures' size: nine letters in ten are found; 1 finds eight, 2 costs twice as much
LINE_HIGH = 0.2  # share of the picture's height
AFTER_CUT, SHOT_END, CARD = 0.35, 2.0, 60.0  # what a glance is worth, in cells of letters
SPREAD_S = 8.0  # a moment this near one that is read already counts half

Numbers = NDArray[np.float64]
Picture = tuple[float, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How much is read. Numbers are of 20 minutes and shrink with the film."""

    pictures: int = 40  # 0: read nothing
    glances: int = 160
    least: int = 6  # of a film, however short
    least_confidence: float = 0.6
    side_px: tuple[int, int] = (400, 640)  # the longer side of a picture that is read is no shorter and no longer

    def reading_most(self, pictures: int) -> ReadSettings:
        """The same with another number of pictures, and as many glances for each."""
        return replace(self, pictures=pictures, glances=pictures * self.glances // max(1, self.pictures))

    def budget(self, number: int, window: TimeSpan) -> int:
        return max(min(self.least, number), round(number * window.duration_s / WINDOW_S))


@dataclass(frozen=True, slots=True)
class Film:
    """What reading needs of one."""

    path: FilmFile
    measured: Measured
    shots: tuple[Shot, ...]
    workers: int | None = None  # pictures read at once; as many as cores where None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Letters that a glance found, and the seconds (numbers within the window) in which they stand."""

    box: Box
    score: float
    seconds: range

    @property
    def weight(self) -> float:
        """Large and sure before small and doubtful; what is higher than lines are, or than it is wide, is seldom one."""
        left, top, right, bottom = self.box
        wide, high = right - left, bottom - top
        return self.score**2 * float(np.sqrt(wide * min(high, LINE_HIGH))) * (1.0 if wide > high else 0.5)


def texts_key(video_id: str, plan_digest: str, reader: TextReader, settings: ReadSettings) -> str:
    """Where a film's texts lie: other pictures, another reader or other settings give others."""
    told = f"{READING_VERSION} {plan_digest} {reader.digest} {asdict(settings)}"
    return f"texts/{video_id}/{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def read_texts(
    film: Film,
    reader: TextReader,
    settings: ReadSettings,
    blobs: Blobs,
    key: str,
    *,
    limits: Limits = STANDARD,
    on_progress: Callable[[float, float], None] = lambda done, total: None,
) -> tuple[ScreenText, ...]:
    """The film's texts, read now or by an earlier run. on_progress: (seconds of film done, in all).

    Raises UnreadableVideo or WorkerDied where the pictures cannot be decoded once more; whole windows read before stay stored.
    """
    texts: list[ScreenText] = []
    windows = _windows(film.measured.duration_s) if settings.pictures and film.measured.clock else []
    with crew(1, limits) as hands, ThreadPoolExecutor(film.workers or os.cpu_count() or 1, "read") as pool:
        decode = _decoder(hands, film.path, settings, limits)
        for number, window in enumerate(windows):
            place = f"{key}/{number:04d}.json"
            try:
                texts += texts_from_json(json.loads(blobs.get(place)))
            except KeyError:
                read = _Window(film, window, _Eyes(reader, decode, pool), settings, on_progress).texts()
                rows = texts_to_json(read)
                blobs.put(place, json.dumps(rows, ensure_ascii=False).encode())
                texts += texts_from_json(rows)  # rounded as the next run will find them
    return tuple(joined(texts))


def _windows(duration_s: float) -> list[TimeSpan]:
    count = max(1, round(duration_s / WINDOW_S))  # the last one is up to half longer rather than a scrap
    return [TimeSpan(k * WINDOW_S, (k + 1) * WINDOW_S if k + 1 < count else duration_s) for k in range(count) if duration_s > 0]


@dataclass(frozen=True, slots=True)
class _Eyes:
    """How pictures come to be read. decode: moments -> pictures; pool: several are read at once."""

    reader: TextReader
    decode: Callable[[Sequence[float]], list[Picture]]
    pool: ThreadPoolExecutor


class _Window:
    """One stretch of a film: where letters are, which moments show them, what these say."""

    def __init__(
        self,
        film: Film,
        span: TimeSpan,
        eyes: _Eyes,
        settings: ReadSettings,
        on_progress: Callable[[float, float], None],
    ) -> None:
        self.film, self.span, self.eyes, self.settings, self.on_progress = film, span, eyes, settings, on_progress
        self.edges = edges_between(film.measured, span)
        self.shots = tuple(s for s in film.shots if s.span.overlap_s(span) > 0)

    def texts(self) -> list[ScreenText]:
        grey = _grey(self.film.measured, self.span)
        count = self.settings.budget(self.settings.pictures, self.span)
        if grey is not None and len(self.edges):
            readings = self._read_sightings(self._sightings(grey), count)
        else:  # no signal to go by: evenly
            readings = self._read([self.span.start_s + (k + 0.5) * self.span.duration_s / count for k in range(count)])
        self._tell(1.0)
        logger.info("texts read from_s=%.0f pictures=%d", self.span.start_s, len(readings))
        return as_texts(readings, Stretch(self.span, self.edges, grey, self.shots), self.settings.least_confidence)

    def _read_sightings(self, sightings: list[Sighting], count: int) -> list[Reading]:
        """Batch by batch: what looks like letters and turns out to be none is not asked again at other times."""
        readings: list[Reading] = []
        chosen: list[int] = []
        while len(chosen) < count and (more := choose_seconds(sightings, len(self.edges), min(BATCH, count - len(chosen)), chosen)):
            chosen += more
            found = self._read([float(self.edges.times_s[k]) for k in more])
            read = [line.box for reading in found for line in reading.lines if line.confidence >= self.settings.least_confidence]
            sightings = without_read(sightings, more, read)
            readings += found
            self._tell(0.5 + 0.5 * len(chosen) / count)
        return readings

    def _read(self, moments: Sequence[float]) -> list[Reading]:
        pictures = self.eyes.decode(moments)
        found = self.eyes.pool.map(self.eyes.reader.read, [pixels for _, pixels in pictures])
        return [Reading(at_s, tuple(lines), liveliness(p, lines)) for (at_s, p), lines in zip(pictures, found, strict=True)]

    def _sightings(self, grey: Series) -> list[Sighting]:
        """Where glances find letters, each text once."""
        worth = glance_worth(new_letters(self.edges), new_cards(self.edges), self.edges.times_s, self.shots)
        glances = choose_glances(worth, self.settings.budget(self.settings.glances, self.span))
        at = np.clip(np.searchsorted(grey.times_s, self.edges.times_s[glances] - 1e-3), 0, len(grey) - 1)
        regions = self.eyes.pool.map(lambda k: self.eyes.reader.find(enlarged(cast(NDArray[np.uint8], grey.values[k]))), at)
        found: list[Sighting] = []
        for number, (k, seen) in enumerate(zip(glances, regions, strict=True)):
            for region in seen:
                if not any(k in s.seconds and _covers(s.box, region.box) for s in found):
                    found.append(Sighting(region.box, region.score, self.edges.stretch(region.box, k)))
            self._tell(0.5 * number / len(glances))
        return found

    def _tell(self, share: float) -> None:
        self.on_progress(self.span.start_s + share * self.span.duration_s, self.film.measured.duration_s)


def enlarged(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) -> the picture in the size that is glanced at."""
    return np.asarray(cv2.resize(grey, None, fx=GLANCE, fy=GLANCE, interpolation=cv2.INTER_CUBIC), np.uint8)


def glance_worth(letters: NDArray[np.int64], cards: NDArray[np.bool_], times_s: NDArray[np.float64], shots: Sequence[Shot]) -> Numbers:
    """(n,) how much a second promises: new cells of letters, a card that begins, a shot's end, where brand cards stand.

    letters: (n,) see `new_letters`; cards: (n,) see `new_cards`.
    """
    cuts = np.array([s.span.start_s for s in shots])
    later = np.searchsorted(cuts, times_s + 1e-3)
    is_cut = np.searchsorted(cuts, times_s - 1 + 1e-3) < later  # behind a cut everything is new
    ends = np.searchsorted(cuts, times_s + 1 + 1e-3) > later
    return np.asarray(np.where(is_cut, AFTER_CUT, 1.0) * letters + SHOT_END * ends + CARD * cards)


def choose_glances(worth: Numbers, count: int) -> list[int]:
    """Seconds to glance at: half of them spread over the stretch, the best of each part; the others the best that are left."""
    part = np.arange(len(worth)) * max(1, count // 2) // max(1, len(worth))
    order = np.lexsort((-worth, part))
    chosen = order[np.unique(part[order], return_index=True)[1]]
    rest = np.setdiff1d(np.arange(len(worth)), chosen)
    best = rest[np.argsort(-worth[rest], kind="stable")][: max(0, count - len(chosen))]
    return sorted(int(k) for k in np.concatenate([chosen, best]))


def choose_seconds(sightings: Sequence[Sighting], seconds: int, count: int, before: Sequence[int] = ()) -> list[int]:
    """At most `count` seconds that show most letters, each text once, in time order, away from those read before.

    Of the seconds that show the same, the middle one: there a text has settled.
    """
    stands = np.zeros((len(sightings), seconds), bool)
    for row, sighting in zip(stands, sightings, strict=True):
        row[sighting.seconds.start : sighting.seconds.stop] = True
    weights = np.array([s.weight for s in sightings])
    nearness = np.ones(seconds)
    for k in before:
        nearness *= _apart(seconds, k)
    chosen: list[int] = []
    while len(chosen) < count and weights.any():
        gain = (weights @ stands) * nearness
        best = np.flatnonzero(gain >= (1 - 1e-9) * gain.max())
        k = int(best[len(best) // 2])
        chosen.append(k)
        weights = np.where(stands[:, k], 0.0, weights)
        nearness *= _apart(seconds, k)
    return sorted(chosen)


def _apart(seconds: int, k: int) -> Numbers:
    return np.asarray(1 - 0.5 * np.exp(-np.abs(np.arange(seconds) - k) / SPREAD_S))


def without_read(sightings: Sequence[Sighting], seconds: Sequence[int], read: Sequence[Box]) -> list[Sighting]:
    """The sightings that no picture has shown yet; those in a place where letters were expected and none were read count a quarter."""
    shown = [s for s in sightings if any(k in s.seconds for k in seconds)]
    empty = [s.box for s in shown if not any(_covers(s.box, box) or _covers(box, s.box) for box in read)]
    left = [s for s in sightings if s not in shown]
    return [replace(s, score=s.score / 4) if any(_covers(box, s.box) and _covers(s.box, box) for box in empty) else s for s in left]


def _covers(one: Box, other: Box) -> bool:
    """Whether `one` holds most of `other`."""
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high) >= 0.6 * (other[2] - other[0]) * (other[3] - other[1])


def _grey(measured: Measured, span: TimeSpan) -> Series | None:
    """The small grey pictures of a window: 86 MB for 20 minutes."""
    parts = [part for block in measured.blocks("grey") if len(part := block.within(span.start_s, span.end_s))]
    return join(parts) if parts else None


# --- in a worker ------------------------------------------------------------------------------------------------------------


def _decoder(hands: Crew, path: FilmFile, settings: ReadSettings, limits: Limits) -> Callable[[Sequence[float]], list[Picture]]:
    def decode(moments: Sequence[float]) -> list[Picture]:
        value = hands.ask(
            pictures_at, path.absolute(), tuple(moments), settings.side_px,
            computing_s=limits.block_s, waiting_s=limits.block_s, reason="decoding pictures to read took too long",
        )  # fmt: skip
        return cast(list[Picture], value)

    return decode


def pictures_at(path: FilmFile, moments: Sequence[float], side_px: tuple[int, int]) -> list[Picture]:
    """The pictures on display at `moments`, in the size they are to be read in."""
    facts, index = _examined(path)
    if index is None:
        return []
    size_px = size_to_read(facts.width_px, facts.height_px, side_px)
    frames = sample_frames(path, Instants(tuple(moments)), size_px, batch=BATCH, index=index)
    return [(float(t), p) for batch in frames for t, p in zip(batch.times_s, batch.pixels, strict=True)]


@lru_cache(maxsize=1)
def _examined(path: FilmFile) -> tuple[VideoFacts, VideoIndex | None]:
    return examine(path)


def size_to_read(width_px: int, height_px: int, side_px: tuple[int, int]) -> tuple[int, int]:
    """The size whose longer side lies within `side_px`, even numbers.

    >>> size_to_read(320, 180, (480, 640)), size_to_read(1080, 1920, (480, 640))
    ((480, 270), (360, 640))
    """
    longer = max(width_px, height_px)
    scale = min(max(longer, side_px[0]), side_px[1]) / longer
    return max(2, round(width_px * scale / 2) * 2), max(2, round(height_px * scale / 2) * 2)
