"""Decoded pictures to arrays: upright, to size, in one colour layout. Knows nothing of files and times."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

# The nearest the scaler comes to Pillow's antialiased bicubic, which the visual encoders were trained with.
FINE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


class Scaler:
    """Turns pictures of one stream into (height, width, ...) uint8 arrays, upright as players show them.

    pixel_format: "rgb24" -> (H, W, 3); "gray" -> (H, W), full range; "yuv420p" -> (H * 3 / 2, W), full range, planes one under the other.
    """

    def __init__(self, width_px: int, height_px: int, pixel_format: str = "rgb24", interpolation: Interpolation = FINE) -> None:
        self.size_px = width_px, height_px
        self.pixel_format, self.interpolation = pixel_format, interpolation
        # One for all pictures: it keeps its tables; `frame.reformat` makes them anew, at half the speed.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        turned = rotation_deg(frame)
        width, height = self.size_px if turned % 180 == 0 else self.size_px[::-1]
        scaled = self._reformatter.reformat(
            frame, width, height, self.pixel_format, interpolation=self.interpolation, dst_color_range="JPEG", threads=1
        )
        picture = cast("NDArray[np.uint8]", scaled.to_ndarray())
        return _upright(picture, turned // 90, height, self.pixel_format) if turned else picture


def _upright(picture: NDArray[np.uint8], quarters: int, height: int, pixel_format: str) -> NDArray[np.uint8]:
    if pixel_format != "yuv420p":
        return np.ascontiguousarray(np.rot90(picture, quarters))
    luma, chroma = picture[:height], picture[height:].reshape(2, height // 2, -1)
    planes = [np.rot90(plane, quarters) for plane in (luma, *chroma)]
    return np.concatenate([planes[0], *(plane.reshape(-1, planes[0].shape[1]) for plane in planes[1:])])


def rotation_deg(frame: av.VideoFrame) -> int:
    """By how much a player turns this picture, counterclockwise, in quarter turns."""
    return round(frame.rotation / 90) * 90 % 360


def display_size(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) in square pixels, as a player shows the picture."""
    width = max(1, round(frame.width * (pixel_aspect or 1)))
    return (frame.height, width) if rotation_deg(frame) in (90, 270) else (width, frame.height)
