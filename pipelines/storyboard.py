"""The storyboard's pictures: decodes the instants the summary chose. Chooses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.findings import KeyFrame
from pipelines.interfaces import FilmFile
from pipelines.media import examine
from pipelines.sampling import Instants, sample_frames

SIDE_PX = 320  # the longer side: sharp enough to recognise a face, small enough for 60 pictures in one page


def key_frames(path: FilmFile, instants: Sequence[float]) -> tuple[KeyFrame, ...]:
    """The pictures on display at `instants`; none where the file has none. Raises UnreadableVideo."""
    facts, index = examine(path)
    if index is None:
        return ()
    batches = sample_frames(path, Instants(tuple(instants)), fitting(facts.width_px, facts.height_px), index=index)
    return tuple(KeyFrame(float(t), jpeg(p)) for batch in batches for t, p in zip(batch.times_s, batch.pixels, strict=True))


def fitting(width_px: int, height_px: int) -> tuple[int, int]:
    """The size of a picture that is SIDE_PX at its longer side, even numbers."""
    scale = min(1.0, SIDE_PX / max(width_px, height_px))
    return max(2, round(width_px * scale / 2) * 2), max(2, round(height_px * scale / 2) * 2)


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB with even sides -> JPEG bytes."""
    height, width = pixels.shape[:2]
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.options = {"qmin": "3", "qmax": "5"}
    picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for part in (picture, None) for packet in encoder.encode(part))
