"""One chunk of a stream decoded, in a worker: small pictures and where they lie in time. Judges nothing, remembers nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.video import Clock
from pipelines.containers import opened, origin_s, packets, video_stream
from pipelines.decode_plan import DecodePlan
from pipelines.film_index import Log, VideoIndex, index_of
from pipelines.interfaces import UnreadableVideo
from pipelines.limits import MOST_PIXELS, STANDARD, Limits
from pipelines.live.chunks import WRAPPING, unwrapped
from pipelines.looking import plain_facts
from pipelines.measure import Gather, Jumps
from pipelines.media import examine, shown_frames
from pipelines.segments import LOST_S
from pipelines.series import OVERLAP_S, Missing, Series
from pipelines.sound import WARM_UP_S, measure_sound_piece
from pipelines.workers import WorkerBug, WorkerDied, crew

COMPUTING_S = 30.0  # of processor time for one chunk; a slow one of 2160p takes two
LEAD_S = OVERLAP_S + WARM_UP_S  # of sound before a block


@dataclass(frozen=True, slots=True)
class Axis:
    """The clock of a run: 0 s of the stream lies at `origin` on the container's axis, which goes on over its wraps.

    near: about where the chunk is expected to begin there, None where nothing is known.
    """

    origin: Fraction | None
    near: Fraction | None = None

    def added(self, start: Fraction, form: str) -> Fraction:
        """What a piece that says it starts at `start` has lost by wrapping."""
        if self.near is None or "mpegts" not in form:
            return Fraction(0)
        tick = round(start / WRAPPING)
        return (unwrapped(tick, round(self.near / WRAPPING), WRAPPING) - tick) * WRAPPING


@dataclass(frozen=True, slots=True)
class Piece:
    """What a chunk gave, in seconds of the stream. frames, samples: as `Gather` has them. origin: as of `Axis`.

    end_s: of its pictures, of its sound where it has none. sound_end_s: None without sound.
    """

    start_s: float
    end_s: float
    origin: Fraction
    time_base: Fraction | None = None  # of its pictures
    sound_end_s: float | None = None
    frames: list[tuple[float, int, np.ndarray]] = field(default_factory=list)
    samples: dict[str, list[tuple[float, np.ndarray]]] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    jumps: Jumps | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def decode(data: bytes, lead: bytes, axis: Axis, plan: DecodePlan, jumps: Jumps, limits: Limits = STANDARD, *, facts: bool) -> Piece:
    """`decode_chunk` in a worker. Raises UnreadableVideo with the reason, whatever the bytes did."""
    piece = _asked(decode_chunk, data, lead, axis, plan, jumps, facts, limits=limits)
    assert isinstance(piece, Piece)
    return piece


def listen(data: bytes, span: tuple[float, float], axis: Axis, limits: Limits = STANDARD) -> dict[str, Series]:
    """`hear` in a worker. Raises UnreadableVideo."""
    heard = _asked(hear, data, span, axis, limits=limits)
    assert isinstance(heard, dict)
    return heard


def _asked(function: Any, *arguments: object, limits: Limits) -> object:
    try:
        with crew(1, limits) as hands:
            return hands.ask(function, *arguments, computing_s=COMPUTING_S, waiting_s=limits.patience_s, reason="decoding took too long")
    except WorkerDied as error:
        raise UnreadableVideo(str(error)) from error
    except WorkerBug as error:
        raise UnreadableVideo(f"a fault of this program: {str(error).strip().splitlines()[-1]}") from error


def decode_chunk(data: bytes, lead: bytes, axis: Axis, plan: DecodePlan, jumps: Jumps, facts: bool) -> Piece:
    """Runs in a worker. lead: the chunk before, decoded too where this one's first pictures refer to it; empty where there is none."""
    with _file(data) as path:
        index, sound_end, start, added = _pass(path, axis)
        origin = axis.origin if axis.origin is not None else start + added
        axis = Axis(origin, start + added)
        told = plain_facts(examine(path)[0]) if facts else {}
        sound_end_s = None if sound_end is None else float(sound_end + added - origin)
        if index is None:
            return Piece(float(start + added - origin), sound_end_s or 0.0, origin, None, sound_end_s, facts=told)
        gather = Gather(plan)
        gather.jumps = jumps
        first, key = (int(t) + int(added / index.clock.time_base) for t in (index.ticks[0], index.packet_ticks[0]))
        if first < key and lead:
            with _file(lead + data) as both:
                whole, _, _, moved = _pass(both, axis)
                assert whole is not None
                _take(gather, both, whole, origin, moved, first)
        else:
            first = max(first, key)
            _take(gather, path, index, origin, added, first)
    if not gather.frames:
        raise UnreadableVideo("none of its pictures can be decoded")
    clock = Clock(index.clock.time_base, origin)
    wraps = int(added / index.clock.time_base)
    holes = _holes(index.ticks + wraps, index.end_tick + wraps, first, [f[1] for f in gather.frames], clock)
    return Piece(
        clock.seconds(first), clock.seconds(index.end_tick + wraps), origin, clock.time_base, sound_end_s, gather.frames, gather.samples,
        tuple(holes), gather.jumps, told,
    )  # fmt: skip


