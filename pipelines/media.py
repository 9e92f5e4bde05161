"""What a media file is: its index and its facts, from one reading of its packets and its first picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipelines.containers import opened, origin_s, packets, told_name, video_stream
from pipelines.film_index import Log, VideoIndex, index_of, index_video
from pipelines.interfaces import FilmFile, UnreadableVideo
from pipelines.limits import MOST_PIXELS
from pipelines.pixels import display_size, rotation_deg
from pipelines.reel import Reel, Shown, shown_frames

__all__ = ["Reel", "Shown", "StreamFacts", "VideoFacts", "VideoIndex", "examine", "index_video", "opened", "probe", "shown_frames"]

STANDARD_RATES = tuple(Fraction(n) for n in (1, 5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 240)) + tuple(
    Fraction(n * 1000, 1001) for n in (12, 15, 24, 30, 48, 60, 120, 240)
)
SLACK = 0.02  # by how much a header may be off before it is said to lie
HDR = {16: "PQ", 18: "HLG"}
RANGES = {1: "limited", 2: "full"}


@dataclass(frozen=True, slots=True)
class StreamFacts:
    index: int
    kind: str  # video | audio | subtitle | data | attachment | cover
    codec: str
    language: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a file is. Sizes are as displayed (square pixels, rotation applied); duration_s is measured, not read from the header.

    A file without pictures has size 0x0, no frame rate and no frames. chapters: (start_s, end_s, title).
    """

    format: str
    duration_s: float
    frame_rate: Fraction | None
    frame_count: int
    width_px: int
    height_px: int
    rotation_deg: int  # by how much players turn the coded picture, counterclockwise: 0, 90, 180 or 270
    colour_range: str  # limited | full | unspecified
    streams: tuple[StreamFacts, ...]
    chapters: tuple[tuple[float, float, str], ...]
    warnings: tuple[str, ...]  # what the header claims and the file does not keep, and what was repaired
    announced_s: float | None = None  # the header's duration; much more than duration_s where a file was cut off
    pixel_format: str = ""
    interlaced: bool = False
    timecode: str = ""  # SMPTE timecode of the first picture, "10:00:00:00" or with ";" before dropped frames, as the file tells it


def probe(path: FilmFile) -> VideoFacts:
    """What the file is, measured. Raises UnreadableVideo."""
    return examine(path)[0]


