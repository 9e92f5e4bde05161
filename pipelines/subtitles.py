"""Subtitles on the player's clock: from text streams inside a file, or from a file beside it. Pictures of text are not read."""

from __future__ import annotations

import html
import logging
import re
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition
from av.subtitles.subtitle import AssSubtitle

from model.video import TimeSpan
from pipelines.containers import opened, origin_s, packets
from pipelines.interfaces import FilmFile

logger = logging.getLogger(__name__)

Line = tuple[TimeSpan, str]

TEXT_CODECS = ("subrip", "srt", "text", "ass", "ssa", "mov_text", "webvtt", "eia_608", "microdvd")
LARGEST_SIDECAR = 16 << 20  # bytes; a film's subtitles are 100 kB
LONGEST_LINE_S = 60.0  # for lines whose end is not told

_BESIDE = re.compile(
    r"(?:\.(?P<language>[a-z]{2,3})(?:-[a-z]{2,4})?)?(?P<flags>(?:\.(?:forced|sdh|cc|hi|default))*)\.(?:srt|vtt)", re.IGNORECASE
)
_CUE = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{1,3})")
_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")  # <i>, <c.yellow>, <00:01.000> and {\an8}
_HEARD = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|[♪♫][^♪♫\n]*[♪♫]?")  # for the deaf and hard of hearing: [DOOR SLAMS], (sighs), songs
_SPEAKER = re.compile(r"^[-–\s]*[A-Z][A-Z0-9 .'\-]{1,30}:\s", re.MULTILINE)


def read_subtitles(path: FilmFile, language: str | None = None) -> tuple[Line, ...]:
    """(span, text) of each line in time order, tags and sounds stripped; empty where there are none.

    A file beside the film (same stem, `.srt` or `.vtt`, a language between them or not) goes before streams inside; of several, the wanted
    language (`en`, `eng`), then the default. What is skipped is logged. Raises UnreadableVideo where the film itself cannot be opened.
    """
    for sidecar in sidecars(path, language):
        if lines := _sidecar_lines(sidecar):
            return lines
    return _embedded_lines(path, language)


def describe_skipped(path: FilmFile) -> tuple[str, ...]:
    """In words, the subtitle streams that are pictures of text."""
    with opened(path) as container:
        return tuple(
            f"subtitle stream {s.index} ({_codec(s)}) is pictures of text and was skipped"
            for s in container.streams
            if s.type == "subtitle" and _codec(s) not in TEXT_CODECS
        )


