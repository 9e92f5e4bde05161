"""A film's pictures as a video-language model wants them: chosen, resized and cut under limits, in order, ahead of who takes them.

Decoding runs in worker processes, a stretch of the film each, while the pictures before it are encoded. Every picture has its own time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from model.preprocess import best_grid, crops, fit, uniform_indices
from model.video import Frames
from pipelines.interfaces import FilmFile, UnreadableVideo, WrongRequest
from pipelines.limits import STANDARD, Limits
from pipelines.looking import Look, in_worker, looked_at
from pipelines.media import VideoIndex
from pipelines.sampling import TOUCH_S, FixedRate, Instants, sample_frames
from pipelines.workers import WorkerDied, crew

PREPROCESSING = "clip-centre-crop-1"  # raise its number whenever a picture would come out otherwise
STRETCH = 60  # pictures decoded in one go: a minute at 1 fps, about 20 MB of 336x336
BATCH = 8  # full-size pictures a worker holds at once; 8 of 2160p are 200 MB
PHOTOGRAPHS = ("png_pipe", "jpeg_pipe", "webp_pipe")  # what FFmpeg calls the formats of single pictures
MOST_FRAMES = 1 << 20  # twelve days at 1 fps


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures: `rate_hz` a second (those on display at k / rate), or `count` spread evenly over all the film has."""

    rate_hz: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.rate_hz is None) == (self.count is None):
            raise WrongRequest("say how many pictures a second (--fps) or how many in all (--frames), one of the two")
        if self.rate_hz is not None and not 0 < self.rate_hz <= 1000:
            raise WrongRequest(f"pictures are taken at 1000 a second at most and more than none, got {self.rate_hz:g}")
        if self.count is not None and not 0 < self.count <= MOST_FRAMES:
            raise WrongRequest(f"from 1 to {MOST_FRAMES:,} pictures can be taken, got {self.count:,}")

    @classmethod
    def parse(cls, text: str) -> Sampling:
        """The other way of `str`: "1 fps", "128 frames"."""
        number, _, unit = text.partition(" ")
        return cls(rate_hz=float(number)) if unit == "fps" else cls(count=int(number))

    def __str__(self) -> str:
        if self.rate_hz is None:
            return f"{self.count} frames"
        return f"{float(self.rate_hz)!r}".removesuffix(".0") + " fps"  # every digit: it is part of a memory's name

    def instants(self, index: VideoIndex) -> NDArray[np.float64]:
        """Seconds on the player's clock, ascending."""
        if self.rate_hz is not None:
            self.frames_in(index.duration_s)  # or WrongRequest
            return FixedRate(self.rate_hz).instants(index.duration_s)
        assert self.count is not None
        return index.times_s[uniform_indices(len(index.ticks), self.count)]

    def frames_in(self, duration_s: float) -> int:
        """How many that will be, where only the length is known."""
        if self.count is not None:
            return self.count
        assert self.rate_hz is not None
        if not duration_s * self.rate_hz <= MOST_FRAMES:
            raise WrongRequest(
                f"{duration_s:g} s at {self.rate_hz:g} pictures a second are more than {MOST_FRAMES:,}, the most there can be"
            )
        return len(FixedRate(self.rate_hz).instants(duration_s))


