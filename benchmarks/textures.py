"""Clips that are as hard on a decoder as real footage: textures under pan and zoom, moving patches, film grain, hard cuts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """One film to decode. gop_s: seconds between key pictures, at most; is_open: whether pictures refer across key pictures."""

    codec: str  # "libx264" or "libx265"
    width: int
    height: int
    rate: int
    gop_s: float
    kilobits: int
    is_open: bool = False
    seconds: int = 30

    @property
    def name(self) -> str:
        kind = "open" if self.is_open else "closed"
        return f"{self.codec[3:]}-{self.height}p{self.rate}-gop{self.gop_s:.3g}s-{kind}-{self.seconds}s.mp4"

    @property
    def options(self) -> dict[str, str]:
        gop = round(self.gop_s * self.rate)
        # Short distances are kept to the frame, as streaming asks for; long ones leave room for a key picture at each cut.
        cuts = "scenecut=0" if self.gop_s <= 2 else "scenecut=40"
        params = f"keyint={gop}:min-keyint={min(gop, self.rate // 2)}:open-gop={int(self.is_open)}:{cuts}:bframes=3:bitrate={self.kilobits}"
        if self.codec == "libx265":
            return {"x265-params": params + ":log-level=none", "preset": "superfast"}
        return {"x264-params": params, "preset": "veryfast"}


def make_clip(folder: Path, clip: Clip) -> Path:
    """Write the clip, or find it written before."""
    path = folder / clip.name
    if path.exists():
        return path
    unfinished = path.with_suffix(".part")
    with av.open(str(unfinished), "w", format="mp4") as out:
        stream = out.add_stream(clip.codec, rate=clip.rate, options=clip.options)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        for number, picture in enumerate(_pictures(clip)):
            frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, clip.rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    unfinished.rename(path)
    return path


def _pictures(clip: Clip) -> Iterator[NDArray[np.uint8]]:
    """(H * 3 / 2, W) planes of yuv420p, one picture after the other."""
    dice = np.random.default_rng(clip.height)
    grain = dice.normal(0, 5, (clip.height + 64, clip.width + 64)).astype(np.int16)
    number, total = 0, clip.seconds * clip.rate
    while number < total:
        shot = _Shot(clip, dice)
        for age in range(min(total - number, int(dice.uniform(2, 9) * clip.rate))):
            planes = shot.planes(age)
            top, left = dice.integers(0, 64, 2)
            luma = planes[: clip.height]
            luma[:] = np.clip(luma + grain[top : top + clip.height, left : left + clip.width], 16, 235)
            yield planes
            number += 1


class _Shot:
    """One camera: a large texture seen through a moving window, with six patches of their own."""

    def __init__(self, clip: Clip, dice: np.random.Generator) -> None:
        self.clip = clip
        self.texture = np.concatenate(
            [_pink(dice, clip.height * 3 // 2, clip.width * 3 // 2), _pink(dice, clip.height * 3 // 4, clip.width * 3 // 2)]
        )
        self.patches = [_pink(dice, clip.height // 8, clip.width // 10) for _ in range(6)]
        self.places = dice.uniform(0.1, 0.8, (6, 2))
        self.speeds = dice.uniform(-0.1, 0.1, (6, 2))
        self.pan = dice.uniform(-0.1, 0.1, 2)
        self.zoom = dice.uniform(-0.04, 0.04)
        self.scaler = VideoReformatter()

    def planes(self, age: int) -> NDArray[np.uint8]:
        clip, at_s = self.clip, age / self.clip.rate
        share = float(np.clip(0.8 + self.zoom * at_s, 0.5, 0.95))
        height, width = clip.height * 3 // 2, clip.width * 3 // 2
        high, wide = int(height * share) // 4 * 4, int(width * share) // 4 * 4
        top = int((height - high) * np.clip(0.5 + self.pan[0] * at_s, 0, 1)) // 4 * 4
        left = int((width - wide) * np.clip(0.5 + self.pan[1] * at_s, 0, 1)) // 4 * 4
        window = np.concatenate([
            self.texture[top : top + high, left : left + wide],
            self.texture[height + top // 2 : height + (top + high) // 2, left : left + wide],
        ])  # fmt: skip
        frame = av.VideoFrame.from_ndarray(window, "yuv420p")
        planes = self.scaler.reformat(
            frame, clip.width, clip.height, "yuv420p", interpolation=Interpolation.BILINEAR, threads=1
        ).to_ndarray()
        for patch, place, speed in zip(self.patches, self.places, self.speeds, strict=True):
            y, x = (np.clip(place + speed * at_s, 0, 0.85) * (clip.height, clip.width)).astype(int)
            planes[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
        return planes


def _pink(dice: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width) noise with as much energy in every octave, as photographs have."""
    spectrum = np.fft.rfft2(dice.normal(size=(height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    grey = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(height, width)), (height, width))
    return np.clip(125 + 45 * (grey - grey.mean()) / grey.std(), 16, 235).astype(np.uint8)
