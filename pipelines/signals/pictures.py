"""Numbers from small pictures of one block. Pure functions of arrays; integer sums, so that equal pictures give equal values.

F = frames of the block and its overlap, H, W = rows and columns of the small luma picture, n = frames of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Series
from pipelines.signals.details import measure_details

CHUNK = 256  # frames looked at together: a few MB of temporaries, whatever the frame rate
DARK = 20  # full-range luma below which a pixel counts as black; limited-range 32
TINY_POOL = 4  # pixels of small luma a side that make one of a tiny picture
CELL_PX = (6, 8)  # rows and columns of a patch that may have moved
REACH_PX = (3, 6)  # how far a patch may have moved between two frames
PEAK_RATIO = 1.5  # a change this much above its neighbours' median is worth a search for motion
PEAK_CHANGE = 4.0  # ... and this large, in levels of 255
NEIGHBOURS = 4  # frames either side


@dataclass(frozen=True, slots=True)
class BlockPictures:
    """One block's pictures. The block owns frames `own`; those around it are there for measurements that look aside."""

    start_s: float
    end_s: float
    times_s: NDArray[np.float64]  # (F,) when each frame appears
    ticks: NDArray[np.int64]  # (F,)
    luma: NDArray[np.uint8]  # (F, H, W) full range
    chroma: NDArray[np.uint8]  # (F, 2, H / 2, W / 2) full range
    own: slice
    sampled: dict[str, Series] = field(default_factory=dict)  # name -> pictures at instants of the plan's grid, own ones only


def measure_pictures(block: BlockPictures) -> dict[str, Series]:
    """Per frame, from the small picture, against the frame before (levels are of 0..255):

    frame.tick, frame.luma (mean), frame.spread (standard deviation), frame.black (share of black pixels),
    frame.change (mean |difference|), frame.peak (largest |difference|), frame.colour (histogram distance, 0..1),
    frame.likeness (correlation, -1..1; 1 for two equal flat pictures), frame.residue (change left when patches may move;
    searched for only where the change stands out, else the change itself), frame.tiny ((3, H/4, W/4) uint8 YUV).
    Besides, the sampled pictures and what `measure_details` says of them.
    """
    numbers = _numbers(block)
    times = block.times_s[block.own]
    series = {f"frame.{name}": Series(times, values[block.own]) for name, values in numbers.items()}
    kept = {name: s for name, s in block.sampled.items() if name != "detail"}
    details = measure_details(block.sampled["detail"]) if "detail" in block.sampled else {}
    return series | kept | details


def _numbers(block: BlockPictures) -> dict[str, NDArray[np.generic]]:
    if not len(block.luma):  # a pause in the recording: the names and shapes of a frame's numbers, without any
        blank = np.zeros((1, *block.luma.shape[1:]), np.uint8), np.zeros((1, *block.chroma.shape[1:]), np.uint8)
        one = replace(block, ticks=np.zeros(1, np.int64), luma=blank[0], chroma=blank[1])
        return {name: values[:0] for name, values in _numbers(one).items()}
    chunks = [_chunk_numbers(block, rows) for rows in _chunks(len(block.luma))]
    numbers = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    numbers["residue"] = _residues(block.luma, numbers["change"])
    return numbers | {"tick": block.ticks}


def _chunks(count: int) -> Iterator[slice]:
    for first in range(0, count, CHUNK):
        yield slice(first, min(first + CHUNK, count))


def _chunk_numbers(block: BlockPictures, rows: slice) -> dict[str, NDArray[np.generic]]:
    """Numbers of frames `rows`; the frame before the first one is looked at too."""
    first = max(rows.start - 1, 0)
    lead = rows.start - first  # 1 where there is a frame before, else 0
    luma = np.ascontiguousarray(block.luma[first : rows.stop])
    chroma = np.ascontiguousarray(block.chroma[first : rows.stop])
    before = np.maximum(np.arange(lead, len(luma)) - 1, 0)
    flat = luma.reshape(len(luma), -1)
    apart = np.maximum(flat[lead:], flat[before]) - np.minimum(flat[lead:], flat[before])
    histograms = _histograms(luma, chroma)
    colour = np.abs(histograms[lead:] - histograms[before]).sum(1) / (2 * histograms[:1].sum())
    moments = _moments(flat, lead, before)
    pixels = flat.shape[1]
    return moments | {
        "black": (np.count_nonzero(flat[lead:] < DARK, axis=1) / pixels).astype(np.float32),
        "change": (apart.sum(1, dtype=np.uint32) / pixels).astype(np.float32),
        "peak": apart.max(1, initial=0),
        "colour": colour.astype(np.float32),
        "tiny": _tiny(luma[lead:], chroma[lead:]),
    }


