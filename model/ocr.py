"""Text in a picture, found and read by RapidOCR in ONNX Runtime. Knows one picture at a time, nothing of films.

H = rows, W = columns of a picture.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shares = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture's width and height

SMALLEST_PX = 32  # the detector's own grid; a picture lower than that is put on a ground of its own border
FIND_SCORE = 0.5


@dataclass(frozen=True, slots=True)
class Region:
    """Where letters stand. score: how sure the detector is, 0..1."""

    box: Shares
    score: float


@dataclass(frozen=True, slots=True)
class ReadLine:
    """One line of letters. confidence: mean over its letters, 0..1."""

    text: str
    confidence: float
    box: Shares


class RapidReader:
    """Satisfies `pipelines.interfaces.TextReader`. detector, recogniser: ONNX graphs; nothing is ever fetched.

    Each thread that calls has nets of its own, which compute on that thread alone: two pictures at once on two cores take two thirds of
    the time of one after the other on both, where threads wait for each other in circles.

    Letters that stand upside down or on their side give no confident line: the classifier of orientation costs a third more and a film's
    texts stand upright.
    """

    def __init__(self, detector: Path, recogniser: Path, name: str, digest: str) -> None:
        self.name, self.digest = name, digest
        self._graphs, self._own = (detector, recogniser), threading.local()

    @property
    def _engine(self) -> Any:
        """Made when first needed: importing and loading take a second, and a run that is answered from the store reads nothing."""
        if not hasattr(self._own, "engine"):
            self._own.engine = self._made()
        return self._own.engine

    def _made(self) -> Any:
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        detector, recogniser = self._graphs
        return RapidOCR(
            params={
                "Global.use_cls": False,
                "Global.log_level": "critical",
                "Global.text_score": 0.0,
                "Det.model_path": str(detector),
                "Det.limit_type": "max",
                "Det.limit_side_len": 2000,  # pictures come in the size they are to be read in
                "Det.box_thresh": FIND_SCORE,
                "Rec.model_path": str(recogniser),
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            }
        )

    def find(self, picture: NDArray[np.uint8]) -> list[Region]:
        """picture: (H, W, 3) RGB or (H, W) grey. Where letters stand, without reading them: a third of the cost."""
        size = picture.shape[:2]
        found = self._engine(_fit_to_read(picture), use_det=True, use_cls=False, use_rec=False)
        if getattr(found, "boxes", None) is None:
            return []
        return [Region(_shares(b, size), min(1.0, float(s))) for b, s in zip(found.boxes, found.scores, strict=True)]

    def read(self, picture: NDArray[np.uint8]) -> list[ReadLine]:
        """picture: (H, W, 3) RGB or (H, W) grey. Its lines from top to bottom."""
        size = picture.shape[:2]
        found = self._engine(_fit_to_read(picture), use_det=True, use_cls=False, use_rec=True)
        if getattr(found, "txts", None) is None or found.boxes is None:
            return []
        rows = zip(found.txts, found.scores, found.boxes, strict=True)
        return [ReadLine(" ".join(text.split()), min(1.0, float(score)), _shares(box, size)) for text, score, box in rows if text.strip()]


def _fit_to_read(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BGR of at least SMALLEST_PX a side, the last row and column repeated."""
    colour = picture[..., ::-1] if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    short = [max(0, SMALLEST_PX - side) for side in colour.shape[:2]]
    return np.ascontiguousarray(np.pad(colour, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge") if any(short) else colour)


def _shares(corners: Any, size: tuple[int, ...]) -> Shares:
    """The upright box around four corners (x, y) in pixels."""
    points = np.asarray(corners, np.float64) / (size[1], size[0])
    (left, top), (right, bottom) = np.clip(points.min(0), 0, 1).tolist(), np.clip(points.max(0), 0, 1).tolist()
    return left, top, right, bottom
