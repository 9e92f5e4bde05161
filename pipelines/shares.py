"""A film measured by several who share nothing but the store: what lies there tells each of them what is left to do."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from model.video import Clock
from pipelines.film_index import VideoIndex
from pipelines.interfaces import Blobs, FilmFile, UnreadableVideo
from pipelines.limits import STANDARD, Limits
from pipelines.looking import Look, looked_at, regular_file
from pipelines.media import StreamFacts, VideoFacts
from pipelines.segments import Measuring, Work, absent_blocks, block_key, hole_series, read_back, sealed, segments
from pipelines.series import BLOCK_S, Measured, pack
from pipelines.workers import crew

HANDS = 4  # that a film is cut for: enough shares for a few replicas, few enough that their overlaps cost little
ARRAYS = ("ticks", "key_ticks", "packet_ticks", "starts", "stamps", "seeks", "start_bytes")


def look_once(path: FilmFile, blobs: Blobs, prefix: str, limits: Limits = STANDARD) -> Look:
    """What the file is, from the store where somebody looked before. Raises UnreadableVideo."""
    key = f"{prefix}-look.npz"
    try:
        return unpack_look(blobs.get(key))
    except KeyError:
        pass
    with crew(1, limits) as hands:
        look = looked_at(regular_file(path), hands, limits)
    blobs.put(key, pack_look(look))
    return look


def shares(work: Work, is_done: Callable[[int], bool]) -> list[range]:
    """What is left to measure, in pieces that are worth a journey each."""
    absent = absent_blocks(work.blobs, work.prefix, work.look.facts.duration_s, is_done)
    return list(segments(absent, HANDS, work.look.lead_in_s))


def measure_share(
    work: Work,
    blocks: range,
    *,
    workers: int | None = None,
    limits: Limits = STANDARD,
    on_block: Callable[[int], None] = lambda block: None,
    is_done: Callable[[int], bool] = lambda block: True,
) -> None:
    """Measure these blocks of a film whose others somebody else measures; `seal` once all are there.

    A block that is lost twice is stored as a hole with its reason, so that it counts as done for everybody.
    """
    with crew(workers or os.cpu_count() or 1, limits) as hands:
        run = Measuring(work, hands, limits, None, on_block, is_done, blocks)
        run.to_the_end()
    for gap in run.given_up:
        block = int(gap.start_s // BLOCK_S)
        work.blobs.put(block_key(work.prefix, block), pack(hole_series([gap])))
        on_block(block)


def seal(work: Work, is_done: Callable[[int], bool], limits: Limits = STANDARD) -> Measured | None:
    """The whole film, once all its blocks lie in the store; None until then.

    Raises UnreadableVideo where none of them holds anything.
    """
    if absent_blocks(work.blobs, work.prefix, work.look.facts.duration_s, is_done):
        return None
    missing, is_empty = read_back(work.blobs, work.prefix)
    if is_empty:
        raise UnreadableVideo(f"{work.path.name} cannot be decoded: {missing[0].reason if missing else 'nothing in it could be decoded'}")
    return sealed(work, missing, limits)


def pack_look(look: Look) -> bytes:
    """As numbers and text: what comes back from a store is never run."""
    index = look.index
    arrays = {name: getattr(index, name) for name in ARRAYS if getattr(index, name) is not None} if index else {}
    told: dict[str, object] = {"facts": asdict(look.facts), "index": None}
    if index:
        clock = {"time_base": str(index.clock.time_base), "origin_s": str(index.clock.origin_s)}
        told["index"] = {"clock": clock, "end_tick": index.end_tick, "stamped_by": index.stamped_by, "warnings": index.warnings}
    out = io.BytesIO()
    np.savez(out, told=np.frombuffer(json.dumps(told, default=str).encode(), np.uint8), **arrays)
    return out.getvalue()


def unpack_look(data: bytes) -> Look:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays: dict[str, NDArray[np.int64]] = {name: stored[name] for name in ARRAYS if name in stored.files}
        told = json.loads(stored["told"].tobytes())
    facts = told["facts"]
    facts |= {
        "frame_rate": Fraction(facts["frame_rate"]) if facts["frame_rate"] else None,
        "streams": tuple(StreamFacts(**stream) for stream in facts["streams"]),
        "chapters": tuple((start_s, end_s, title) for start_s, end_s, title in facts["chapters"]),
        "warnings": tuple(facts["warnings"]),
    }
    index = told["index"]
    if index is None:
        return Look(VideoFacts(**facts), None)
    clock = Clock(Fraction(index["clock"]["time_base"]), Fraction(index["clock"]["origin_s"]))
    rest = {"end_tick": index["end_tick"], "stamped_by": index["stamped_by"], "warnings": tuple(index["warnings"])}
    return Look(VideoFacts(**facts), VideoIndex(clock=clock, **({"stamps": None} | arrays), **rest))  # type: ignore[arg-type]
