"""The stage `transcribing`: a rough transcript of what is said, on request. Cuts the sound at pauses and hands over what is speech."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from model.transcribers import HeardWord
from model.video import SOUND_RATE_HZ, Sound, TimeSpan
from pipelines.interfaces import Blobs, FilmFile, Transcriber
from pipelines.looking import in_worker
from pipelines.series import Measured, Series
from pipelines.signals.speech import EVERY_S, speech_stretches
from pipelines.sound import read_sound
from pipelines.texts import Spoken, Word, spoken_from_json, spoken_to_json

logger = logging.getLogger(__name__)
TRANSCRIBING_VERSION = "1"  # raise it whenever the same sound and engine would give other words
PIECE_S, EARLIEST_S = 40.0, 20.0  # a piece ends in the deepest pause between these two
SPEECH = 0.3  # probability of speech, listened to every EVERY_S, below which a piece is not heard at all
PAUSE_S, LONGEST_S, MOST_WORDS = 0.7, 8.0, 14  # of a line


@dataclass(frozen=True, slots=True)
class Talk:
    """What listening needs of a film. workers: how many pieces are heard at once."""

    path: FilmFile
    measured: Measured
    workers: int | None = None


def spoken_key(video_id: str, plan_digest: str, transcriber: Transcriber) -> str:
    told = f"{TRANSCRIBING_VERSION} {plan_digest} {transcriber.digest}"
    return f"spoken/{video_id}/{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def transcribe(
    talk: Talk, transcriber: Transcriber, blobs: Blobs, key: str, *, on_progress: Callable[[float, float], None] = lambda done, total: None
) -> tuple[Spoken, ...]:
    """The film's spoken lines, heard now or by an earlier run (a blob a piece, so that a run broken off goes on where it was).

    on_progress: seconds of film done, in all. Raises WorkerDied, UnreadableVideo, ServiceUnavailable.
    """
    pieces = pieces_of_speech(talk.measured)
    lines: list[Spoken] = []
    with ThreadPoolExecutor(talk.workers or os.cpu_count() or 1 if transcriber.fenced else 1) as pool:
        heard = pool.map(partial(_lines_of, talk.path.absolute(), transcriber, blobs, key), pieces)
        try:
            for piece, found in zip(pieces, heard, strict=True):
                lines += found
                on_progress(piece.end_s, talk.measured.duration_s)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    logger.info("speech heard engine=%s pieces=%d lines=%d", transcriber.engine, len(pieces), len(lines))
    return tuple(lines)


def pieces_of_speech(measured: Measured) -> list[TimeSpan]:
    """Stretches of 20 to 40 s, cut where it is quietest, without those in which nobody speaks."""
    level, speech = measured.get("sound.level"), measured.get("sound.speech")
    if level is None or not len(level):
        return []
    end_s = float(level.times_s[-1]) + 0.05
    edges = [0.0]
    while end_s - edges[-1] > PIECE_S:
        edges.append(_quietest(level.within(edges[-1] + EARLIEST_S, edges[-1] + PIECE_S), edges[-1] + PIECE_S))
    pieces = [TimeSpan(a, b) for a, b in zip(edges, [*edges[1:], end_s], strict=True) if b > a]
    return [piece for piece in pieces if _is_spoken(speech, piece)]


def _quietest(level: Series, otherwise_s: float) -> float:
    """The middle of the half second with the least sound."""
    if len(level) < 5:
        return otherwise_s
    softness = np.convolve(level.values.astype(np.float64), np.ones(5) / 5, "valid")
    return float(level.times_s[int(np.argmin(softness)) + 2])


def _is_spoken(speech: Series | None, piece: TimeSpan) -> bool:
    """Also where a piece is too short to have been listened to while it was measured."""
    heard = speech.within(max(0.0, piece.start_s - EVERY_S), piece.end_s + EVERY_S).values if speech is not None else np.empty(0)
    return not len(heard) or float(heard.max()) >= SPEECH


def _lines_of(path: FilmFile, transcriber: Transcriber, blobs: Blobs, key: str, piece: TimeSpan) -> tuple[Spoken, ...]:
    place = f"{key}/{round(piece.start_s * 1000):010d}.json"
    try:
        return spoken_from_json(json.loads(blobs.get(place)))
    except KeyError:
        pass
    if transcriber.fenced:
        words = in_worker(hear_piece, path, piece, transcriber)
    else:
        words = words_of(in_worker(read_piece, path, piece), transcriber)
    rows = spoken_to_json(as_lines(words, transcriber.engine))
    blobs.put(place, json.dumps(rows, ensure_ascii=False).encode())
    return spoken_from_json(rows)  # rounded as the next run will find them


def hear_piece(path: FilmFile, piece: TimeSpan, transcriber: Transcriber) -> list[Word]:
    """Runs in a worker."""
    return words_of(read_piece(path, piece), transcriber)


def read_piece(path: FilmFile, piece: TimeSpan) -> Sound | None:
    """Runs in a worker."""
    return read_sound(path, piece.start_s, piece.end_s)


def words_of(sound: Sound | None, transcriber: Transcriber) -> list[Word]:
    """The words of each stretch of speech, on the player's clock."""
    if sound is None:
        return []
    found: list[Word] = []
    for first, last in speech_stretches(sound.samples):
        found += _placed(transcriber.hear(sound.samples[first:last]), sound.start_s + first / SOUND_RATE_HZ, (last - first) / SOUND_RATE_HZ)
    return found


def _placed(heard: Sequence[HeardWord], start_s: float, length_s: float) -> list[Word]:
    """Words inside the stretch they were heard in, whatever an engine claims."""
    out = []
    for word in heard:
        begin_s = min(max(0.0, word.start_s), length_s - 0.01)
        end_s = min(max(begin_s + 0.01, word.end_s), length_s)
        if end_s > begin_s and word.text.strip():
            out.append(Word(TimeSpan(start_s + begin_s, start_s + end_s), word.text.strip(), word.confidence))
    return out


def as_lines(words: Sequence[Word], engine: str) -> list[Spoken]:
    """Words joined until a pause, or until they fill a line."""
    groups: list[list[Word]] = []
    for word in words:
        last = groups[-1] if groups else []
        is_near = bool(last) and word.span.start_s - last[-1].span.end_s < PAUSE_S
        if is_near and len(last) < MOST_WORDS and word.span.end_s - last[0].span.start_s < LONGEST_S:
            last.append(word)
        else:
            groups.append([word])
    return [_line(group, engine) for group in groups]


def _line(words: Sequence[Word], engine: str) -> Spoken:
    told = [word.confidence for word in words if word.confidence is not None]
    span = TimeSpan(words[0].span.start_s, max(word.span.end_s for word in words))
    return Spoken(span, " ".join(word.text for word in words), float(np.mean(told)) if told else 1.0, engine, tuple(words))
