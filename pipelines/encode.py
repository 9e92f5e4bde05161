"""The stage `encode`: what trained nets see in a video's pictures, block by block beside the decoding of the next ones."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from model.video import Seen
from pipelines.decode_plan import DecodePlan
from pipelines.interfaces import Blobs, Cutter, Encoder
from pipelines.segments import block_key, pictures_prefix
from pipelines.series import BLOCK_S, CUTS, EYES, Series, pack, unpack

logger = logging.getLogger(__name__)
Look = Callable[[Series, int], dict[str, Series]]  # waiting pictures and the block's number -> series


@dataclass(frozen=True, slots=True)
class _Net:
    """Which waiting pictures a net takes, where what it saw goes, and how it looks."""

    pictures: str
    features: str
    look: Look


class Encoding:
    """Encodes blocks in a thread of its own as they are announced; done with everything when its `with` ends.

    ONNX Runtime computes without Python's lock and decoding runs in processes of its own, so one does not wait for the other.
    A block's pictures are deleted once all features lie in the store. `features`, `cuts`: where those of the encoder and of the shot
    detector lie. `error`: what stopped it, `trouble` the same in words, empty where nothing did. among: the blocks that are its
    business, all where None; waiting: where the pictures wait, `blobs` where None.
    """

    def __init__(
        self,
        encoder: Encoder | None,
        blobs: Blobs,
        prefix: str,
        plan: DecodePlan,
        cutter: Cutter | None = None,
        *,
        among: range | None = None,
        waiting: Blobs | None = None,
    ) -> None:
        self.blobs, self.waiting, self.pictures = blobs, waiting or blobs, pictures_prefix(prefix, plan)
        self.among = among
        self.features = features_prefix(prefix, plan, encoder) if encoder else ""
        self.cuts = f"{prefix}-{cutter.name}-{cutter.digest}" if cutter else ""
        self.error: Exception | None = None
        self.spans_s: list[tuple[float, float]] = []  # when it worked, on the monotonic clock: shows the overlap with decoding
        eyes = [_Net("eyes", self.features, lambda pictures, _: seen_series(encoder, pictures))] if encoder else []
        cuts = [_Net("cutter", self.cuts, lambda pictures, block: cut_series(cutter, pictures, block))] if cutter else []
        self._nets = [*eyes, *cuts]
        self._blocks: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="encode", daemon=True)

    def __enter__(self) -> Encoding:
        for key in self.waiting.keys(self.pictures + "/"):  # left by a run that was broken off
            block = int(key.rsplit("/", 1)[1].removesuffix(".npz"))
            if self.among is None or block in self.among:
                self.add(block)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._blocks.put(None)
        if kind is None:
            self._thread.join()

    def add(self, block: int) -> None:
        self._blocks.put(block)

    def is_done(self, block: int) -> bool:
        """Nothing more is wanted from decoding: all features are there, or the pictures are."""
        return self.has_seen(block) or _has(self.waiting, self.pictures, block)

    def has_seen(self, block: int) -> bool:
        """All features are there."""
        return all(_has(self.blobs, net.features, block) for net in self._nets)

    def _work(self) -> None:
        try:
            while (block := self._blocks.get()) is not None:
                began = time.monotonic()
                self._encode(block)
                self.spans_s.append((began, time.monotonic()))
        except Exception as error:  # any: the findings without eyes are worth more than none, and the report says what happened
            logger.exception("encoding stopped")
            self.error = error

    @property
    def trouble(self) -> str:
        return f"the trained eyes stopped looking: {_first_line(self.error)}" if self.error else ""

    def _encode(self, block: int) -> None:
        """Turn one block's pictures into features and delete them. A block without pictures (sound only) gets empty features."""
        try:
            waiting = unpack(self.waiting.get(block_key(self.pictures, block)))
        except KeyError:
            waiting = {}
        for net in self._nets:
            if not _has(self.blobs, net.features, block):
                pictures = waiting.get(net.pictures)
                seen = net.look(pictures, block) if pictures is not None and len(pictures) else {}
                self.blobs.put(block_key(net.features, block), pack(seen))
        self.waiting.delete(block_key(self.pictures, block))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _has(blobs: Blobs, prefix: str, block: int) -> bool:
    key = block_key(prefix, block)
    return key in blobs.keys(key)


def features_prefix(prefix: str, plan: DecodePlan, encoder: Encoder) -> str:
    """Another encoder or other pictures give other features."""
    assert plan.eyes is not None
    return f"{prefix}-{encoder.name}-{encoder.digest}-{plan.eyes.rate_hz:g}hz"


def seen_series(encoder: Encoder, pictures: Series) -> dict[str, Series]:
    """Features at the pictures' times; half precision is far finer than what two codecs make of one picture."""
    seen: Seen = encoder.encode(_pixels(pictures))
    values = {
        "embedding": seen.embeddings.astype(np.float16),
        "cells": seen.cells.astype(np.float16),
        "class": seen.classes,
        "share": seen.shares.astype(np.float16),
    }
    return {f"{EYES}{name}": Series(pictures.times_s, v) for name, v in values.items()}


def cut_series(cutter: Cutter, pictures: Series, block: int) -> dict[str, Series]:
    """`cuts.cut` and `cuts.transition`, a probability for each of the block's own frames; those around it were context."""
    own = slice(*np.searchsorted(pictures.times_s, [block * BLOCK_S, (block + 1) * BLOCK_S]))
    cut, transition = cutter.cuts(_pixels(pictures))
    times = pictures.times_s[own]
    return {f"{CUTS}cut": Series(times, cut[own]), f"{CUTS}transition": Series(times, transition[own])}


def _pixels(pictures: Series) -> NDArray[np.uint8]:
    return pictures.values.astype(np.uint8, copy=False)
