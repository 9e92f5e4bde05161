"""Opens media and hands out frames with the container's own times. The only module that talks to PyAV's demuxers and video decoders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from model.video import Clock
from pipelines.interfaces import UnreadableVideo


@dataclass(frozen=True, slots=True)
class StreamFacts:
    index: int
    kind: str  # video | audio | subtitle | data | attachment
    codec: str
    language: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a file is. Sizes are as displayed (rotation applied); duration_s is measured, not read from the header."""

    format: str
    duration_s: float
    frame_rate: Fraction | None
    frame_count: int
    width_px: int
    height_px: int
    rotation_deg: int
    colour_range: str
    streams: tuple[StreamFacts, ...]
    chapters: tuple[tuple[float, float, str], ...]
    warnings: tuple[str, ...]  # what the header claims and the file does not keep


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Every picture's time, from one demuxing pass. ticks: (N,) int64 ascending, display order; key_ticks: those of key frames."""

    clock: Clock
    ticks: NDArray[np.int64]
    key_ticks: NDArray[np.int64]
    end_tick: int  # when the last picture leaves the screen

    @property
    def duration_s(self) -> float:
        return self.clock.seconds(self.end_tick)


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded picture and how long it stays on display, `[start_s, end_s)`."""

    frame: av.VideoFrame
    tick: int
    start_s: float
    end_s: float


@contextmanager
def opened(path: Path) -> Iterator[av.container.InputContainer]:
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            yield container
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideo(f"{path.name} cannot be read as media: {error}") from error


def index_video(path: Path) -> VideoIndex | None:
    """Times of all pictures of the first video stream; None where there is none."""
    with opened(path) as container:
        if not container.streams.video:
            return None
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 90_000)
        origin = Fraction(container.start_time or 0, av.time_base)
        packets = [(p.pts, p.duration or 0, p.is_keyframe) for p in container.demux(stream) if p.pts is not None and not p.is_discard]
    if not packets:
        raise UnreadableVideo(f"{path.name} has a video stream without pictures")
    packets.sort()
    last_tick, last_duration, _ = packets[-1]
    return VideoIndex(
        clock=Clock(base, origin),
        ticks=np.array([p[0] for p in packets], np.int64),
        key_ticks=np.array([p[0] for p in packets if p[2]], np.int64),
        end_tick=last_tick + last_duration,
    )


def shown_frames(path: Path, index: VideoIndex, start_s: float, end_s: float) -> Iterator[Shown]:
    """Every frame on display in `[start_s, end_s)`, in order, exactly as a full decode gives it."""
    clock = index.clock
    with opened(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        earlier = index.key_ticks[index.key_ticks <= clock.tick(start_s)]
        first_tick = None
        if len(earlier) and earlier[-1] > index.ticks[0]:
            first_tick = int(earlier[-1])
            container.seek(first_tick, stream=stream)
        held: av.VideoFrame | None = None
        for frame in container.decode(stream):
            if frame.pts is None or (first_tick is not None and frame.pts < first_tick):
                continue
            if held is not None and (shown := _shown(held, frame.pts, clock)).end_s > start_s:
                yield shown
            held = frame
            if clock.seconds(frame.pts) >= end_s:
                return
        if held is not None and (shown := _shown(held, index.end_tick, clock)).end_s > start_s:
            yield shown


def _shown(frame: av.VideoFrame, next_tick: int, clock: Clock) -> Shown:
    assert frame.pts is not None
    return Shown(frame, frame.pts, clock.seconds(frame.pts), clock.seconds(next_tick))
