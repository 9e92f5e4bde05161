"""The storyboard's pictures: decodes the instants the summary chose. Chooses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.findings import KeyFrame, TaskResult
from pipelines.sampling import Instants, sample_frames

SIDE_PX = 320  # the longer side: sharp enough to recognise a face, small enough for 60 pictures in one page


def key_frames(path: Path, tasks: Sequence[TaskResult]) -> tuple[KeyFrame, ...]:
    """JPEGs of the instants in the summary's `storyboard`; none where there is no summary or no picture."""
    summary = next((t for t in tasks if t.task == "summary"), None)
    instants = tuple(summary.data.get("storyboard", ())) if summary else ()
    if not instants:
        return ()
    batches = sample_frames(path, Instants(instants))
    return tuple(KeyFrame(float(t), jpeg(p)) for batch in batches for t, p in zip(batch.times_s, batch.pixels, strict=True))


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB -> JPEG bytes, longer side SIDE_PX at most."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE_PX / max(height, width))
    size = [max(2, round(side * scale / 2) * 2) for side in (width, height)]
    picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(*size, "yuvj420p")
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = size[0], size[1], "yuvj420p"
    encoder.time_base = 1  # type: ignore[assignment]
    encoder.options = {"qmin": "3", "qmax": "5"}
    return b"".join(bytes(packet) for part in (picture, None) for packet in encoder.encode(part))
