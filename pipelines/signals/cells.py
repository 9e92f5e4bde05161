"""What stands out from a fixed camera's own background, picture by picture. Knows grey pictures, no kinds of anomalies.

H, W = rows and columns of the grey picture (90 x 160), n = blobs. All state is plain arrays, so that it can be saved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

GAIN_CELLS = (9, 16)  # rows, columns in which the light is compared with the background's
NOISE_STEPS = 4.0  # deviations from the background, in standard deviations of the pixel's own noise, that stand out
LEAST_STEP = 3.5  # grey levels; compression moves single pixels by less
LEAST_AREA_PX = 7
GLOW_AREA_PX = 250
SOFT = 0.4  # steepness at the rim against the contrast within
LEARN_S = 25.0  # how long the background takes to follow a lasting change of an empty spot
NOISE_LEARN_S = 40.0
TINT_STEPS = 4.0  # the same for colours
TINT_LEAST = 4.0
SAME_LEVELS = 10.0  # within which a spot that stands out is still the same thing

Grey = NDArray[np.float32]  # (H, W)


@dataclass(slots=True)
class Background:
    """The empty place. mean, noise, candidate: (H, W) float32 levels; steady_s: (H, W) how long `candidate` has covered the spot."""

    mean: Grey
    noise: Grey
    candidate: Grey
    steady_s: Grey
    noise_near: Grey = field(init=False)  # the largest noise of each spot's neighbours: edges shiver

    def __post_init__(self) -> None:
        self.noise_near = np.asarray(cv2.dilate(self.noise, np.ones((3, 3), np.uint8)), np.float32)

    @classmethod
    def learn(cls, pictures: NDArray[np.uint8]) -> Background:
        """From pictures (N, H, W) spread over a time long enough that every spot is empty in most of them."""
        smooth = np.stack([cv2.blur(p, (3, 3)) for p in pictures]).astype(np.float32)
        light = np.median(smooth[:, ::4, ::4], axis=(1, 2))
        smooth *= (np.median(light) / np.maximum(light, 1))[:, None, None]
        mean = np.median(smooth, axis=0)
        noise = 1.48 * np.median(np.abs(smooth - mean), axis=0) + 0.3
        return cls(mean, noise.astype(np.float32), mean.copy(), np.zeros_like(mean))


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture against the background.

    blobs: (n, 5) float32 x, y of the feet's middle, width, height, area; mask: (H, W) 1 where something stands out, else 0.
    """

    blobs: NDArray[np.float32]
    mask: NDArray[np.uint8]
    level: Grey  # the picture smoothed and brought to the background's light


def look(background: Background, grey: NDArray[np.uint8]) -> Seen:
    smooth = np.asarray(cv2.blur(grey, (3, 3)), np.float32)
    gain = light_gain(smooth, background.mean)
    level = smooth / gain
    away = np.asarray(cv2.absdiff(level, background.mean), np.float32)
    step = _steps(background, away)
    spots = (away > step).astype(np.uint8)
    mask = np.asarray(cv2.morphologyEx(spots, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8)), np.uint8)
    return Seen(_blobs(mask, away), mask, level)


