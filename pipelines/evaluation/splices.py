"""Real recordings with real spots spliced into them by straight cuts at equal loudness, and where they are. The recordings are given.

H, W = height, width of the film; n = pictures of a piece. Everything drawn comes from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from model.video import TimeSpan

Pictures = NDArray[np.uint8]  # (n, H, W, 3) RGB
Wave = NDArray[np.float32]  # mono

KINDS = ("camera", "film", "take")
RATE_HZ = 24_000
KEPT_PX = 420  # the longer side of a recording in memory
KEPT_HZ = 15


@dataclass(frozen=True, slots=True)
class Recording:
    """A real clip or photo. pictures: at KEPT_HZ, one of a photo; shots: its own shots' first pictures, 0 among them."""

    name: str
    pictures: Pictures
    wave: Wave | None
    shots: tuple[int, ...] = (0,)

    @property
    def is_photo(self) -> bool:
        return len(self.pictures) == 1

    @property
    def takes(self) -> list[tuple[int, int]]:
        return list(zip(self.shots, (*self.shots[1:], len(self.pictures)), strict=True))


@dataclass(frozen=True, slots=True)
class Splice:
    """A made film. spots: from a spot's first picture to the first one behind it; breaks: spots back to back are one."""

    path: Path
    kind: str
    duration_s: float
    breaks: tuple[TimeSpan, ...]
    spots: tuple[TimeSpan, ...]


@dataclass(frozen=True, slots=True)
class _View:
    """How one camera sees a recording: which take, which part of the picture, mirrored or not, its tint."""

    recording: Recording
    take: tuple[int, int]
    window: tuple[float, float, float]  # left, top, share of the picture
    mirrored: bool
    tint: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Piece:
    view: _View
    seconds: float
    begin: float  # of the view's take, a share of it
    drift: tuple[float, float]  # of a photo's window, shares a second
    spot: int = -1  # -1: programme


def read_recording(path: Path, shots: Sequence[float] = ()) -> Recording:
    """A clip with its sound, or a photo. shots: seconds at which it is cut."""
    with av.open(str(path)) as container:
        pictures = _read_pictures(container)
    with av.open(str(path)) as container:
        wave = _read_wave(container) if container.streams.audio else None
    return Recording(path.stem, pictures, wave, (0, *(round(s * KEPT_HZ) for s in shots)))


