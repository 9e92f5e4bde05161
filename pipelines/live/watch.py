"""The main path of a live stream: a chunk goes in, what is new about its findings comes out. Knows blobs, no topic.

Everything needed to go on lies in the store when `take` returns, so any replica may take the next chunk.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from pipelines.encode import seen_series
from pipelines.findings import settings_digest
from pipelines.interfaces import Blobs, UnreadableVideo
from pipelines.limits import STANDARD, Limits
from pipelines.live.chunks import Chunk
from pipelines.live.cutting import BACK_S, FORTH_S
from pipelines.live.decoding import LEAD_S, Axis, Piece, decode, listen
from pipelines.live.keeping import Keeper
from pipelines.live.panel import USUAL, Asked, LiveSettings, Panel
from pipelines.live.rolling import Change
from pipelines.live.state import MOST_RUNS, Gap, Kept, Run, State, plain
from pipelines.live.window import LIVE_BLOCK_S, Block
from pipelines.measure import Gather
from pipelines.profiles import Wanted
from pipelines.segments import LOST_S
from pipelines.series import OVERLAP_S, Missing
from pipelines.signals.pictures import measure_pictures
from pipelines.spots import Spot
from pipelines.tasks.anomalies import Normal
from pipelines.watching import Senses

logger = logging.getLogger(__name__)
SOUND_LAG_S = 2.0  # sound that is further behind the pictures than this has ended
ANEW = "the source began its clock anew; what follows is laid on the next whole second"
MOST_LOST = 1000  # chunks of one gap that are remembered, should they come after all


class LiveWatch:
    """Watches one stream. One thread at a time. wanted: of its tasks ads and anomalies are judged live."""

    def __init__(
        self,
        stream: str,
        wanted: Wanted,
        blobs: Blobs,
        senses: Senses = Senses(),
        settings: LiveSettings = USUAL,
        *,
        normal: Normal | None = None,
        spots: tuple[Spot, ...] = (),
        limits: Limits = STANDARD,
    ) -> None:
        self.stream, self.senses, self.settings, self.limits = stream, senses, settings, limits
        self.plan = senses.plan(replace(wanted.plan, cutter=None))
        self.told_settings = wanted.settings() | senses.settings() | {"live": settings.settings()}
        self.digest = settings_digest(self.told_settings)
        self.asked = Asked(stream=stream, digest=self.digest, wanted=wanted, senses=senses, settings=settings, normal=normal, spots=spots)
        self.keeper = Keeper(blobs, f"live/{hashlib.sha256(stream.encode()).hexdigest()[:32]}/{self.digest}")
        self._begin_from(State(generation=-1))

    def _begin_from(self, state: State) -> None:
        """What is in memory is made of what was stored."""
        self.state = state
        self.panel = Panel(self.asked, self.keeper, state)
        self.gather = Gather(self.plan, LIVE_BLOCK_S)

    # -- chunks ---------------------------------------------------------------------------------------------------------------

    def take(self, chunk: Chunk) -> list[Change]:
        """What is new about the stream's findings with this chunk. Taken twice in a row it answers the same.

        Raises StoreUnavailable where the store does not answer, or another replica went on meanwhile; then take it again.
        """
        self._refresh()
        here = (chunk.run, chunk.sequence)
        return self.state.outbox[2] if here == self.state.outbox[:2] else self._saved(here, lambda: self._taken(chunk))

    def end(self) -> list[Change]:
        """The source has been silent for too long: everything open is ended. A chunk that comes later goes on with the stream."""
        self._refresh()
        if self.state.run is None or self.state.ended:
            return []
        return self._saved(self.state.outbox[:2], lambda: self._flush() + self._finish())

    def _saved(self, here: tuple[str, int], work: Callable[[], list[Change]]) -> list[Change]:
        try:
            changes = [Change(c.type, c.revision, plain(c.finding)) for c in work()]
            self.panel.keep_sealed(changes)
            self.state.outbox = (*here, changes)
            self.keeper.save(self.state)
        except BaseException:
            self.keeper.forget()  # what is in memory is half done: the next call reads what was stored
            self._begin_from(State(generation=-1))
            raise
        return changes

    def _taken(self, chunk: Chunk) -> list[Change]:
        state = self.state
        state.source = chunk.source or state.source
        run = state.run
        if run is None or run.name != chunk.run:
            if any(r.name == chunk.run for r in state.runs):
                return self._late(chunk)
            changes = self._flush() if run else []
            self._begin(chunk.run, chunk.sequence if chunk.sequence > self.settings.reorder else 0, ANEW)
            return changes + self._queue(chunk)
        if chunk.sequence < run.sequence:
            return self._late(chunk)
        if chunk.sequence in state.pending:
            state.counts["duplicate"] += 1
            return []
        return self._queue(chunk)

    def _late(self, chunk: Chunk) -> list[Change]:
        """Seen before, or given up for lost."""
        gap = next((g for g in self.state.gaps if g.run == chunk.run and chunk.sequence in g.lost), None)
        if gap is None:
            self.state.counts["duplicate"] += 1
            return []
        gap.late += 1
        gap.lost.remove(chunk.sequence)
        self.state.counts["late"] += 1
        return self.panel.judged_line()

    def _queue(self, chunk: Chunk) -> list[Change]:
        """Put it in its place; go on as far as the order is known."""
        state, changes = self.state, []
        assert state.run is not None
        state.counts["reordered"] += bool(state.pending and chunk.sequence < min(state.pending))
        self.keeper.keep(chunk)
        state.pending[chunk.sequence] = replace(chunk, data=b"")
        changes += self._go_on()
        while state.pending and (len(state.pending) > self.settings.reorder or any(c.is_last for c in state.pending.values())):
            self._give_up(min(state.pending))
            changes += self._go_on()
        return changes

    def _go_on(self) -> list[Change]:
        changes: list[Change] = []
        state = self.state
        while state.run is not None and (chunk := state.pending.pop(state.run.sequence, None)) is not None:
            state.run.sequence += 1
            changes += self._next(replace(chunk, data=self.keeper.media(chunk)))
        return changes

    def _give_up(self, until: int) -> None:
        """The chunks before `until` will not come."""
        run = self.state.run
        assert run is not None
        first, run.sequence = run.sequence, until
        count = until - first
        if count:
            self.state.counts["lost"] += count
            lost = list(range(max(first, until - MOST_LOST), until))
            self._miss(lost, f"{count} chunk{'s' * (count > 1)} of the stream did not arrive")

    def _miss(self, lost: list[int], cause: str) -> None:
        run = self.state.run
        assert run is not None
        hole = self.state.hole or Gap("gap", run.reached_s, run.reached_s, cause, run=run.name, wall=(run.last_wall, ""))
        causes = dict.fromkeys([*hole.cause.split("; "), cause])
        self.state.hole = replace_gap(hole, lost=[*hole.lost, *lost], cause="; ".join(causes))

    def _next(self, chunk: Chunk) -> list[Change]:
        """The next chunk of the run, in order."""
        state = self.state
        assert state.run is not None
        if not chunk.data:
            self.keeper.release(chunk)
            return self._finish() if chunk.is_last else []
        state.counts["chunks"] += 1
        state.counts["bytes"] += len(chunk.data)
        if state.ended:
            self._begin(chunk.run, chunk.sequence + 1, "the stream had ended and goes on; that is laid on the next whole second")
            chunk, state.ended = replace(chunk, origin_us=None), False
        try:
            piece = self._decoded(chunk)
        except UnreadableVideo as error:
            logger.warning("chunk lost stream=%s sequence=%d reason=%s", self.stream, chunk.sequence, error)
            state.counts["damaged"] += 1
            self._miss([], f"a chunk cannot be decoded: {error}")
            assert state.hole is not None
            state.hole.end_s = max(state.hole.end_s, state.run.reached_s) + chunk.duration_s
            self.keeper.release(chunk)
            return self._finish() if chunk.is_last else []
        changes = self._placed(chunk, piece)
        return changes + (self._finish() if chunk.is_last else [])

    def _decoded(self, chunk: Chunk) -> Piece:
        run, state = self.state.run, self.state
        assert run is not None
        origin, near = run.origin, None
        if origin is None and chunk.origin_us is not None:
            origin = Fraction(chunk.origin_us, 1_000_000) - Fraction(run.start_s)
            near = chunk.start_tick * chunk.time_base
        elif origin is not None:
            near = origin + Fraction(run.reached_s)
        lead = state.pieces[-1].chunk if state.pieces and state.hole is None else None
        before = self.keeper.media(lead) if lead and (lead.run, lead.sequence + 1) == (chunk.run, chunk.sequence) else b""
        piece = decode(chunk.data, before, Axis(origin, near), self.plan, self.gather.jumps, self.limits, facts=not state.facts)
        if origin is None:  # the piece counts from its own beginning: lay that where the run begins
            origin = piece.origin - Fraction(run.start_s)
            piece = decode(chunk.data, before, Axis(origin, None), self.plan, self.gather.jumps, self.limits, facts=not state.facts)
        return piece

    def _placed(self, chunk: Chunk, piece: Piece) -> list[Change]:
        """Lay a piece behind what is there, and measure and judge what it completes."""
        state, run = self.state, self.state.run
        assert run is not None
        if not run.reached_s - BACK_S <= piece.start_s <= run.reached_s + FORTH_S:
            changes = self._close() if run.origin is not None else []
            if run.origin is not None:  # the clock began anew, though the producer did not say so
                self._begin(chunk.run, chunk.sequence + 1, ANEW)
            return changes + self._placed(chunk, self._decoded(replace(chunk, origin_us=None)))
        run.origin, run.time_base = piece.origin, piece.time_base or run.time_base
        state.facts = state.facts or piece.facts
        self._note_gap(piece.start_s, chunk.wall_clock)
        for hole in piece.missing:
            self._add_gap(Gap("gap", hole.start_s, hole.end_s, hole.reason, run=run.name, wall=(chunk.wall_clock, chunk.wall_clock)))
        self._gathered(piece)
        state.pieces.append(Kept(replace(chunk, data=b""), piece.start_s, piece.end_s))
        run.reached_s, run.last_wall = max(run.reached_s, piece.end_s), chunk.wall_clock
        run.heard_s = max(run.heard_s or 0.0, piece.sound_end_s) if piece.sound_end_s is not None else run.heard_s
        heard_s = run.reached_s if run.heard_s is None else max(run.heard_s, run.reached_s - SOUND_LAG_S)
        return self._measured(min(run.reached_s, heard_s) - OVERLAP_S)

    def _gathered(self, piece: Piece) -> None:
        """Take the pictures that are new; of two chunks that overlap the first counts."""
        last_s = self.gather.frames[-1][0] if self.gather.frames else -1.0
        self.gather.frames += [f for f in piece.frames if f[0] > last_s]
        for name, rows in piece.samples.items():
            known = self.gather.samples[name]
            last = known[-1][0] if known else -1.0
            known += [row for row in rows if row[0] > last]
        if piece.jumps is not None:
            self.gather.jumps = piece.jumps

    # -- runs and gaps --------------------------------------------------------------------------------------------------------

    def _begin(self, name: str, first: int, cause: str) -> None:
        """A clock begins, on the next whole second of the line: how long nothing was aired between two clocks, no clock tells."""
        state = self.state
        end_s = state.run.reached_s if state.run else 0.0
        start_s = float(ceil(end_s - 1e-6))
        if state.run is not None:
            state.counts["runs"] += 1
            wall = (state.run.last_wall, "")
            self._add_gap(Gap("discontinuity", end_s, max(start_s, end_s + 0.001), cause, run=name, wall=wall))
        state.runs = [*state.runs[-MOST_RUNS:], Run(name, start_s, sequence=first, reached_s=start_s, block=floor(start_s / LIVE_BLOCK_S))]
        state.pieces, self.gather = [], Gather(self.plan, LIVE_BLOCK_S)

    def _note_gap(self, start_s: float, wall: str) -> None:
        """What is missing before a piece that begins at `start_s`."""
        state, run = self.state, self.state.run
        assert run is not None
        hole, state.hole = state.hole, None
        if start_s - run.reached_s < (1e-3 if hole else LOST_S):
            return
        hole = hole or Gap("gap", run.reached_s, start_s, "the source sent nothing", run=run.name, wall=(run.last_wall, ""))
        self._add_gap(replace_gap(hole, start_s=run.reached_s, end_s=start_s, wall=(hole.wall[0], wall)))

    def _add_gap(self, gap: Gap) -> None:
        self.state.gaps.append(gap)
        self.state.missed_s += gap.end_s - gap.start_s
        self.panel.newest.missing.append(Missing(gap.start_s, gap.end_s, gap.cause))

    def _flush(self) -> list[Change]:
        """The run is over: what still waits is put in its place, and all of it measured."""
        changes: list[Change] = []
        while self.state.pending:
            self._give_up(min(self.state.pending))
            changes += self._go_on()
        return changes + self._close()

    def _close(self) -> list[Change]:
        state, run = self.state, self.state.run
        assert run is not None
        hole, state.hole = state.hole, None
        changes = self._measured(run.reached_s, is_over=True)
        if hole is not None and hole.end_s > run.reached_s:
            self._add_gap(replace_gap(hole, start_s=run.reached_s))
            run.reached_s = hole.end_s
        return changes

    def _finish(self) -> list[Change]:
        """The stream is over: everything is judged once more and ended."""
        changes = self._close() + self.panel.judged(again=True)
        for task in self.state.rolling.values():
            changes += task.seal(float("inf"))
        self.state.ended = True
        return changes

    # -- measuring and judging ------------------------------------------------------------------------------------------------

    def _measured(self, until_s: float, *, is_over: bool = False) -> list[Change]:
        """Measure every block that lies before `until_s` whole, or all that is there, and judge."""
        run = self.state.run
        assert run is not None
        made = 0
        while run.block * LIVE_BLOCK_S < until_s if is_over else (run.block + 1) * LIVE_BLOCK_S <= until_s + 1e-6:
            if self._is_bare(run.block):
                run.block = max(run.block + 1, floor(min((k.start_s for k in self._near(run.block)), default=0.0) / LIVE_BLOCK_S))
                continue
            self.panel.add(self._block(run, run.block))
            run.block += 1
            made += 1
        self._forget_pieces()
        return self.panel.judged() if made else self.panel.judged_line()

    def _near(self, block: int) -> list[Kept]:
        """The chunks that lie in the block or behind it."""
        return [k for k in self.state.pieces if k.end_s > block * LIVE_BLOCK_S]

    def _is_bare(self, block: int) -> bool:
        return not any(k.start_s < (block + 1) * LIVE_BLOCK_S for k in self._near(block))

    def _block(self, run: Run, number: int) -> Block:
        start_s, end_s = number * LIVE_BLOCK_S, (number + 1) * LIVE_BLOCK_S
        series = measure_pictures(self.gather.block(number)) if run.time_base is not None else {}
        pictures = series.pop("eyes", None)
        if pictures is not None and len(pictures) and self.senses.encoder is not None:
            series |= seen_series(self.senses.encoder, pictures)
        if run.heard_s is not None:
            around = [k for k in self.state.pieces if k.end_s > start_s - LEAD_S and k.start_s < end_s + OVERLAP_S]
            try:
                assert run.origin is not None
                axis = Axis(run.origin, run.origin + Fraction(around[0].start_s))
                series |= listen(b"".join(self.keeper.media(k.chunk) for k in around), (start_s, end_s), axis, self.limits)
            except UnreadableVideo as error:
                self._add_gap(Gap("gap", max(start_s, run.start_s), min(end_s, run.reached_s), f"sound: {error}", run=run.name))
        made = self.state.blocks_made
        self.state.blocks_made += 1
        return Block(made, max(start_s, run.start_s), max(min(end_s, run.reached_s), start_s + 1e-3), series)

    # -- the store ------------------------------------------------------------------------------------------------------------

    def _forget_pieces(self) -> None:
        """Chunks that no block to come will ask for; the last one may be the lead of the next."""
        state, run = self.state, self.state.run
        assert run is not None
        needed_s = run.block * LIVE_BLOCK_S - LEAD_S
        for kept in state.pieces[:-1]:
            if kept.end_s <= needed_s:
                self.keeper.release(kept.chunk)
        state.pieces = [k for k in state.pieces[:-1] if k.end_s > needed_s] + state.pieces[-1:]

    def _refresh(self) -> None:
        """Go on from what is stored, where that is not what is in memory."""
        state = self.keeper.load(self.state.generation)
        if state is None:
            return
        self._begin_from(state)
        run = state.run
        if run is None or run.origin is None:
            return
        for kept in state.pieces:
            axis = Axis(run.origin, run.origin + Fraction(kept.start_s))
            self._gathered(decode(self.keeper.media(kept.chunk), b"", axis, self.plan, self.gather.jumps, self.limits, facts=False))


def replace_gap(gap: Gap, **changed: object) -> Gap:
    return replace(gap, **changed)  # type: ignore[arg-type]