def plain_text(marked: str) -> str:
    """What is said, in one line: without markup, sounds and speakers' names.

    >>> plain_text("<i>- JOHN: Come in.</i>\\n[door slams]")
    'Come in.'
    """
    text = html.unescape(_MARKUP.sub("", marked.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")))
    text = _SPEAKER.sub("", _HEARD.sub(" ", text))
    return " ".join(re.sub(r"^\s*[-–]\s*", "", line).strip() for line in text.splitlines() if line.strip(" -–\t")).strip()


def sidecars(path: FilmFile, language: str | None = None) -> list[Path]:
    """Subtitle files beside a film on a disk, the best first. In an object store nothing is looked for beside it."""
    if not isinstance(path, Path):
        return []
    try:
        names = [f.name for f in path.absolute().parent.iterdir() if f.name.startswith(path.stem + ".")]
    except OSError:
        return []
    fits = [(m, name) for name in names if (m := _BESIDE.fullmatch(name, len(path.stem)))]
    ranked = sorted(
        fits,
        key=lambda fit: (not _speaks(fit[0]["language"], language), "forced" in fit[0]["flags"].lower(), bool(fit[0]["language"]), fit[1]),
    )
    return [path.absolute().parent / name for _, name in ranked]


def _speaks(told: str | None, wanted: str | None) -> bool:
    """Whether two language codes mean the same, as far as their first two letters tell (`en`, `eng`)."""
    return bool(told and wanted) and str(told)[:2].lower() == str(wanted)[:2].lower()


def _sidecar_lines(path: Path) -> tuple[Line, ...]:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_SIDECAR:
            return ()
        return parse_cues(decode_text(path.read_bytes()))
    except OSError as error:
        logger.warning("subtitles beside the film cannot be read name=%s reason=%s", path.name, error.strerror)
        return ()


def decode_text(data: bytes) -> str:
    """Bytes to text: UTF-8 or UTF-16, with or without a byte order mark, else Windows-1252."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    head = data[:1000]
    if head and head.count(0) > len(head) // 4:  # every other byte of western text in UTF-16
        return data.decode("utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def parse_cues(text: str) -> tuple[Line, ...]:
    """SubRip or WebVTT to lines; cues that end before they begin are left out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    raw = []
    for cue in _CUE.finditer(text):
        said = re.split(r"\n[ \t]*\n", text[cue.end() :].partition("\n")[2], maxsplit=1)[0]
        raw.append((_seconds(cue.groups()[:4]), _seconds(cue.groups()[4:]), said))
    return _lines(raw)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction}")


def _lines(raw: list[tuple[float, float, str]]) -> tuple[Line, ...]:
    """In time order, stripped; the same words twice without a pause (layers of one line, roll-up captions) become one line."""
    lines: list[Line] = []
    for start_s, end_s, marked in sorted(raw):
        if not (text := plain_text(marked)) or not 0 <= start_s < end_s:
            continue
        if lines and lines[-1][1] == text and start_s <= lines[-1][0].end_s:
            lines[-1] = (TimeSpan(lines[-1][0].start_s, max(end_s, lines[-1][0].end_s)), text)
        else:
            lines.append((TimeSpan(start_s, end_s), text))
    return tuple(lines)


def _embedded_lines(path: FilmFile, language: str | None) -> tuple[Line, ...]:
    with opened(path) as container:
        streams = [s for s in container.streams if s.type == "subtitle"]
        texts = [s for s in streams if _codec(s) in TEXT_CODECS]
        for stream in streams:
            if stream not in texts:
                logger.warning(
                    "subtitles skipped, they are pictures of text name=%s stream=%d codec=%s", path.name, stream.index, _codec(stream)
                )
        if not texts:
            return ()
        best = min(texts, key=lambda s: _rank(s, language))
        told = [
            (p.pts * p.time_base - origin_s(container), (p.duration or 0) * p.time_base, _said(best, p))
            for p in packets(container, [best])
            if p.pts is not None
        ]
        return _lines(_ended(told))


def _rank(stream: Any, language: str | None) -> tuple[bool, bool, bool, int]:
    return (
        not _speaks(stream.metadata.get("language"), language),
        bool(stream.disposition & Disposition.forced),
        not stream.disposition & Disposition.default,
        stream.index,
    )


def _said(stream: Any, packet: Any) -> str:
    """The event's text; drawings, which some styled subtitles hold, say nothing."""
    try:
        events = [s.ass.decode("utf-8", errors="replace") for s in stream.codec_context.decode(packet) if isinstance(s, AssSubtitle)]
    except av.FFmpegError:
        return ""
    texts = [event.split(",", 8)[-1] for event in events]
    return "\n".join(text for text in texts if not re.search(r"\\p[1-9]", text))


def _ended(events: list[tuple[Fraction, Fraction, str]]) -> list[tuple[float, float, str]]:
    """(start, length, text) -> (start, end, text); a line without length stays until the next one comes."""
    events = sorted(events)
    following = [float(start) for start, _, _ in events[1:]] + [inf]
    ends = [
        float(s + lasts) if lasts > 0 else min(after, float(s) + LONGEST_LINE_S)
        for (s, lasts, _), after in zip(events, following, strict=True)
    ]
    return [(max(0.0, float(start)), end, text) for (start, _, text), end in zip(events, ends, strict=True)]


def _codec(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"