def _read_pictures(container: av.container.InputContainer) -> Pictures:
    kept: list[Pictures] = []
    began: float | None = None
    for frame in _frames(container, container.streams.video[0]):
        scale = KEPT_PX / max(frame.width, frame.height)
        size = (round(frame.width * scale) // 2 * 2, round(frame.height * scale) // 2 * 2)
        time_s = frame.time if frame.time is not None else len(kept) / KEPT_HZ
        began = time_s if began is None else began
        due = int((time_s - began) * KEPT_HZ) + 1 - len(kept)
        if due > 0:
            kept += [frame.to_ndarray(format="rgb24", width=size[0], height=size[1])] * due
    return np.stack(kept)


def _frames(container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream) -> Iterator[Any]:
    """Old clips end in a packet that no decoder takes."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _read_wave(container: av.container.InputContainer) -> Wave:
    resampler = av.AudioResampler("flt", "mono", RATE_HZ)
    frames = [f for frame in _frames(container, container.streams.audio[0]) for f in resampler.resample(frame)]
    return np.concatenate([f.to_ndarray()[0] for f in frames]).astype(np.float32)


def make_splice(path: Path, kind: str, seed: int, recordings: Sequence[Recording], *, spots: bool = True) -> Splice:
    """A film of `kind` (one of KINDS), with one to three breaks or without any; host and spots share no recording.

    The same seed gives the same programme with and without spots.
    """
    rng, spot_rng = default_rng([seed, KINDS.index(kind)]), default_rng([seed, KINDS.index(kind), 1])
    order = [recordings[k] for k in rng.permutation(len(recordings))]
    size = [(320, 180), (384, 216), (320, 240)][int(rng.integers(3))]
    fps = int(rng.choice([10, 15, 25]))
    hosts, others = _split(rng, kind, order)
    programme = _programme(rng, kind, hosts)
    pieces = _with_spots(spot_rng, kind, programme, others) if spots else programme
    pieces = _on_frames(pieces, fps)
    _render(path, pieces, _wave(rng, pieces, hosts, others), size, fps)
    return Splice(path, kind, sum(p.seconds for p in pieces), *_truth(pieces))


def _split(rng: Generator, kind: str, order: list[Recording]) -> tuple[list[Recording], list[Recording]]:
    moving = [r for r in order if not r.is_photo]
    if kind == "film":
        hosts = [*moving[: int(rng.integers(1, 4))], *[r for r in order if r.is_photo][: int(rng.integers(1, 5))]]
    else:
        single = sorted((r for r in moving if len(r.shots) == 1), key=lambda r: -len(r.pictures))
        most = max(1, len(single) // 2) if kind == "camera" else len(single)
        hosts = [single[int(rng.integers(most))]]
    return hosts, [r for r in order if all(r is not h for h in hosts)]


def _view(rng: Generator, recording: Recording) -> _View:
    share = float(rng.choice([1.0, rng.uniform(0.5, 0.9)]))
    left, top = (rng.random(2) * (1 - share)).tolist()
    tint = tuple(float(v) for v in np.exp(rng.normal(0, 0.06, 3)))
    takes = recording.takes
    return _View(recording, takes[int(rng.integers(len(takes)))], (left, top, share), bool(rng.random() < 0.3), tint)  # type: ignore[arg-type]


def _piece(rng: Generator, view: _View, seconds: float, spot: int = -1) -> _Piece:
    drift = rng.normal(0, 0.02, 2).tolist()
    return _Piece(view, seconds, float(rng.random()), (drift[0], drift[1]), spot)


def _programme(rng: Generator, kind: str, hosts: list[Recording]) -> list[_Piece]:
    if kind != "film":
        seconds = float(rng.uniform(60, 160)) if kind == "camera" else float(rng.uniform(25, 70))
        return [replace(_piece(rng, _view(rng, hosts[0]), seconds), begin=0.0)]
    views = [_view(rng, r) for r in hosts for _ in range(1 if r.is_photo else int(rng.integers(1, 4)))]
    total_s, shot_s = float(rng.uniform(60, 240)), float(rng.choice([1.5, 3, 5, 8]))
    once = float(rng.choice([0, 0, 0.1]))  # shots of something seen once
    pieces: list[_Piece] = []
    while sum(p.seconds for p in pieces) < total_s:
        scene = [views[k] for k in rng.permutation(len(views))[: int(rng.integers(1, 4))]]
        last = -1
        for _ in range(int(rng.integers(2, 8))):
            last = int(rng.choice([k for k in range(len(scene)) if k != last or len(scene) == 1]))
            view = _view(rng, hosts[int(rng.integers(len(hosts)))]) if rng.random() < once else scene[last]
            if not (pieces and pieces[-1].view is view):
                pieces.append(_piece(rng, view, float(np.clip(shot_s * np.exp(rng.normal(0, 0.5)), 0.7, 20))))
    return pieces


def _with_spots(rng: Generator, kind: str, programme: list[_Piece], others: list[Recording]) -> list[_Piece]:
    """Spots between the programme's shots, or in the middle of one: what goes on behind it is the same shot."""
    total_s = sum(p.seconds for p in programme)
    count = int(rng.integers(1, 3 if total_s < 120 else 4))
    at_s = np.sort(rng.uniform(0.12, 0.88, count)) * total_s
    number, done_s = 0, 0.0
    pieces: list[_Piece] = []
    for piece in programme:
        inside = [t for t in at_s if done_s <= t < done_s + piece.seconds]
        left = piece
        for time_s in inside:
            if kind != "film" or rng.random() < 0.3:
                before_s = float(time_s - done_s) - (piece.seconds - left.seconds)
                if min(before_s, left.seconds - before_s) > 1.5 or kind != "film":
                    pieces.append(replace(left, seconds=before_s))
                    left = replace(left, seconds=left.seconds - before_s, begin=left.begin + before_s * KEPT_HZ / _length(left.view))
            for _ in range(1 if rng.random() < 0.75 else 2):
                pieces += _spot(rng, others, number)
                number += 1
        pieces.append(left)
        done_s += piece.seconds
    return [p for p in pieces if p.seconds > 0.2]


def _length(view: _View) -> int:
    return view.take[1] - view.take[0]


def _spot(rng: Generator, others: list[Recording], number: int) -> list[_Piece]:
    """4 to 15 s: one take of something else, or several shots of up to three recordings, now and then with a still at the end."""
    seconds = float(rng.uniform(4, 15))
    moving = [r for r in others if not r.is_photo]
    if rng.random() < 0.4:
        chosen = moving[int(rng.integers(len(moving)))]
        whole = replace(_view(rng, chosen), take=(0, len(chosen.pictures))) if rng.random() < 0.5 else _view(rng, chosen)
        return [_piece(rng, whole, seconds, number)]
    cast = [others[k] for k in rng.permutation(len(others))[: int(rng.integers(1, 4))]]
    pieces: list[_Piece] = []
    shot_s = float(rng.choice([1, 1.7, 3]))
    while (left_s := seconds - sum(p.seconds for p in pieces)) > 0.01:
        length_s = float(np.clip(shot_s * np.exp(rng.normal(0, 0.4)), 0.5, 6))
        view = _view(rng, cast[int(rng.integers(len(cast)))])
        pieces.append(_piece(rng, view, left_s if left_s - length_s < 0.5 else length_s, number))
    return pieces


def _on_frames(pieces: list[_Piece], fps: int) -> list[_Piece]:
    edges = np.rint(np.cumsum([0.0] + [p.seconds for p in pieces]) * fps)
    return [replace(p, seconds=float(n) / fps) for p, n in zip(pieces, np.diff(edges), strict=True) if n > 0]


def _truth(pieces: list[_Piece]) -> tuple[tuple[TimeSpan, ...], tuple[TimeSpan, ...]]:
    edges = np.cumsum([0.0] + [p.seconds for p in pieces]).tolist()
    spots: dict[int, TimeSpan] = {}
    breaks: list[TimeSpan] = []
    for piece, start_s, end_s in zip(pieces, edges, edges[1:], strict=False):
        if piece.spot < 0:
            continue
        spots[piece.spot] = TimeSpan(spots[piece.spot].start_s if piece.spot in spots else start_s, end_s)
        goes_on = bool(breaks) and breaks[-1].end_s == start_s
        breaks = [*breaks[:-1], TimeSpan(breaks[-1].start_s, end_s)] if goes_on else [*breaks, TimeSpan(start_s, end_s)]
    return tuple(breaks), tuple(spots.values())


def _wave(rng: Generator, pieces: list[_Piece], hosts: list[Recording], others: list[Recording]) -> Wave | None:
    """One bed under the programme, others under the spots, all equally loud; None or silence throughout where the film has no sound."""
    sound = rng.choice(["own", "own", "silence", "none"])
    if sound == "none":
        return None
    heard = [r.wave for r in hosts if r.wave is not None] or [r.wave for r in others if r.wave is not None][:1]
    strange = [r.wave for r in others if r.wave is not None and all(r.wave is not h for h in heard)]
    level = float(rng.uniform(0.03, 0.12))
    place = int(rng.integers(RATE_HZ * 4))
    parts: list[Wave] = []
    for piece in pieces:
        count = round(piece.seconds * RATE_HZ)
        source = heard[0] if piece.spot < 0 else strange[piece.spot % len(strange)] if strange else heard[0]
        if sound == "silence":
            parts.append(np.zeros(count, np.float32))
            continue
        start = place if piece.spot < 0 else 0
        part = source[(start + np.arange(count)) % len(source)]
        place += count if piece.spot < 0 else 0
        parts.append((part * level / max(float(np.sqrt(np.mean(source**2))), 1e-4)).astype(np.float32))
    return np.clip(np.concatenate(parts), -1, 1)


def _picture(piece: _Piece, seconds: float, size: tuple[int, int]) -> Pictures:
    """(H, W, 3): the window of the recording's picture, widened to the film's shape, there and back again where the take is too short."""
    first, stop = piece.view.take
    count = stop - first
    at = (piece.begin * count + seconds * KEPT_HZ) % max(1, 2 * (count - 1))
    row = first + round(min(at, 2 * (count - 1) - at)) if count > 1 else first
    source = piece.view.recording.pictures[row]
    left, top, share = piece.view.window
    if piece.view.recording.is_photo:
        share *= 0.8
        left, top = (abs(v + d * seconds) % (1 - share) for v, d in zip((left, top), piece.drift, strict=True))
    height, width = source.shape[:2]
    rows = ((top + share * (np.arange(size[1]) + 0.5) / size[1]) * height).astype(int).clip(0, height - 1)
    columns = ((left + share * (np.arange(size[0]) + 0.5) / size[0]) * width).astype(int).clip(0, width - 1)
    picture = source[rows[:, None], columns[None, ::-1] if piece.view.mirrored else columns[None]]
    return np.asarray(np.clip(picture * np.array(piece.view.tint), 0, 255), np.uint8)


def _render(path: Path, pieces: list[_Piece], wave: Wave | None, size: tuple[int, int], fps: int) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "26", "g": str(fps * 4)})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.time_base = Fraction(1, fps)
        audio = container.add_stream("aac", rate=RATE_HZ, layout="mono", options={"b": "64k"}) if wave is not None else None
        number = 0
        for piece in pieces:
            for k in range(round(piece.seconds * fps)):
                frame = av.VideoFrame.from_ndarray(_picture(piece, k / fps, size), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, fps)
                container.mux(video.encode(frame))
                number += 1
        container.mux(video.encode(None))
        if audio is None or wave is None:
            return
        for first in range(0, len(wave), 1024):
            sound = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
            sound.rate, sound.pts, sound.time_base = RATE_HZ, first, Fraction(1, RATE_HZ)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
