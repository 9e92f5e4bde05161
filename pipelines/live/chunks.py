"""What a live stream is made of: chunks that can each be decoded without the others. Knows clocks, decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

WRAP = 1 << 33  # ticks after which an MPEG-TS clock begins again: 26.5 h
WRAPPING = Fraction(1, 90_000)
MPEG_TS, FRAGMENTED_MP4 = "video/mp2t", "video/mp4"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a stream, from one clean start to the next.

    run: one unbroken clock of the source; a source that begins its clock anew begins a run. sequence: from 0 within a run.
    data: empty for a mark without media. start_tick, end_tick: of its pictures (of its sound where there are none), in `time_base`.
    origin_us: where the run's clock begins on the container's axis, None where the producer does not know.
    wall_clock: RFC 3339, when the producer had read it: told beside the media's time, never instead of it.
    """

    stream: str
    run: str
    sequence: int
    data: bytes = b""
    content_type: str = MPEG_TS
    start_tick: int = 0
    end_tick: int = 0
    time_base: Fraction = WRAPPING
    origin_us: int | None = None
    wall_clock: str = ""
    source: str = ""  # the camera or channel, as people call it
    profile: str = ""  # what is to be looked for, see pipelines/profiles.py
    is_last: bool = False

    def __post_init__(self) -> None:
        if self.sequence < 0 or not self.stream or not self.run:
            raise ValueError(f"a chunk has a stream, a run and a number from 0, got {self.stream!r}, {self.run!r}, {self.sequence}")
        if self.time_base <= 0 or self.end_tick < self.start_tick:
            raise ValueError(f"a chunk's clock runs forward, got [{self.start_tick}, {self.end_tick}) of {self.time_base} s")

    @property
    def duration_s(self) -> float:
        return float((self.end_tick - self.start_tick) * self.time_base)


def unwrapped(tick: int, near: int, time_base: Fraction) -> int:
    """The tick that a wrapped clock means where about `near` is expected; of a clock that does not wrap, the tick itself.

    >>> unwrapped(5, 2**33 - 1000, WRAPPING) - 2**33
    5
    """
    return tick + WRAP * round((near - tick) / WRAP) if time_base == WRAPPING else tick
