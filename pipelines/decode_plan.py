"""Which pictures one pass over a file takes. One plan serves signals, encoders and reports. Decodes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

NETS = ("eyes", "cutter")  # pictures that wait for a trained net
MEASURE_VERSION = "1"  # raise it whenever a stored series would come out differently


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures on the grid k / rate_hz: the frame on display at each of these instants, stretched to width x height."""

    width_px: int
    height_px: int
    pixel_format: str  # "gray" (full range luma) or "rgb24"
    rate_hz: float  # 0: every frame, at its own time, OVERLAP_S around the block included


CUTTER_PICTURES = Pictures(48, 27, "rgb24", 0.0)  # what TransNet V2 takes


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """Everything wanted from one pass. Every frame is looked at in `every_px` YUV 4:2:0; the rest is sampled."""

    every_px: tuple[int, int] = (64, 36)  # shots, black, freeze and motion need every frame, but not its detail
    grey: Pictures | None = Pictures(160, 90, "gray", 5.0)  # per-cell motion, backgrounds, static objects
    colour: Pictures | None = Pictures(32, 18, "rgb24", 2.0)  # how alike two moments look
    detail: Pictures | None = Pictures(320, 180, "gray", 1.0)  # edges (logos, bars, text) and sharpness; measured, not kept
    eyes: Pictures | None = Pictures(224, 224, "rgb24", 1.0)  # for the encoder, and one more behind every jump; kept until encoded
    cutter: Pictures | None = None  # for the accurate shot detector; kept until it has looked
    sound: bool = True

    @property
    def digest(self) -> str:
        """Of what is measured. The nets' pictures are not: they leave no trace in the series."""
        measured = {name: value for name, value in asdict(self).items() if name not in NETS}
        return hashlib.sha256(f"{MEASURE_VERSION} {measured}".encode()).hexdigest()[:16]

    @property
    def waiting(self) -> str:
        """Which pictures wait for nets, as a piece of a name; empty where none do."""
        return "-".join(name for name in NETS if getattr(self, name) is not None)
