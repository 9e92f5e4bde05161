"""The main path: a video file becomes findings. Chains the stages; each of them lives elsewhere."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from pipelines.answer import assemble, with_words
from pipelines.findings import Report, settings_digest
from pipelines.grounds import Beside, Grounds, gather
from pipelines.interfaces import FilmFile
from pipelines.judge import judge
from pipelines.profiles import Wanted
from pipelines.watching import Run, Senses, Store, Video, identify, remember, watch

logger = logging.getLogger(__name__)


def analyze_video(
    path: FilmFile,
    wanted: Wanted,
    store: Store,
    senses: Senses = Senses(),
    *,
    beside: Beside = Beside(),
    source: str = "",
    run: Run = Run(),
) -> Report:
    """Decode, encode, judge and record one file; the same file under the same settings is answered from the store unless `run.again`.

    source: the camera, channel or series; the one of `beside` where none is given. Raises UnreadableVideo (never again),
    StoreUnavailable (later).
    """
    video = identify(path, source or beside.series)
    report = report_on(video, wanted, store, senses, beside=beside, run=run)
    store.results.save(report, video.source)  # also what was answered from the store: its rows are the current ones again
    return with_words(report, store.results.corrections(video_id=video.id))


def report_on(video: Video, wanted: Wanted, store: Store, senses: Senses, *, beside: Beside = Beside(), run: Run = Run()) -> Report:
    """The report as found, from the store or made now; not yet recorded."""
    started = time.monotonic()
    grounds = gather(video, beside, wanted, store, senses)
    settings = settings_for(video, wanted, senses, grounds)
    digest = settings_digest(settings)
    report = None if run.again else store.results.load(video.id, digest)
    if report is None:
        measured, shots = watch(video, wanted, store, senses, run)
        case = grounds.case(measured, shots, wanted, store, senses, run)
        report = assemble(video, settings, digest, case, judge(case), time.monotonic() - started)
        remember(video, measured, shots, store, senses)
    logger.info("report ready video_id=%s findings=%d seconds=%.1f", video.id, len(report.findings), time.monotonic() - started)
    return replace(report, name=video.path.name)


def settings_for(video: Video, wanted: Wanted, senses: Senses, grounds: Grounds) -> dict[str, object]:
    """Everything that changes the answer."""
    return wanted.settings() | senses.settings() | grounds.settings(video.path, wanted)
