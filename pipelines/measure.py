"""One pass over a stretch of video: pictures to blocks, blocks to series. Knows the decode plan, judges nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from pipelines.decode_plan import NETS, DecodePlan, Pictures
from pipelines.interfaces import FilmFile
from pipelines.media import Shown, VideoIndex, shown_frames
from pipelines.pixels import Scaler
from pipelines.series import BLOCK_S, OVERLAP_S, Series
from pipelines.signals.pictures import BlockPictures, measure_pictures

JUMP = 12.0  # mean change of a luma pixel, of 255, behind which the encoder gets a picture of its own: most hard cuts
SETTLED_S = 0.2  # ... once nothing has jumped for this long, so that a flash or a crossfade gives none or one


def measure_blocks(
    path: FilmFile, index: VideoIndex, plan: DecodePlan, blocks: range, on_frame: Callable[[float], None] = lambda at_s: None
) -> Iterator[tuple[int, dict[str, Series]]]:
    """Decode blocks `blocks` in one pass and yield (number, series) for each as soon as it is complete.

    on_frame hears the time of every frame looked at, in seconds: a sign of life within a block.
    """
    start_s, end_s = blocks.start * BLOCK_S - OVERLAP_S, blocks.stop * BLOCK_S + OVERLAP_S
    gather = Gather(plan)
    pending = iter(blocks)
    block = next(pending)
    for shown in shown_frames(path, index, max(0.0, start_s), end_s):
        while shown.start_s >= (block + 1) * BLOCK_S + OVERLAP_S:
            yield block, measure_pictures(gather.block(block))
            block = next(pending)
        gather.add(shown)
        on_frame(shown.start_s)
    for last in (block, *pending):
        yield last, measure_pictures(gather.block(last))


class Gather:
    """Small pictures of the current block and the overlap around it, nothing older. block_s: how long a block is."""

    def __init__(self, plan: DecodePlan, block_s: float = BLOCK_S) -> None:
        self.plan, self.block_s = plan, block_s
        self.sampled: dict[str, Pictures] = {n: p for n in ("grey", "colour", "detail", *NETS) if (p := getattr(plan, n)) is not None}
        self.small = Scaler(*plan.every_px, "yuv420p", Interpolation.AREA)
        self.scalers = {name: Scaler(p.width_px, p.height_px, p.pixel_format, Interpolation.AREA) for name, p in self.sampled.items()}
        self.frames: list[tuple[float, int, np.ndarray]] = []
        self.samples: dict[str, list[tuple[float, np.ndarray]]] = {name: [] for name in self.sampled}
        self.jumps = Jumps()

    def add(self, shown: Shown) -> None:
        self.frames.append((shown.start_s, shown.tick, self.small(shown.frame)))
        settled = self.jumps.settled(shown.start_s, self.frames[-1][2][: self.plan.every_px[1]])
        for name, wanted in self.sampled.items():
            instants = _instants(shown, wanted.rate_hz) if wanted.rate_hz else [shown.start_s]
            if name == "eyes" and settled and not instants:
                instants = [shown.start_s]
            if instants:
                picture = self.scalers[name](shown.frame)
                self.samples[name] += [(t, picture) for t in instants]

    def block(self, number: int) -> BlockPictures:
        """Hand out block `number` and forget what the next one does not need."""
        start_s, end_s = number * self.block_s, (number + 1) * self.block_s
        used = [f for f in self._since(start_s - OVERLAP_S) if f[0] < end_s + OVERLAP_S]
        times = np.array([f[0] for f in used])
        first, last = np.searchsorted(times, [start_s, end_s])
        sampled = {name: self._sampled(name, start_s, end_s) for name in self.sampled}
        self.frames = self._since(end_s - OVERLAP_S)
        self.samples = {name: [s for s in rows if s[0] >= end_s - self._around_s(name)] for name, rows in self.samples.items()}
        width, height = self.plan.every_px
        small = np.array([f[2] for f in used], np.uint8).reshape(len(used), height * 3 // 2, width)
        return BlockPictures(
            start_s, end_s, times, np.array([f[1] for f in used], np.int64), small[:, :height],
            small[:, height:].reshape(len(used), 2, height // 2, width // 2), slice(int(first), int(last)), sampled,
        )  # fmt: skip

    def _around_s(self, name: str) -> float:
        return 0.0 if self.sampled[name].rate_hz else OVERLAP_S

    def _sampled(self, name: str, start_s: float, end_s: float) -> Series:
        around_s = self._around_s(name)
        rows = [s for s in self.samples[name] if start_s - around_s <= s[0] < end_s + around_s]
        return _series(rows, self.sampled[name])

    def _since(self, at_s: float) -> list[tuple[float, int, np.ndarray]]:
        """The frames from the one on display at `at_s` on, however long ago it appeared."""
        return self.frames[max(0, bisect_right(self.frames, at_s, key=lambda f: f[0]) - 1) :]


class Jumps:
    """Hears every frame's small luma picture and says when a jump has settled."""

    def __init__(self) -> None:
        self.before: NDArray[np.int16] | None = None
        self.jumped_s: float | None = None

    def settled(self, at_s: float, luma: NDArray[np.uint8]) -> bool:
        now = luma.astype(np.int16)
        if self.before is not None and np.abs(now - self.before).mean() > JUMP:
            self.jumped_s = at_s
        self.before = now
        if self.jumped_s is None or at_s < self.jumped_s + SETTLED_S - 1e-6:
            return False
        self.jumped_s = None
        return True


def _instants(shown: Shown, rate_hz: float) -> list[float]:
    """The grid instants k / rate_hz at which this frame is on display."""
    first, last = int(np.ceil(shown.start_s * rate_hz - 1e-6)), int(np.ceil(shown.end_s * rate_hz - 1e-6))
    return [k / rate_hz for k in range(first, last)]


def _series(rows: list[tuple[float, np.ndarray]], wanted: Pictures) -> Series:
    shape = (wanted.height_px, wanted.width_px) + ((3,) if wanted.pixel_format == "rgb24" else ())
    return Series(np.array([r[0] for r in rows]), np.array([r[1] for r in rows], np.uint8).reshape(len(rows), *shape))
