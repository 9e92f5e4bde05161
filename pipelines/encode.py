"""The stage `encode`: what a trained encoder sees in a video's pictures, block by block beside the decoding of the next ones."""

from __future__ import annotations

import logging
import queue
import threading
import time
from types import TracebackType

import numpy as np

from model.video import Seen
from pipelines.decode_plan import DecodePlan
from pipelines.interfaces import Blobs, Encoder
from pipelines.segments import block_key, pictures_prefix
from pipelines.series import EYES, Series, pack, unpack

logger = logging.getLogger(__name__)


def features_prefix(prefix: str, plan: DecodePlan, encoder: Encoder) -> str:
    """Where the features of the video measured under `prefix` lie: another encoder or other pictures give others."""
    assert plan.eyes is not None
    return f"{prefix}-{encoder.name}-{encoder.digest}-{plan.eyes.rate_hz:g}hz"


class Encoding:
    """Encodes blocks in a thread of its own as they are announced; done with everything when its `with` ends.

    ONNX Runtime computes without Python's lock and decoding runs in processes of its own, so one does not wait for the other.
    A block's pictures are deleted once its features lie in the store. `trouble`: what stopped it, empty where nothing did.
    """

    def __init__(self, encoder: Encoder, blobs: Blobs, prefix: str, plan: DecodePlan) -> None:
        self.encoder, self.blobs, self.prefix = encoder, blobs, prefix
        self.features = features_prefix(prefix, plan, encoder)
        self.trouble = ""
        self.seconds = 0.0  # spent encoding
        self.spans_s: list[tuple[float, float]] = []  # when, on the monotonic clock: shows the overlap with decoding
        self._blocks: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="encode", daemon=True)

    def __enter__(self) -> Encoding:
        for key in self.blobs.keys(pictures_prefix(self.prefix) + "/"):  # left by a run that was broken off
            self.add(int(key.rsplit("/", 1)[1].removesuffix(".npz")))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._blocks.put(None)
        if kind is None:
            self._thread.join()

    def add(self, block: int) -> None:
        self._blocks.put(block)

    def is_done(self, block: int) -> bool:
        """Nothing more is wanted from decoding: the features are there, or the pictures are."""
        return any(_exists(self.blobs, block_key(prefix, block)) for prefix in (self.features, pictures_prefix(self.prefix)))

    def _work(self) -> None:
        try:
            while (block := self._blocks.get()) is not None:
                began = time.monotonic()
                encode_block(self.encoder, self.blobs, pictures_prefix(self.prefix), self.features, block)
                self.spans_s.append((began, time.monotonic()))
                self.seconds += self.spans_s[-1][1] - began
        except Exception as error:  # any: the findings without eyes are worth more than none, and the report says what happened
            logger.exception("encoding stopped encoder=%s", self.encoder.name)
            self.trouble = f"the visual encoder {self.encoder.name} stopped: {str(error).strip().splitlines()[0][:200]}"


def encode_block(encoder: Encoder, blobs: Blobs, pictures: str, features: str, block: int) -> None:
    """Turn one block's pictures into features and delete them. A block without pictures (sound only) gets empty features."""
    key = block_key(pictures, block)
    try:
        series = unpack(blobs.get(key)).get("eyes")
    except KeyError:
        series = None
        if _exists(blobs, block_key(features, block)):
            return  # announced twice
    seen = seen_series(encoder.encode(series.values.astype(np.uint8, copy=False)), series) if series is not None and len(series) else {}
    blobs.put(block_key(features, block), pack(seen))
    blobs.delete(key)


def seen_series(seen: Seen, pictures: Series) -> dict[str, Series]:
    """Features at the pictures' times; half precision is far finer than what two codecs make of one picture."""
    values = {
        "embedding": seen.embeddings.astype(np.float16),
        "cells": seen.cells.astype(np.float16),
        "class": seen.classes,
        "share": seen.shares.astype(np.float16),
    }
    return {f"{EYES}{name}": Series(pictures.times_s, v) for name, v in values.items()}


def _exists(blobs: Blobs, key: str) -> bool:
    return key in blobs.keys(key)
