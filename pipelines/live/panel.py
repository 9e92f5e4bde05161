"""All who judge one stream, over the newest stretch of it, and what they said before. Decodes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from model.video import Clock, TimeSpan
from pipelines.findings import Finding
from pipelines.live.judging import FAULTS, Ads, Camera, find_faults, moved
from pipelines.live.keeping import Keeper
from pipelines.live.rolling import Change, Rolling
from pipelines.live.state import Gap, State, findings_to_bytes, plain
from pipelines.live.window import Block, Newest
from pipelines.profiles import Wanted
from pipelines.series import pack, unpack
from pipelines.spots import Spot
from pipelines.tasks.anomalies import Normal
from pipelines.watching import Senses

LIVE_VERSION = "1"  # raise it whenever the same chunks would be told of otherwise
LINE = "stream"  # the task that tells of what was not received
SNAPSHOT_BLOCKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """How a stream is judged. window_s: of it, again and again. settle_s: how long what has ended may still be refined, per task.
    reorder: chunks that wait for one that is missing. fault_s: the stretch in which faults of the line are looked for."""

    window_s: float = 900.0
    settle_s: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"ads": 300.0, "anomalies": 120.0, FAULTS: 30.0, LINE: 60.0})
    )
    reorder: int = 4
    fault_s: float = 120.0

    def __post_init__(self) -> None:
        if max(self.settle_s.values()) >= self.window_s or self.fault_s > self.window_s:
            raise ValueError(f"what may still be refined must lie in the window of {self.window_s:g} s")

    def settings(self) -> dict[str, object]:
        return {"version": LIVE_VERSION, "window_s": self.window_s, "settle_s": dict(self.settle_s), "reorder": self.reorder}


USUAL = LiveSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one stream is watched for. digest: of everything that changes the answer; spots: that have a name."""

    stream: str
    digest: str
    wanted: Wanted
    senses: Senses
    settings: LiveSettings
    normal: Normal | None = None
    spots: tuple[Spot, ...] = ()


class Panel:
    """Judges blocks as they come. What it remembers lies in `state` and in the store."""

    def __init__(self, asked: Asked, keeper: Keeper, state: State) -> None:
        self.asked, self.keeper, self.state, self.settings = asked, keeper, state, asked.settings
        encoder = asked.senses.encoder
        self.newest = Newest(keeper.blobs, self.settings.window_s, encoder is not None, encoder.class_names if encoder else ())
        self.ads = Ads(asked.wanted, asked.spots) if "ads" in asked.wanted.tasks else None
        self.camera = Camera(asked.wanted, asked.normal) if "anomalies" in asked.wanted.tasks else None
        self._remember()

    def _remember(self) -> None:
        """Fill the memory from the store, as it was when the state was saved."""
        state = self.state
        for number, start_s, end_s in state.blocks:
            self.newest.add(Block(number, start_s, end_s, unpack(self.keeper.get("blocks", number))))
        self.newest.missing = list(state.missing)
        if self.camera is not None:
            if state.snapshot:
                self.camera.restore(self.keeper.get("camera", state.snapshot))
            for block in [b for b in self.newest.parts if b.number >= state.snapshot and "frame.luma" in b.series]:
                grey = unpack(self.keeper.get("grey", block.number))
                self.camera.see(replace(block, series={**block.series, **grey}), self.newest)
        if self.newest.parts:
            self.newest.find_shots_anew()

    def add(self, block: Block) -> None:
        """Take the next block, and let the oldest go."""
        grey = block.series.get("grey")
        if self.camera is not None and grey is not None:  # beside `frame.luma`, always
            self.camera.see(block, self.newest)
            self.keeper.put("grey", block.number, pack({"grey": grey}))
        slim = replace(block, series={name: s for name, s in block.series.items() if name != "grey"})
        self.keeper.put("blocks", block.number, pack(slim.series))
        gone = self.newest.add(slim)
        for left in gone:
            self.keeper.drop("blocks", left.number)
        self.state.blocks = [(b.number, b.start_s, b.end_s) for b in self.newest.parts]
        if self.camera is not None and block.number - self.state.snapshot >= SNAPSHOT_BLOCKS:
            self.keeper.put("camera", block.number + 1, self.camera.to_bytes())
            for number in range(self.state.snapshot, block.number + 1):
                self.keeper.drop("grey", number)
            self.keeper.drop("camera", self.state.snapshot)
            self.state.snapshot = block.number + 1

    def judged(self, *, again: bool = False) -> list[Change]:
        if not self.newest.parts:
            return self.judged_line()
        newest, view = self.newest, TimeSpan(self.newest.start_s, self.newest.end_s)
        shots = newest.find_shots()
        changes = self.judged_line()
        tail = newest.last(self.settings.fault_s)
        changes += self._follow(FAULTS, [moved(f, tail.start_s) for f in find_faults(tail)], TimeSpan(tail.start_s, view.end_s))
        if self.ads is not None:
            changes += self._follow("ads", self.ads.judge(newest, shots, again=again), view)
        if self.camera is not None:
            changes += self._follow("anomalies", self.camera.judge(newest, shots), view)
        return changes

    def judged_line(self) -> list[Change]:
        """What was not received."""
        run = self.state.run
        end_s = max(self.newest.end_s, run.reached_s if run else 0.0, *(g.end_s for g in self.state.gaps), 1e-3)
        view = TimeSpan(max(0.0, end_s - self.settings.window_s), end_s)
        self.state.gaps = [g for g in self.state.gaps if g.end_s > view.start_s]
        return self._follow(LINE, [_told_gap(g) for g in self.state.gaps], view)

    def _follow(self, task: str, found: list[Finding], view: TimeSpan) -> list[Change]:
        rolling = self.state.rolling.setdefault(task, Rolling(task, self.asked.stream, self.asked.digest))
        return rolling.follow([self._snapped(f) for f in found], view, self.settings.settle_s[task])

    def _snapped(self, finding: Finding) -> Finding:
        """On the ticks of the pictures' own clock, whatever stretch was judged."""
        clock = self.clock_at(finding.span.start_s)
        if clock is None:
            return plain(finding)
        first, last = clock.tick(finding.span.start_s), clock.tick(finding.span.end_s)
        start_s = max(0.0, clock.seconds(first))
        return plain(replace(finding, span=TimeSpan(start_s, max(clock.seconds(last), start_s + 1e-6)), ticks=(first, last)))

    def clock_at(self, seconds: float) -> Clock | None:
        """The clock whose ticks count there."""
        run = next((r for r in reversed(self.state.runs) if r.start_s <= seconds + 1e-3), self.state.run)
        return run.clock if run else None

    def keep_sealed(self, changes: list[Change]) -> None:
        """What will not change any more, for the report at the end."""
        done = [c for c in changes if c.type == "end" and c.finding.state == "found"]
        if done:
            self.keeper.put("sealed", self.state.sealed, findings_to_bytes(done))
            self.state.sealed += 1


def _told_gap(gap: Gap) -> Finding:
    span = TimeSpan(gap.start_s, gap.end_s)
    late = f", {gap.late} of them came too late" if gap.late else ""
    data = {"lost": len(gap.lost) + gap.late, "late": gap.late, "wall_clock": list(gap.wall)}
    return Finding(LINE, gap.kind, span, 1.0, f"{gap.cause}{late}", f"{span.duration_s:.1f} s were not seen: {gap.cause}{late}.", data=data)
