"""Which pictures one pass over a file takes. One plan serves signals, encoders and reports. Decodes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

MEASURE_VERSION = "1"  # raise it whenever a stored series would come out differently


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures on the grid k / rate_hz: the frame on display at each of these instants, stretched to width x height."""

    width_px: int
    height_px: int
    pixel_format: str  # "gray" (full range luma) or "rgb24"
    rate_hz: float


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """Everything wanted from one pass. Every frame is looked at in `every_px` YUV 4:2:0; the rest is sampled."""

    every_px: tuple[int, int] = (64, 36)  # shots, black, freeze and motion need every frame, but not its detail
    grey: Pictures | None = Pictures(160, 90, "gray", 5.0)  # per-cell motion, backgrounds, static objects
    colour: Pictures | None = Pictures(32, 18, "rgb24", 2.0)  # how alike two moments look
    detail: Pictures | None = Pictures(320, 180, "gray", 1.0)  # edges (logos, bars, text) and sharpness; measured, not kept
    eyes: Pictures | None = Pictures(224, 224, "rgb24", 1.0)  # for the encoder, and one more behind every jump; kept until encoded
    sound: bool = True

    @property
    def digest(self) -> str:
        """Of what is measured. The encoder's pictures are not: they leave no trace in the series."""
        measured = {name: value for name, value in asdict(self).items() if name != "eyes"}
        return hashlib.sha256(f"{MEASURE_VERSION} {measured}".encode()).hexdigest()[:16]
