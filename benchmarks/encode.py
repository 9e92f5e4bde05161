"""How fast the encoder's stage is beside ONNX Runtime alone, and whether encoding overlaps decoding.

    python -m benchmarks.encode                    # images a second, side by side in one run
    python -m benchmarks.encode --film film.mp4    # ... and when each block was decoded and encoded

"alone" is a session of ONNX Runtime as it comes (its own defaults, the same graph, batch and threads) on pictures already in memory.
"encoder" is what the stage calls; "stage" reads the pictures from the store, encodes them, and stores the features.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.machine import machine
from model.encoders.imagenet import BATCH
from model.registry import EYES
from model.shipped import prepared
from pipelines.decode_plan import DecodePlan
from pipelines.encode import Encoding
from pipelines.segments import block_key, measure_video
from pipelines.series import Series, pack
from pipelines.stores.folder import FolderBlobs
from services.models import cache_folder, open_encoder

PICTURES = 320  # five minutes at one a second, and a few cuts


def speeds(threads: int, repeats: int) -> dict[str, float]:
    """Images a second, medians of `repeats` rounds in which each takes its turn."""
    pictures = np.random.default_rng(0).integers(0, 256, (PICTURES, 224, 224, 3), np.uint8)
    encoder = open_encoder(threads=threads)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(prepared(EYES, cache_folder())), options, providers=["CPUExecutionProvider"])

    def alone() -> None:
        for k in range(0, PICTURES, BATCH):
            session.run(["embedding", "cells", "probabilities"], {"pictures": pictures[k : k + BATCH]})

    with tempfile.TemporaryDirectory() as folder:
        blobs = FolderBlobs(Path(folder))
        waiting = pack({"eyes": Series(np.arange(float(PICTURES)), pictures)})

        def stage() -> None:
            encoding = Encoding(encoder, blobs, "m", DecodePlan())
            blobs.delete(block_key(encoding.features, 0))
            blobs.put(block_key(encoding.pictures, 0), waiting)
            with encoding:
                pass

        ways: dict[str, Callable[[], object]] = {"alone": alone, "encoder": lambda: encoder.encode(pictures), "stage": stage}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way()
        for _ in range(repeats):
            for name, way in ways.items():
                began = time.monotonic()
                way()
                taken[name].append(time.monotonic() - began)
    return {name: PICTURES / statistics.median(times) for name, times in taken.items()}


def timeline(film: Path) -> list[str]:
    """One row a block: when its pictures were there, and when they were encoded."""
    decoded: dict[int, float] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        blobs = FolderBlobs(Path(folder))
        with Encoding(open_encoder(), blobs, "m", DecodePlan()) as encoding:

            def on_block(block: int) -> None:
                decoded[block] = time.monotonic() - began
                encoding.add(block)

            measure_video(film, blobs, "m", DecodePlan(), on_block=on_block, is_done=encoding.is_done)
            all_decoded = time.monotonic() - began
        ended = time.monotonic() - began
    spans = [(a - began, b - began) for a, b in encoding.spans_s]
    rows = [f"{'block':>5} {'decoded at s':>13} {'encoded from':>13} {'to':>6}"]
    rows += [f"{block:5d} {at:13.1f} {a:13.1f} {b:6.1f}" for (block, at), (a, b) in zip(decoded.items(), spans, strict=True)]
    overlapped = sum(max(0.0, min(b, all_decoded) - a) for a, b in spans) / max(1e-9, sum(b - a for a, b in spans))
    return [*rows, f"decoding took {all_decoded:.1f} s, everything {ended:.1f} s; {overlapped:.0%} of the encoding lay within the decoding"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--film", type=Path, help="also show the timeline of this film")
    wanted = parser.parse_args()
    print(machine())
    found = speeds(wanted.threads, wanted.repeats)
    for name, speed in found.items():
        print(f"{name:>8} {speed:6.1f} images/s  {speed / found['alone']:5.2f} of ONNX Runtime alone")
    if wanted.film:
        print("\n".join(timeline(wanted.film)))


if __name__ == "__main__":
    main()
