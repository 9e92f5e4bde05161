"""New films from stretches of an old one: one finding's clip, or the film without its ads. Edges are exact, so it encodes again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av import VideoFrame

from model.video import TimeSpan
from pipelines.containers import opened, video_stream
from pipelines.exports.movie import MovieWriter, Quality, has_sound, sound_of
from pipelines.interfaces import WrongRequest
from pipelines.media import VideoIndex, examine, probe, shown_frames

Progress = Callable[[float], None]  # told the share that is done, in [0, 1]
SHORTEST_S = 1e-3  # what is left between two ads; less is rounding


def clip_path(folder: Path, video: Path, span: TimeSpan, label: str = "") -> Path:
    """`film 0-20-18.4 ad break.mp4`: a name that says what and when, and that every file system takes."""
    minutes, seconds = divmod(span.start_s, 60)
    words = "".join(c if c.isalnum() or c in " -_" else " " for c in label)
    when = f"{int(minutes) // 60}-{int(minutes) % 60:02d}-{seconds:04.1f}"
    return folder / (" ".join(f"{video.stem} {when} {words}".split())[:120] + ".mp4")


def clip(path: Path, span: TimeSpan, out: Path, progress: Progress = lambda share: None) -> None:
    """Write what is seen and heard in `span`, from its first to its last instant. Raises UnreadableVideo, WrongRequest."""
    write_stretches(path, [span], out, Quality(), progress)


def cut(path: Path, removed: Sequence[TimeSpan], out: Path, progress: Progress = lambda share: None) -> None:
    """Write the film without these spans. Raises UnreadableVideo; WrongRequest where nothing would be left."""
    write_stretches(path, kept_spans(removed, probe(path).duration_s), out, Quality(), progress)


def kept_spans(removed: Sequence[TimeSpan], duration_s: float) -> list[TimeSpan]:
    """What remains of [0, duration_s), in order."""
    edges = [0.0]
    for span in sorted(removed):
        if span.start_s > edges[-1] + SHORTEST_S:
            edges += [span.start_s, span.end_s]
        else:
            edges[-1] = max(edges[-1], span.end_s)
    pieces = [*edges, max(duration_s, edges[-1])]
    return [TimeSpan(a, b) for a, b in list(pairwise(pieces))[::2] if b - a > SHORTEST_S]


def write_stretches(path: Path, spans: Sequence[TimeSpan], out: Path, quality: Quality, progress: Progress) -> None:
    """Write these stretches one after another, as far as the film goes; sound and picture stay together over every join."""
    if out.exists() and out.samefile(path):
        raise WrongRequest(f"{out.name} would overwrite the film it is made from")
    facts, index = examine(path)
    spans = [TimeSpan(s.start_s, min(s.end_s, facts.duration_s)) for s in spans if s.start_s < facts.duration_s]
    if not spans:
        raise WrongRequest(f"there is nothing of {path.name} to write in what was asked for")
    total_s = sum((Fraction(span.end_s) - Fraction(span.start_s) for span in spans), Fraction(0))
    growing = out.with_name(out.name + ".part")  # what has the film's name is whole, even if somebody stops us
    try:
        with MovieWriter(growing, quality, sound=has_sound(path)) as movie:
            at_s = Fraction(0)
            for span in spans:
                for written_s in _append(movie, path, index, span, at_s):
                    progress(min(1.0, float(written_s / total_s)))
                at_s += Fraction(span.end_s) - Fraction(span.start_s)
        growing.replace(out)
    finally:
        growing.unlink(missing_ok=True)
    progress(1.0)


def _append(movie: MovieWriter, path: Path, index: VideoIndex | None, span: TimeSpan, at_s: Fraction) -> Iterator[Fraction]:
    """Write `span` of the old film at `at_s` of the new one, sound and pictures side by side; yields how far the new film reaches."""
    start_s, end_s = Fraction(span.start_s), Fraction(span.end_s)
    heard = sound_of(path, start_s, end_s) if movie.with_sound else iter(())
    for frame, shown_s, hidden_s, aspect in _pictures(path, index, span):
        until_s = hidden_s - start_s + at_s
        movie.add_picture(frame, shown_s - start_s + at_s, until_s, aspect)
        while movie.sound_s < until_s and (samples := next(heard, None)) is not None:
            movie.add_sound(samples)
        yield until_s
    for samples in heard:
        movie.add_sound(samples)
        yield movie.sound_s


def _pictures(path: Path, index: VideoIndex | None, span: TimeSpan) -> Iterator[tuple[VideoFrame, Fraction, Fraction, Fraction | None]]:
    """(picture, from, until, pixel aspect) on display in `span`, edges cut to it."""
    if index is None:
        return
    with opened(path) as container:
        stream = video_stream(container)
        aspect = stream.sample_aspect_ratio if stream else None
    for shown in shown_frames(path, index, span.start_s, span.end_s):
        if shown.start_s < span.end_s:
            yield shown.frame, Fraction(max(shown.start_s, span.start_s)), Fraction(min(shown.end_s, span.end_s)), aspect