def light_gain(grey: Grey, mean: Grey) -> Grey:
    """(H, W) how much brighter each part of the picture is than the background, from medians that objects do not move."""
    rows, columns = GAIN_CELLS
    ratio = (grey[2::4, 1::2] + 12) / (mean[2::4, 1::2] + 12)
    high, wide = ratio.shape[0] // rows, ratio.shape[1] // columns
    cells = ratio[: high * rows, : wide * columns].reshape(rows, high, columns, wide).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    middle = np.sort(cells, axis=2)[:, :, cells.shape[2] // 2]
    smooth = cv2.blur(cv2.medianBlur(middle.astype(np.float32), 5), (3, 3))
    return np.asarray(cv2.resize(smooth, grey.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _steps(background: Background, away: Grey) -> Grey:
    """(H, W) the deviation from which a pixel stands out; raised all over while rain or noise stirs the whole picture."""
    stir = np.sort((away[::4, ::4] / background.noise[::4, ::4]).ravel())
    unrest = max(1.0, float(stir[int(len(stir) * 0.6)]) / 1.2)  # 0.6 of a quiet picture deviates by less than 0.85 noises
    return background.noise_near * np.float32(NOISE_STEPS * min(unrest, 4.0)) + np.float32(LEAST_STEP)


def _blobs(mask: NDArray[np.uint8], away: Grey) -> NDArray[np.float32]:
    """(n, 5); lights of headlamps are taken out of `mask`."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    left, top, wide, high, area = stats[1:].T
    kept = area >= LEAST_AREA_PX
    for k in np.flatnonzero(area > GLOW_AREA_PX):
        window = (slice(top[k], top[k] + high[k]), slice(left[k], left[k] + wide[k]))
        inside = labels[window] == k + 1
        if _glows(inside, away[window]):
            kept[k] = False
            mask[window][inside] = 0
    return np.asarray(np.stack([left + wide / 2, top + high, wide, high, area], axis=1)[kept], np.float32)


def _glows(inside: NDArray[np.bool_], away: Grey) -> bool:
    """Whether a large blob fades out softly, as the light of headlamps does and a thing does not."""
    rim = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return bool(rim.any()) and float(_edges(away)[rim].mean()) < SOFT * float(away[inside].mean())


def follow(background: Background, seen: Seen, passed_s: float, absorb_s: float) -> None:
    """Let the background follow light and empty spots, and what has stood still for `absorb_s`. Once a second is enough."""
    change = seen.level - background.mean
    quiet = seen.mask == 0
    background.mean += change * quiet * np.float32(min(0.5, passed_s / LEARN_S))
    stray = np.abs(change) * np.float32(1.25) + np.float32(0.3) - background.noise
    background.noise += stray * quiet * np.float32(min(0.5, passed_s / NOISE_LEARN_S))
    background.__post_init__()
    held = (np.abs(seen.level - background.candidate) < SAME_LEVELS) & ~quiet
    # What goes behind somebody is soon back; where the empty place shows again, it is gone.
    background.steady_s += np.float32(passed_s) * np.where(held, np.float32(1), np.where(quiet, np.float32(-10), np.float32(-0.7)))
    gone = background.steady_s <= 0
    np.copyto(background.candidate, seen.level, where=gone)
    background.steady_s[gone] = 0
    absorb(background, background.steady_s > absorb_s)


def absorb(background: Background, where: NDArray[np.bool_]) -> None:
    """Take what stands there for the background from now on."""
    if where.any():
        background.mean = np.where(where, background.candidate, background.mean)
        background.steady_s = np.where(where, 0, background.steady_s).astype(np.float32)


def still_things(background: Background, least_s: float) -> NDArray[np.float32]:
    """(n, 7) x, y of the feet's middle, width, height, area, seconds, newness of what has stood for `least_s`.

    newness: edges of the thing against edges of the background around it, above 1 where something came and below where it left.
    """
    mask = cv2.morphologyEx((background.steady_s >= least_s).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for k in range(1, count):
        left, top, wide, high, area = (int(v) for v in stats[k])
        if area < LEAST_AREA_PX:
            continue
        window = (slice(max(0, top - 2), top + high + 2), slice(max(0, left - 2), left + wide + 2))
        inside = labels[window] == k
        age = float(np.quantile(background.steady_s[window][inside], 0.8))
        newness = _newness(background, window, inside)
        found.append((left + wide / 2, top + high, wide, high, area, age, newness))
    return np.array(found, np.float32).reshape(-1, 7)


def _newness(background: Background, window: tuple[slice, slice], inside: NDArray[np.bool_]) -> float:
    rim = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    old = background.mean[window]
    new = np.where(inside, background.candidate[window], old)
    return float((_edges(new)[rim].mean() + 1) / (_edges(old)[rim].mean() + 1)) if rim.any() else 1.0


def _edges(picture: Grey) -> Grey:
    return np.asarray(cv2.morphologyEx(picture.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.float32)


@dataclass(slots=True)
class Tint:
    """The empty place's colours in cells, for what the grey picture cannot show. mean: (R, C, 2), noise: (R, C)."""

    mean: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def learn(cls, pictures: NDArray[np.uint8]) -> Tint:
        """pictures: (N, R, C, 3) RGB."""
        tints = tint_of(pictures)
        mean = np.median(tints, axis=0)
        return cls(mean, np.asarray(1.48 * np.median(np.abs(tints - mean).sum(axis=3), axis=0) + 0.5, np.float32))


def tint_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., 2) red and blue against the picture's own light, so that light as such does not change it."""
    wide = rgb.astype(np.float32)
    light = wide.mean(axis=-1, keepdims=True)
    return np.asarray((wide[..., ::2] - light) / (light + 25) * 128, np.float32)


def coloured(tint: Tint, rgb: NDArray[np.uint8], learn: float) -> NDArray[np.bool_]:
    """(R, C) where rgb (R, C, 3) has another colour than the empty place; which follows it by the share `learn` elsewhere."""
    now = tint_of(rgb)
    away = now - tint.mean
    away -= np.median(away, axis=(0, 1))
    distance = np.abs(away).sum(axis=2)
    stands_out = distance > TINT_STEPS * tint.noise + TINT_LEAST
    tint.mean += np.where(stands_out[:, :, None], learn / 20, learn) * (now - tint.mean)
    tint.noise += np.where(stands_out, 0, learn) * (distance * 1.1 + 0.5 - tint.noise)
    return np.asarray(stands_out)
