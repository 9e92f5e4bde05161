"""Cuts a video into segments, has workers measure them, and accounts for what is missing. Knows blocks and workers, judges nothing."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from multiprocessing.connection import wait

import av
import numpy as np

from model.video import Clock
from pipelines.decode_plan import NETS, DecodePlan
from pipelines.interfaces import Blobs, FilmFile, UnreadableVideo
from pipelines.limits import STANDARD, Limits
from pipelines.looking import Look, looked_at, plain_facts, regular_file
from pipelines.measure import measure_blocks
from pipelines.media import VideoFacts, VideoIndex
from pipelines.series import BLOCK_S, Measured, Missing, Series, pack, unpack
from pipelines.sound import sound_blocks
from pipelines.workers import Crew, Done, Worker, WorkerBug, WorkerDied, crew

logger = logging.getLogger(__name__)
HOLES, REASONS = "missing.end_s", "missing.reason"  # series of every block: until when, and why, from its times on
UNDECODABLE = (UnreadableVideo, av.error.FFmpegError, MemoryError)
BEAT_S = 0.25
WASTE_S = 20.0
LOST_S = 0.5  # shorter holes are pictures that were never meant to be shown (VP8's hidden references, fields, packed B-frames)
LONGEST_SEGMENT = 10  # blocks; the seek and the overlap cost about 3 s of video a segment


@dataclass(frozen=True, slots=True)
class At:
    """A worker's sign of life: how far it has come, seconds of video."""

    seconds: float


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A block lies in the store. missing: its stretches without pictures or sound; is_empty: it holds no series at all."""

    block: int
    missing: tuple[Missing, ...]
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Work:
    """Everything a worker needs to measure any block of one file."""

    path: FilmFile
    look: Look
    plan: DecodePlan
    blobs: Blobs
    prefix: str
    waiting: Blobs | None = None  # where the nets' pictures wait, for not so long; `blobs` where None

    @property
    def pictures(self) -> str:
        return pictures_prefix(self.prefix, self.plan)

    @property
    def blocks(self) -> range:
        return range(block_count(self.look.facts.duration_s))


def pictures_prefix(prefix: str, plan: DecodePlan) -> str:
    """Where a video's pictures wait for the nets, block by block."""
    return f"{prefix}-pictures-{plan.waiting}"


def measure_video(
    path: FilmFile,
    blobs: Blobs,
    prefix: str,
    plan: DecodePlan,
    *,
    workers: int | None = None,
    limits: Limits = STANDARD,
    on_progress: Callable[[float, float], None] | None = None,
    on_block: Callable[[int], None] = lambda block: None,
    is_done: Callable[[int], bool] = lambda block: True,
) -> Measured:
    """Measure a file in worker processes (one a core by default), block by block into `blobs` under `prefix`.

    Blocks that are there are kept, so that a run broken off goes on where it was. on_progress: (seconds done, seconds in all).
    on_block hears of each block as soon as it lies in the store. is_done: False where a block's pictures are wanted once more.
    Raises UnreadableVideo where nothing at all could be decoded; whatever less is lost is told in `Measured.missing`.
    """
    if (before := open_measured(blobs, prefix)) is not None and not absent_blocks(blobs, prefix, before.duration_s, is_done):
        return before
    path = regular_file(path)
    with crew(workers or os.cpu_count() or 1, limits) as hands:
        look = looked_at(path, hands, limits)
        work = Work(path, look, plan, blobs, prefix)
        run = Measuring(work, hands, limits, on_progress, on_block, is_done)
        run.to_the_end()
        if run.is_empty:
            reason = run.missing[0].reason if run.missing else "nothing in it could be decoded"
            raise UnreadableVideo(f"{path.name} cannot be decoded: {reason}")
    return sealed(work, run.missing, limits)


def sealed(work: Work, missing: list[Missing], limits: Limits) -> Measured:
    """Keep what is known of the whole: from now on the film counts as measured."""
    look = work.look
    whole = merged([*missing, *cut_off(look.facts, limits)])
    clock = look.index.clock if look.index else None
    measured = Measured(work.blobs, work.prefix, look.facts.duration_s, clock, (), whole, plain_facts(look.facts))
    work.blobs.put(f"{work.prefix}/manifest.json", _manifest(measured))
    return measured