def _moments(flat: NDArray[np.uint8], lead: int, before: NDArray[np.intp]) -> dict[str, NDArray[np.generic]]:
    """Mean, standard deviation and correlation with the frame before, from exact integer sums."""
    wide = flat.astype(np.int32)
    pixels = flat.shape[1]
    total = wide.sum(1, dtype=np.int64)
    square = np.einsum("np,np->n", wide, wide).astype(np.int64)
    product = np.einsum("np,np->n", wide[lead:], wide[before]).astype(np.int64)
    variance = pixels * square - total * total  # times pixels squared
    shared = pixels * product - total[lead:] * total[before]
    # One level squared on either side: two flat pictures are alike, noise on them does not make them strangers.
    soft = float(pixels * pixels)
    likeness = (shared + soft) / np.sqrt((variance[lead:] + soft) * (variance[before] + soft))
    return {
        "luma": (total[lead:] / pixels).astype(np.float32),
        "spread": (np.sqrt(variance[lead:].astype(np.float64)) / pixels).astype(np.float32),
        "likeness": likeness.astype(np.float32),
    }


def _histograms(luma: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(n, 32 + 64): luma in 32 steps, the two colours jointly in 8 x 8 steps over the middle of their range."""
    count = len(luma)
    rows = np.arange(count)[:, None]
    bright = np.bincount(((luma.reshape(count, -1) >> 3) + 32 * rows).ravel(), minlength=32 * count)
    # Natural colours lie within 64 of grey; beyond that the outer step takes all.
    steps = np.clip(chroma.reshape(count, 2, -1).astype(np.int16) - 64, 0, 127) >> 4
    hue = np.bincount((steps[:, 0] * 8 + steps[:, 1] + 64 * rows).ravel(), minlength=64 * count)
    return np.hstack([bright.reshape(count, 32), 4 * hue.reshape(count, 64)])


def _tiny(luma: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 3, H / 4, W / 4): pooled luma and colours, one after the other."""
    planes = [_pooled(luma, TINY_POOL), _pooled(chroma[:, 0], TINY_POOL // 2), _pooled(chroma[:, 1], TINY_POOL // 2)]
    return np.stack(planes, axis=1)


def _pooled(planes: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    count, height, width = planes.shape
    sums = np.full((count, height // side, width // side), side * side // 2, np.uint16)
    for y in range(side):
        for x in range(side):
            sums += planes[:, y::side, x::side]
    return (sums // (side * side)).astype(np.uint8)


def _residues(luma: NDArray[np.uint8], change: NDArray[np.floating]) -> NDArray[np.float32]:
    """The change where it does not stand out among its neighbours; what motion cannot explain of it where it does."""
    residue = change.astype(np.float32)
    (peaks,) = np.nonzero(_stands_out(residue))
    for first in range(0, len(peaks), CHUNK // 4):
        chosen = peaks[first : first + CHUNK // 4]
        residue[chosen] = np.minimum(residue[chosen], _unmoved(luma[chosen], luma[chosen - 1]))
    return residue


def _stands_out(change: NDArray[np.float32]) -> NDArray[np.bool_]:
    if len(change) < 2:
        return np.zeros(len(change), bool)
    around = np.pad(change, NEIGHBOURS, mode="reflect" if len(change) > NEIGHBOURS else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * NEIGHBOURS + 1)
    stands_out = (change >= PEAK_CHANGE) & (change >= PEAK_RATIO * np.median(windows, axis=1))
    stands_out[0] = False  # nothing lies before it
    return stands_out


def _unmoved(now: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean |difference| of each pair when every patch of `now` is taken from its best place in `before`; (n,) levels."""
    count, height, width = now.shape
    (down, across), (rows, columns) = REACH_PX, CELL_PX
    around = np.pad(before, ((0, 0), (down, down), (across, across)), mode="edge")
    best = np.full((count, height // rows, width // columns), np.iinfo(np.int32).max, np.int32)
    for y in range(2 * down + 1):
        for x in range(2 * across + 1):
            moved = around[:, y : y + height, x : x + width]
            apart = np.maximum(now, moved) - np.minimum(now, moved)
            np.minimum(best, _patch_sums(apart), out=best)
    share: NDArray[np.float64] = best.sum((1, 2), dtype=np.int64) / (height * width)
    return share.astype(np.float32)


def _patch_sums(apart: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(n, H / rows, W / columns). Adding slices is four times as fast here as numpy's sum over short axes."""
    rows, columns = CELL_PX
    tall = apart[:, ::rows].astype(np.uint16)
    for y in range(1, rows):
        tall += apart[:, y::rows]
    patches = tall[:, :, ::columns].astype(np.int32)
    for x in range(1, columns):
        patches += tall[:, :, x::columns]
    return patches
