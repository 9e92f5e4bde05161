"""What the published systems have in common, as interfaces. Knows no system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class FeatureEncoder(Protocol):
    """Turns frames into a language model's visual tokens; torch or ONNX Runtime, as a setting says.

    digest: of the weights and of what runs them: part of what a memory is known by. size_px: of the square frames it takes.
    width: of a token.
    """

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def size_px(self) -> int: ...

    @property
    def tokens_per_frame(self) -> int: ...

    @property
    def width(self) -> int: ...

    def encode(self, frames: NDArray[Any]) -> Tensor | NDArray[Any]:
        """(N, size_px, size_px, 3) uint8 RGB to (N, tokens_per_frame, width), where the encoder computes; N may be 0."""
        ...
