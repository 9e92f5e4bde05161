"""The main path: a video file becomes findings. Chains the stages; each of them lives elsewhere."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from pipelines.answer import assemble, with_words
from pipelines.findings import Report, settings_digest
from pipelines.grounds import Beside, gather
from pipelines.judge import judge
from pipelines.profiles import Wanted
from pipelines.watching import Run, Senses, Store, identify, remember, watch

logger = logging.getLogger(__name__)


def analyze_video(
    path: Path,
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
    started = time.monotonic()
    video = identify(path, source or beside.series)
    grounds = gather(video, beside, wanted, store, senses)
    settings = wanted.settings() | senses.settings() | grounds.settings(path, wanted)
    digest = settings_digest(settings)
    report = None if run.again else store.results.load(video.id, digest)
    if report is None:
        measured, shots = watch(video, wanted, store, senses, run)
        case = grounds.case(measured, shots, wanted, store, senses, run)
        report = assemble(video, settings, digest, case, judge(case), time.monotonic() - started)
        remember(video, measured, shots, store, senses)
    report = replace(report, name=path.name)
    store.results.save(report, video.source)  # also what was answered from the store: its rows are the current ones again
    logger.info("report ready video_id=%s findings=%d seconds=%.1f", video.id, len(report.findings), time.monotonic() - started)
    return with_words(report, store.results.corrections(video_id=video.id))
