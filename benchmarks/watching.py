"""Films and their series for the benchmarks of ads: measured and seen once, kept in a folder, so that a second run only judges."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from pipelines.decode_plan import DecodePlan
from pipelines.encode import Encoding
from pipelines.interfaces import Encoder
from pipelines.segments import measure_video
from pipelines.series import Measured
from pipelines.stores.folder import FolderBlobs
from services.models import open_encoder

PLAN = DecodePlan(grey=None)


def watched(path: Path, series: Path, *, eyes: bool = True) -> Measured:
    """The series of a film, and what the encoder saw in it. series: a folder; the film's stem names it there."""
    blobs = FolderBlobs(series)
    if not eyes:
        return measure_video(path, blobs, path.stem, replace(PLAN, eyes=None))
    with Encoding(_encoder(), blobs, path.stem, PLAN) as encoding:
        measured = measure_video(path, blobs, path.stem, PLAN, on_block=encoding.add, is_done=encoding.is_done)
    if encoding.trouble:
        raise RuntimeError(encoding.trouble)
    return replace(measured, features=encoding.features, class_names=_encoder().class_names)


@cache
def _encoder() -> Encoder:
    return open_encoder()