def examine(path: FilmFile) -> tuple[VideoFacts, VideoIndex | None]:
    """Facts and index (None without pictures) from one reading. Raises UnreadableVideo where there is neither picture nor sound."""
    with opened(path) as container:
        film = video_stream(container)
        sounds = [s for s in container.streams if s.type == "audio"]
        if film is None and not sounds:
            raise UnreadableVideo(f"{told_name(path)} holds neither pictures nor sound")
        if film is not None and film.codec_context.width * film.codec_context.height > MOST_PIXELS:
            size = f"{film.codec_context.width}x{film.codec_context.height}"
            raise UnreadableVideo(f"{told_name(path)} claims pictures of {size} pixels; up to {MOST_PIXELS >> 20} million are decoded")
        log, sound_end_s = Log(container.format.name != "avi"), -inf
        for packet in packets(container, [film, *sounds] if film else sounds):
            if film is not None and packet.stream_index == film.index:
                log.add(packet, film.codec_context.name, film.codec_context.extradata)
            elif packet.pts is not None:
                sound_end_s = max(sound_end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        index = index_of(log, path, film, origin_s(container)) if film and len(log.pts) else None
        if index is None and sound_end_s == -inf:
            raise UnreadableVideo(f"{told_name(path)} announces pictures or sound but holds none")
        first = next(shown_frames(path, index, 0, inf), None) if index else None
        if index and first is None and sound_end_s == -inf:
            raise UnreadableVideo(f"none of the {len(index.ticks)} pictures in {told_name(path)} can be decoded")
        return _facts(container, _Film(film, index, first.frame if first else None) if film and index else None, sound_end_s), index


@dataclass(frozen=True, slots=True)
class _Film:
    stream: VideoStream
    index: VideoIndex
    first: av.VideoFrame | None

    @property
    def frame_rate(self) -> Fraction | None:
        """Pictures a second, gaps left out: the header's where they keep it, a usual rate where one is near, else what was measured."""
        steps = np.diff(self.index.ticks)
        if not len(steps):
            return None
        regular = steps[steps <= 1.5 * np.median(steps)]
        measured = Fraction(len(regular), int(regular.sum())) / self.index.clock.time_base
        claims = [rate for rate in (self.stream.average_rate, self.stream.guessed_rate, *STANDARD_RATES) if rate]
        nearest = min(claims, key=lambda rate: abs(rate / measured - 1))
        return nearest if abs(nearest / measured - 1) < 0.002 else measured.limit_denominator(1001)

    @property
    def mean_rate(self) -> Fraction:
        """Pictures over the whole length, gaps included, as some headers count."""
        ticks = self.index.end_tick - int(self.index.ticks[0])
        return len(self.index.ticks) / (ticks * self.index.clock.time_base)


def _facts(container: InputContainer, film: _Film | None, sound_end_s: float) -> VideoFacts:
    origin = float(film.index.clock.origin_s if film else origin_s(container))
    duration_s = max(0.0, sound_end_s - origin)
    if (
        film and not film.index.duration_s < duration_s < film.index.duration_s + 3600
    ):  # sound an hour past the last picture is a broken stamp
        duration_s = film.index.duration_s
    announced_s = container.duration / av.time_base if container.duration else None
    return VideoFacts(
        format=container.format.name,
        duration_s=duration_s,
        frame_rate=film.frame_rate if film else None,
        frame_count=len(film.index.ticks) if film else 0,
        **_picture_facts(film),
        streams=tuple(_stream_facts(s) for s in container.streams),
        chapters=tuple(_chapters(container, origin)),
        warnings=(*_length_warnings(duration_s, announced_s), *(_film_warnings(film) if film else ())),
        announced_s=announced_s,
        timecode=next((s.metadata["timecode"] for s in (*container.streams, container) if "timecode" in s.metadata), ""),
    )


def _picture_facts(film: _Film | None) -> dict[str, Any]:
    if film is None or film.first is None:
        return {"width_px": 0, "height_px": 0, "rotation_deg": 0, "colour_range": "unspecified"}
    frame = film.first
    width, height = display_size(frame, film.stream.sample_aspect_ratio)
    return {
        "width_px": width,
        "height_px": height,
        "rotation_deg": rotation_deg(frame),
        "colour_range": "full" if frame.format.name.startswith("yuvj") else RANGES.get(int(frame.color_range), "unspecified"),
        "pixel_format": frame.format.name,
        "interlaced": frame.interlaced_frame,
    }


def _stream_facts(stream: Stream) -> StreamFacts:
    kind = "cover" if stream.disposition & Disposition.attached_pic else stream.type
    codec = stream.codec_context.name if stream.codec_context else getattr(stream, "name", None)
    return StreamFacts(stream.index, kind, codec or "unknown", stream.metadata.get("language", ""), stream.metadata.get("title", ""))


def _chapters(container: InputContainer, origin: float) -> list[tuple[float, float, str]]:
    spans = [
        (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"].get("title", ""))
        for c in container.chapters()
        if c["time_base"]
    ]
    return [(max(0.0, float(start) - origin), max(0.0, float(end) - origin), title) for start, end, title in spans]


def _length_warnings(duration_s: float, announced_s: float | None) -> list[str]:
    if announced_s is None:
        return ["the header gives no duration"]
    if abs(announced_s - duration_s) > max(0.5, SLACK * duration_s):
        return [f"the header announces {announced_s:.1f} s, but {duration_s:.1f} s are there"]
    return []


def _film_warnings(film: _Film) -> list[str]:
    words, count, claimed, rate = list(film.index.warnings), len(film.index.ticks), film.stream.average_rate, film.frame_rate
    if film.stream.frames and film.stream.frames != count:
        words.append(f"the header announces {film.stream.frames} pictures, but {count} are to be shown")
    if rate and claimed and min(abs(claimed / rate - 1), abs(claimed / film.mean_rate - 1)) > SLACK:
        words.append(f"the header announces {float(claimed):.3f} pictures a second, but they come at {float(rate):.3f}")
    if count > 1 and _varies(np.diff(film.index.ticks)):
        words.append("the frame rate varies")
    if film.first is None:
        words.append("none of the pictures can be decoded")
    elif film.first.color_trc in HDR:
        words.append(f"high dynamic range ({HDR[int(film.first.color_trc)]}); pictures are converted without tone mapping")
    return words


def _varies(steps: NDArray[np.int64]) -> bool:
    """Whether more than one step in fifty is off by over a tenth, rounding of ticks aside."""
    usual = float(np.median(steps))
    return bool((np.abs(steps - usual) > max(1.0, usual / 10)).mean() > 0.02)
