"""The words of a film: what can be read in its pictures and heard in its sound, laid beside its series. A word lost is told, not fatal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipelines.interfaces import Blobs, ServiceUnavailable, StoreUnavailable, TextReader, Transcriber, UnreadableVideo
from pipelines.reading import Film, ReadSettings, read_texts, texts_key
from pipelines.series import Measured
from pipelines.transcribing import Talk, spoken_key, transcribe
from pipelines.workers import WorkerDied

logger = logging.getLogger(__name__)
Progress = Callable[[float, float], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where what is read and heard of a video is kept."""

    video_id: str
    plan_digest: str
    blobs: Blobs


def with_texts(film: Film, place: Place, reader: TextReader | None, settings: ReadSettings, on_progress: Progress) -> Measured:
    """The film's measurements with the texts in its pictures; as they were where there is no reader or nothing is to be read."""
    if reader is None or not settings.pictures:
        return film.measured
    key = texts_key(place.video_id, place.plan_digest, reader, settings)
    try:
        return replace(film.measured, texts=read_texts(film, reader, settings, place.blobs, key, on_progress=on_progress))
    except StoreUnavailable:
        raise
    except Exception as error:  # any: the findings without texts are worth more than none, and the report says what happened
        return _without(film.measured, "the texts in the pictures could not be read", error)


def with_spoken(talk: Talk, place: Place, transcriber: Transcriber | None, on_progress: Progress) -> Measured:
    """The film's measurements with a transcript; as they were where none is asked for."""
    if transcriber is None:
        return talk.measured
    key = spoken_key(place.video_id, place.plan_digest, transcriber)
    try:
        return replace(talk.measured, spoken=transcribe(talk, transcriber, place.blobs, key, on_progress=on_progress))
    except StoreUnavailable:
        raise
    except Exception as error:  # any, as above
        return _without(talk.measured, f"the speech could not be transcribed ({transcriber.engine})", error)


def _without(measured: Measured, what: str, error: Exception) -> Measured:
    if not isinstance(error, WorkerDied | UnreadableVideo | ServiceUnavailable):
        logger.error("%s", what, exc_info=error)
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
    return replace(measured, lost=(*measured.lost, f"{what}: {reason}"))