def open_measured(blobs: Blobs, prefix: str) -> Measured | None:
    """What an earlier run measured, without the file; None where it did not come to its end."""
    try:
        told = json.loads(blobs.get(f"{prefix}/manifest.json"))
    except KeyError:
        return None
    clock = Clock(Fraction(told["clock"]["time_base"]), Fraction(told["clock"]["origin_s"])) if told["clock"] else None
    missing = tuple(Missing(m["start_s"], m["end_s"], m["reason"]) for m in told["missing"])
    return Measured(blobs, prefix, told["duration_s"], clock, (), missing, told["facts"])


def segments(blocks: list[int], workers: int, lead_in_s: Callable[[int], float]) -> deque[range]:
    """Runs of neighbouring blocks, long ones first, so that all workers end at about the same time and a crash loses little.

    A run is cut only where decoding from the key frame before wastes little; a film with one key frame stays whole.
    """
    queue: deque[range] = deque()
    left = list(blocks)
    while left:
        length = min(LONGEST_SEGMENT, max(1, len(left) // (2 * workers)))
        take = 1
        while take < len(left) and left[take] == left[take - 1] + 1 and (take < length or lead_in_s(left[take]) > WASTE_S):
            take += 1
        queue.append(range(left[0], left[take - 1] + 1))
        left = left[take:]
    return queue


class Measuring:
    """One file's segments on their way through the workers."""

    def __init__(
        self,
        work: Work,
        hands: Crew,
        limits: Limits,
        on_progress: Callable[[float, float], None] | None,
        on_block: Callable[[int], None],
        is_done: Callable[[int], bool],
        among: range | None = None,
    ) -> None:
        self.work, self.hands, self.limits, self.on_progress, self.on_block = work, hands, limits, on_progress, on_block
        self.duration_s = work.look.facts.duration_s
        among = work.blocks if among is None else among
        absent = [block for block in absent_blocks(work.blobs, work.prefix, self.duration_s, is_done) if block in among]
        self.queue = segments(absent, hands.size, work.look.lead_in_s)
        self.missing = read_back(work.blobs, work.prefix)[0] if len(absent) < len(work.blocks) else []
        self.given_up: list[Missing] = []
        self.done = set(among) - set(absent)
        self.is_empty = not self.done
        self.busy: dict[Worker, _Assignment] = {}
        self.failures: dict[int, str] = {}

    def to_the_end(self) -> None:
        while self.queue or self.busy:
            self._assign()
            self._listen()
            self._watch()
            self._tell()

    def _assign(self) -> None:
        while self.queue and (worker := self.hands.idle()) is not None:
            self.busy[worker] = assignment = _Assignment(self.queue.popleft())
            worker.start(measure_segment, self.work, assignment.blocks)
            self._begin_block(worker)
            self._hear(worker, extra_s=self.work.look.lead_in_s(assignment.blocks.start))

    def _begin_block(self, worker: Worker) -> None:
        limit_s = self.limits.block_s
        worker.allow(limit_s, max(limit_s, self.limits.patience_s) * 4, f"a minute of video took more than {limit_s:.0f} s")

    def _hear(self, worker: Worker, extra_s: float = 0.0) -> None:
        """A sign of life: from now on the worker may be silent for as long as the limits say, and for what it decodes in vain."""
        worker.allow(self.limits.stall_s + extra_s, self.limits.patience_s + extra_s, "the decoder came no further")

    def _listen(self) -> None:
        ready = wait([w.connection for w in self.busy], timeout=0.5)
        for worker in [w for w in self.busy if w.connection in ready]:
            try:
                self._heard(worker, worker.receive())
            except WorkerDied as error:
                self._lost(worker, str(error))
            except WorkerBug as error:
                logger.error("measuring failed file=%r block=%d\n%s", self.work.path.name, self.busy[worker].blocks.start, error)
                self._lost(worker, f"a fault of this program: {str(error).strip().splitlines()[-1]}")

    def _heard(self, worker: Worker, message: object) -> None:
        assignment = self.busy[worker]
        self._hear(worker)
        if isinstance(message, At):
            assignment.seconds = message.seconds
        elif isinstance(message, BlockDone):
            self.done.add(message.block)
            self.on_block(message.block)
            self.missing += message.missing
            self.is_empty = self.is_empty and message.is_empty
            assignment.blocks = assignment.blocks[1:]
            self._begin_block(worker)
        elif isinstance(message, Done):
            del self.busy[worker]

    def _lost(self, worker: Worker, reason: str) -> None:
        """The block it was on is tried once more alone, then given up; the rest of the segment goes back to the queue."""
        blocks = self.busy.pop(worker).blocks
        if not blocks:
            return
        block = blocks.start
        logger.warning("worker lost file=%r block=%d reason=%s", self.work.path.name, block, reason)
        if len(blocks) > 1:
            self.queue.appendleft(blocks[1:])
        if block not in self.failures:
            self.queue.append(range(block, block + 1))
        else:
            end_s = min((block + 1) * BLOCK_S, self.duration_s)
            self.given_up.append(Missing(block * BLOCK_S, end_s, reason))
            self.missing.append(self.given_up[-1])
            self.done.add(block)
        self.failures[block] = reason

    def _watch(self) -> None:
        for worker in [w for w in self.busy if w.watch()]:
            self._lost(worker, worker.reason)

    def _tell(self) -> None:
        if self.on_progress is not None:
            whole = sum(min((b + 1) * BLOCK_S, self.duration_s) - b * BLOCK_S for b in self.done)
            self.on_progress(min(self.duration_s, whole + sum(a.seconds_done for a in self.busy.values())), self.duration_s)


@dataclass(slots=True)
class _Assignment:
    """What one worker is on: the blocks still to come, the first of them now."""

    blocks: range
    seconds: float = 0.0

    @property
    def seconds_done(self) -> float:
        return min(BLOCK_S, max(0.0, self.seconds - self.blocks.start * BLOCK_S)) if self.blocks else 0.0


def measure_segment(send: Callable[[At | BlockDone], None], work: Work, blocks: range) -> None:
    """Runs in a worker: measure `blocks`, store each as soon as it is complete."""
    beat = _heartbeat(send)
    for (block, pictures, unseen), (_, sound, unheard) in zip(_pictures(work, blocks, beat), _sound(work, blocks), strict=True):
        if waiting := {name: pictures.pop(name) for name in NETS if name in pictures}:
            # First: a block in the store has had its pictures.
            (work.waiting or work.blobs).put(block_key(work.pictures, block), pack(waiting))
        series = pictures | sound
        missing = [*unseen, *unheard]
        work.blobs.put(block_key(work.prefix, block), pack(series | hole_series(missing)))
        send(BlockDone(block, tuple(missing), not any(len(s) for s in series.values())))


def hole_series(missing: list[Missing]) -> dict[str, Series]:
    times = np.array([m.start_s for m in missing])
    reasons = np.array([m.reason for m in missing], np.str_)
    return {HOLES: Series(times, np.array([m.end_s for m in missing])), REASONS: Series(times, reasons)}


def _heartbeat(send: Callable[[At], None]) -> Callable[[float], None]:
    last = time.monotonic()

    def beat(at_s: float) -> None:
        nonlocal last
        if (now := time.monotonic()) - last > BEAT_S:
            last = now
            send(At(at_s))

    return beat


Block = tuple[int, dict[str, Series], list[Missing]]


def _pictures(work: Work, blocks: range, beat: Callable[[float], None]) -> Iterator[Block]:
    index = work.look.index
    if index is None:
        return _nothing(blocks)
    measured = _steadily(lambda rest: measure_blocks(work.path, index, work.plan, rest, beat), work, blocks, "pictures")
    return ((block, series, lost or holes_in(index, series, block)) for block, series, lost in measured)


def _sound(work: Work, blocks: range) -> Iterator[Block]:
    if not (work.plan.sound and work.look.has_sound):
        return _nothing(blocks)
    return _steadily(lambda rest: sound_blocks(work.path, rest), work, blocks, "sound")


def _nothing(blocks: range) -> Iterator[Block]:
    return ((block, {}, []) for block in blocks)


def _steadily(measure: Callable[[range], Iterator[tuple[int, dict[str, Series]]]], work: Work, blocks: range, what: str) -> Iterator[Block]:
    """Every block's series, also of those that cannot be decoded: none, with the reason. Goes on behind them."""
    while blocks:
        try:
            for block, series in measure(blocks):
                yield block, series, []
                blocks = blocks[1:]
        except UNDECODABLE as error:
            start_s, end_s = blocks.start * BLOCK_S, (blocks.start + 1) * BLOCK_S
            reason = "it needs more memory than a worker may take" if isinstance(error, MemoryError) else str(error)
            yield blocks.start, {}, [Missing(start_s, min(end_s, work.look.facts.duration_s), f"{what}: {reason}")]
            blocks = blocks[1:]


def holes_in(index: VideoIndex, series: Mapping[str, Series], block: int) -> list[Missing]:
    """Stretches of a block for which the file lists pictures and the decoder gave none."""
    first, last = np.searchsorted(index.ticks, [index.clock.tick(block * BLOCK_S), index.clock.tick((block + 1) * BLOCK_S)])
    listed = index.ticks[first:last]
    given = series["frame.tick"].values if "frame.tick" in series else np.array([], np.int64)
    absent = ~np.isin(listed, given)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], absent, [False]]).astype(np.int8)))
    following = np.append(listed, index.ticks[last] if last < len(index.ticks) else index.end_tick)
    spans = [(index.clock.seconds(int(following[a])), index.clock.seconds(int(following[b]))) for a, b in edges.reshape(-1, 2)]
    return [Missing(max(0.0, a), b, "the pictures are damaged") for a, b in spans if b - a >= LOST_S]


