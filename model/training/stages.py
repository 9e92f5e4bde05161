"""How Video-XL was trained, stage by stage, as values: what learns, how fast, from how many pictures, at which ratios."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

PROJECTOR, DECODER, ENCODER = "encoder.projector.", "decoder.", "encoder."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the authors' recipe. What they did on `n` GPUs is per process here, so that `n` processes do the same.

    trained: beginnings of the names of parameters that learn; ratios: drawn for each window, None reads without summary tokens;
    captions: learn the first answer alone, as a caption, without any words around it.
    """

    name: str
    trained: tuple[str, ...]
    learning_rate: float
    epochs: int
    batch: int  # examples a process reads before its gradients are added up
    accumulation: int  # batches a step
    most_frames: int
    ratios: tuple[int, ...] | None
    captions: bool = False
    frames_per_s: int = 1
    warmup: float = 0.03  # part of all steps
    weight_decay: float = 0.0
    longest_gradient: float = 1.0  # Hugging Face's trainer clips there when not told, and the authors told it nothing

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Of the step number `step`, from 0: up in a straight line, then down along a cosine to 0."""
        warm = max(1, round(self.warmup * steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + cos(pi * (step - warm) / max(1, steps - warm)))


STAGES = {
    stage.name: stage
    for stage in (
        # Text learns to be told what a picture shows; everything else is CLIP's and Qwen2's.
        Stage(
            name="projector", trained=(PROJECTOR,), learning_rate=5e-4, epochs=1, batch=8, accumulation=4,
            most_frames=4, ratios=None, captions=True,
        ),
        # Pictures alone may stand in place of the last stage; how often the authors read them is not told.
        Stage(
            name="images", trained=(DECODER, ENCODER), learning_rate=1e-5, epochs=1, batch=1, accumulation=8,
            most_frames=128, ratios=(2, 4, 8, 12, 16),
        ),
        Stage(
            name="full", trained=(DECODER, ENCODER), learning_rate=1e-5, epochs=3, batch=1, accumulation=8,
            most_frames=128, ratios=(2, 4, 8),
        ),
    )
}  # fmt: skip
