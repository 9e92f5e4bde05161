"""WordLlama's static embeddings: how near two texts are in what they mean. Knows no time and no video."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class WordLlamaMeaning:
    """Satisfies `pipelines.interfaces.Meaning`. Loaded when first used (about half a second, most of it its tokenizer)."""

    def __init__(self, weights: Path, name: str = "wordllama", digest: str = "") -> None:
        """weights: the safetensors file inside its package, `<package>/weights/<name>.safetensors`."""
        self._package, self.name, self.digest = weights.parent.parent, name, digest

    @cached_property
    def _model(self) -> Any:
        with _logging_left_alone():
            from wordllama import WordLlama

        # Its own folder as the cache: it looks there first, and must never ask a hub.
        return WordLlama.load(cache_dir=self._package, disable_download=True)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, 256) float32 of length 1; 0 for a text without words."""
        found: NDArray[np.float32] = self._model.embed([text or " " for text in texts], norm=True)
        return np.nan_to_num(found)


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """The package sets up the whole program's logging when it is imported; that is not its business."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