def cut_off(facts: VideoFacts, limits: Limits) -> list[Missing]:
    """What the header announces behind the last picture and sound: the part of a broken download that never came."""
    announced_s = facts.announced_s or 0.0
    if announced_s - facts.duration_s <= max(1.0, 0.02 * announced_s) or announced_s > limits.duration_s:
        return []
    reason = f"the file ends here, though its header announces {announced_s:.1f} s; copy or download it again"
    return [Missing(facts.duration_s, announced_s, reason)]


def merged(missing: list[Missing]) -> tuple[Missing, ...]:
    """Apart and in order: stretches that overlap or touch become one, with every reason once."""
    out: list[Missing] = []
    for gap in sorted(missing):
        if out and gap.start_s <= out[-1].end_s + 1e-6:
            reasons = dict.fromkeys([*out[-1].reason.split("; "), *gap.reason.split("; ")])
            out[-1] = Missing(out[-1].start_s, max(out[-1].end_s, gap.end_s), "; ".join(reasons))
        else:
            out.append(gap)
    return tuple(out)


def block_count(duration_s: float) -> int:
    return math.ceil(duration_s / BLOCK_S)


def block_key(prefix: str, block: int) -> str:
    return f"{prefix}/{block:06d}.npz"


def absent_blocks(blobs: Blobs, prefix: str, duration_s: float, is_done: Callable[[int], bool]) -> list[int]:
    there = set(blobs.keys(prefix + "/"))
    return [block for block in range(block_count(duration_s)) if block_key(prefix, block) not in there or not is_done(block)]


def read_back(blobs: Blobs, prefix: str) -> tuple[list[Missing], bool]:
    """The holes in stored blocks, and whether there is nothing else in any of them."""
    missing: list[Missing] = []
    is_empty = True
    for key in blobs.keys(prefix + "/"):
        if key.endswith(".npz"):
            block = unpack(blobs.get(key))
            ends, reasons = block.pop(HOLES), block.pop(REASONS)
            missing += [Missing(float(a), float(b), str(why)) for a, b, why in zip(ends.times_s, ends.values, reasons.values, strict=True)]
            is_empty = is_empty and not any(len(series) for series in block.values())
    return missing, is_empty


def _manifest(measured: Measured) -> bytes:
    clock = measured.clock
    told = {
        "duration_s": measured.duration_s,
        "clock": {"time_base": str(clock.time_base), "origin_s": str(clock.origin_s)} if clock else None,
        "missing": [asdict(m) for m in measured.missing],
        "facts": measured.facts,
    }
    return json.dumps(told, indent=1).encode()
