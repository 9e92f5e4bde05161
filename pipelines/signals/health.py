"""Is the camera itself well: does it see, sharply, the place it used to see? Knows grey pictures and one picture of reference."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]  # (H, W)


@dataclass(frozen=True, slots=True)
class View:
    """How a picture compares with the reference.

    light: mean level against the reference's. alike: correlation of fine structure, 1 = the same place as sharp.
    detail: strength of the reference's fine structure in the picture, light allowed for; noise does not raise it, blur lowers it.
    busy: strength of all fine structure against the reference's.
    """

    light: float
    alike: float
    detail: float
    busy: float


def compare(now: Grey, reference: Grey, clear: NDArray[np.bool_]) -> View:
    """now, reference: (H, W); clear: (H, W) where nothing passes by, so that traffic does not count against the camera."""
    light = float((now.mean() + 1) / (reference.mean() + 1))
    fine_now, fine_then = fine(now), fine(reference)
    if clear.mean() > 0.3:
        fine_now, fine_then = fine_now[clear], fine_then[clear]
    both = float((fine_now * fine_then).sum())
    then, here = float((fine_then**2).sum()) + 1e-3, float((fine_now**2).sum()) + 1e-3
    scale = max(light, 0.05)
    return View(light, both / np.sqrt(then * here), both / then / scale, float(np.sqrt(here / then)) / scale)


def fine(picture: Grey) -> Grey:
    """The picture without its slow changes, strong edges held down so that no single one decides."""
    rough = picture - cv2.blur(picture, (3, 3))
    return np.asarray(np.clip(rough, -25, 25), np.float32)