@dataclass(slots=True)
class Viewing:
    """The pictures of one film. lost: sentences on what could not be decoded; those pictures are left out."""

    path: FilmFile
    look: Look
    instants: NDArray[np.float64]
    size_px: int
    limits: Limits = STANDARD
    lost: list[str] = field(default_factory=list)
    sampling: str = ""  # as it is told in a memory's recipe

    @property
    def duration_s(self) -> float | None:
        return self.look.facts.duration_s

    def pictures(self, *, skip: int = 0, workers: int = 1) -> Iterator[Frames]:
        """(n, size, size, 3) RGB in the order of time, without the first `skip` instants; up to `workers` stretches are decoded ahead."""
        stretches = (self.instants[k : k + STRETCH] for k in range(skip, len(self.instants), STRETCH))
        with ThreadPoolExecutor(workers, thread_name_prefix="viewing") as pool:
            ahead: deque[Future[Frames | None]] = deque(pool.submit(self._stretch, s) for s in islice(stretches, workers + 1))
            try:
                while ahead:
                    frames = ahead.popleft().result()
                    ahead.extend(pool.submit(self._stretch, s) for s in islice(stretches, 1))
                    if frames is not None and len(frames):
                        yield frames
            finally:
                for waiting in ahead:
                    waiting.cancel()

    def shown_at(self) -> NDArray[np.int64]:
        """The tick of the picture on display at each instant, found without decoding."""
        index = self.look.index
        assert index is not None
        return index.ticks[np.clip(np.searchsorted(index.times_s, self.instants + TOUCH_S, "right") - 1, 0, len(index.ticks) - 1)]

    def stood_in_for(self, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        """The instants whose own picture is not among those seen: another stands in for it, as a player would leave it on display."""
        return self.instants[~np.isin(self.shown_at(), ticks)]

    def _stretch(self, instants: NDArray[np.float64]) -> Frames | None:
        try:
            return in_worker(stretch_of, self.path, self.look.index, tuple(instants.tolist()), self.size_px, limits=self.limits)
        except WorkerDied as error:
            self.lost.append(f"from {instants[0]:.1f} to {instants[-1]:.1f} s nothing could be decoded: {error}")
            return None


def view(path: FilmFile, sampling: Sampling, size_px: int, limits: Limits = STANDARD, grid_px: Sequence[tuple[int, int]] = ()) -> Viewing:
    """Look at the file's packets and choose its pictures. Raises UnreadableVideo.

    grid_px: into which (width, height) a photograph is fitted to be cut into squares; without any it is a film of one picture.
    """
    with crew(1, limits) as hands:
        look = looked_at(path, hands, limits)
    if look.index is None:
        raise UnreadableVideo(f"{path.name} has sound but no pictures to watch")
    if look.facts.format in PHOTOGRAPHS and grid_px:
        return Photograph(path, look, np.zeros(0), size_px, limits, sampling="squares of a photograph", grid_px=tuple(grid_px))
    return Viewing(path, look, sampling.instants(look.index), size_px, limits, sampling=str(sampling))


@dataclass(slots=True)
class Photograph(Viewing):
    """A single picture, seen in full detail as a film of its squares, row by row, all of them at 0 s."""

    grid_px: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        wide, high = best_grid(self.look.facts.width_px, self.look.facts.height_px, self.grid_px)
        self.instants = np.zeros(wide * high // self.size_px**2)

    @property
    def duration_s(self) -> float | None:
        return None

    def stood_in_for(self, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.zeros(0)

    def pictures(self, *, skip: int = 0, workers: int = 1) -> Iterator[Frames]:
        try:
            squares = in_worker(squares_of, self.path, self.look.index, self.grid_px, self.size_px, limits=self.limits)
        except WorkerDied as error:
            self.lost.append(f"the photograph could not be decoded: {error}")
            return
        rest = squares[skip:]
        yield Frames(rest, np.zeros(len(rest)), np.zeros(len(rest), np.int64))


def squares_of(path: FilmFile, index: VideoIndex, grid_px: Sequence[tuple[int, int]], size_px: int) -> NDArray[np.uint8]:
    """Runs in a worker: (n, size, size, 3), without the view of the whole."""
    picture = next(sample_frames(path, Instants((0.0,)), index=index)).pixels[0]
    return crops(picture, grid_px, size_px)[1:]


def stretch_of(path: FilmFile, index: VideoIndex, instants: Sequence[float], size_px: int) -> Frames:
    """Runs in a worker: the pictures on display at these instants, fitted."""
    found = [_fitted(frames, size_px) for frames in sample_frames(path, Instants(tuple(instants)), batch=BATCH, index=index)]
    if not found:
        return Frames(np.empty((0, size_px, size_px, 3), np.uint8), np.empty(0), np.empty(0, np.int64))
    return Frames(*(np.concatenate([getattr(f, name) for f in found]) for name in ("pixels", "times_s", "ticks")))


def _fitted(frames: Frames, size_px: int) -> Frames:
    try:
        return Frames(np.stack([fit(picture, size_px) for picture in frames.pixels]), frames.times_s, frames.ticks)
    except ValueError as error:  # a picture so narrow that it would become gigantic
        raise UnreadableVideo(str(error)) from error