def _take(gather: Gather, path: Path, index: VideoIndex, origin: Fraction, added: Fraction, first: int) -> None:
    """Gather what is shown from tick `first` of the run on."""
    base = index.clock.time_base
    wraps, clock = int(added / base), Clock(base, origin - added)
    for shown in shown_frames(path, replace(index, clock=clock), max(0.0, clock.seconds(first - wraps)), inf):
        if shown.tick + wraps >= first:
            gather.add(replace(shown, tick=shown.tick + wraps))


def _pass(path: Path, axis: Axis) -> tuple[VideoIndex | None, Fraction | None, Fraction, Fraction]:
    """The index of the pictures, where the sound ends and where all begins on the container's axis, and what that has lost by wrapping."""
    with opened(path) as container:
        start = origin_s(container)
        added = axis.added(start, container.format.name)
        film = video_stream(container)
        sounds = [s for s in container.streams if s.type == "audio"]
        if film is None and not sounds:
            raise UnreadableVideo("it holds neither pictures nor sound")
        if film is not None and film.codec_context.width * film.codec_context.height > MOST_PIXELS:
            raise UnreadableVideo("it claims larger pictures than are decoded")
        log, sound_end = Log(), None
        for packet in packets(container, [film, *sounds] if film else sounds):
            if film is not None and packet.stream_index == film.index:
                log.add(packet, film.codec_context.name, film.codec_context.extradata)
            elif packet.pts is not None:
                end = Fraction(packet.pts + (packet.duration or 0)) * packet.time_base
                sound_end = end if sound_end is None else max(sound_end, end)
        index = index_of(log, path, film, origin_s(container)) if film and len(log.pts) else None
    if index is None and sound_end is None:
        raise UnreadableVideo("it announces pictures or sound but holds none")
    return index, sound_end, start, added


def _holes(ticks: NDArray[np.int64], end_tick: int, first: int, given: Sequence[int], clock: Clock) -> Iterator[Missing]:
    """Stretches for which the chunk lists pictures and the decoder gave none."""
    listed = ticks[ticks >= first]
    absent = np.concatenate([[False], ~np.isin(listed, given), [False]]).astype(np.int8)
    following = np.append(listed, end_tick)
    for a, b in np.flatnonzero(np.diff(absent)).reshape(-1, 2):
        start_s, end_s = (max(0.0, clock.seconds(int(following[k]))) for k in (a, b))
        if end_s - start_s >= LOST_S:
            yield Missing(start_s, end_s, "the pictures are damaged")


def hear(data: bytes, span: tuple[float, float], axis: Axis) -> dict[str, Series]:
    """Runs in a worker: the sound series of a block, from the chunks around it laid end to end."""
    with _file(data) as path:
        with opened(path) as container:
            form = container.format.name
        assert axis.origin is not None
        origin = axis.origin
        return measure_sound_piece(path, span[0], span[1], lambda start: origin - axis.added(start, form))


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """The bytes as a file: FFmpeg reads those by itself, twice as fast as through Python."""
    with tempfile.TemporaryDirectory(prefix="longtake-chunk-") as folder:
        path = Path(folder) / "it"  # as errors call it
        path.write_bytes(data)
        yield path
