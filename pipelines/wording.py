"""The words of a film: what can be read in its pictures and heard in its sound, laid beside its series. A word lost is told, not fatal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from pipelines.interfaces import Blobs, StoreUnavailable, TextReader, UnreadableVideo
from pipelines.reading import Film, ReadSettings, read_texts, texts_key
from pipelines.series import Measured
from pipelines.workers import WorkerDied

logger = logging.getLogger(__name__)
Progress = Callable[[float, float], None]


def with_texts(
    film: Film, video_id: str, plan_digest: str, blobs: Blobs, reader: TextReader | None, settings: ReadSettings, on_progress: Progress
) -> Measured:
    """The film's measurements with the texts in its pictures; as they were where there is no reader or nothing is to be read."""
    measured = film.measured
    if reader is None or not settings.pictures:
        return measured
    try:
        key = texts_key(video_id, plan_digest, reader, settings)
        return replace(measured, texts=read_texts(film, reader, settings, blobs, key, on_progress=on_progress))
    except StoreUnavailable:
        raise
    except (WorkerDied, UnreadableVideo) as error:
        return _without(measured, "the texts in the pictures could not be read", str(error))
    except Exception as error:  # any: the findings without texts are worth more than none, and the report says what happened
        logger.exception("reading stopped reader=%s", reader.name)
        return _without(measured, f"the reader {reader.name} stopped", str(error))


def _without(measured: Measured, what: str, why: str) -> Measured:
    reason = next(iter(why.strip().splitlines()), "")[:200]
    return replace(measured, lost=(*measured.lost, f"{what}: {reason}" if reason else what))
