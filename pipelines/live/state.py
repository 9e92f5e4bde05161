"""What a watched stream must remember to go on elsewhere, as JSON and back. Decodes nothing, judges nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

from model.video import Clock
from pipelines.exports.report_json import finding_from_json, finding_to_json
from pipelines.findings import Finding
from pipelines.live.chunks import Chunk
from pipelines.live.rolling import Change, Rolling, Told
from pipelines.series import Missing

COUNTS = ("chunks", "bytes", "duplicate", "late", "lost", "damaged", "reordered", "runs")
MOST_RUNS = 200  # remembered, so that a chunk of one that is over is known to be late


@dataclass(slots=True)
class Run:
    """One unbroken clock on the stream's line. start_s: where it begins there; origin: 0 s of the stream on the container's axis.

    sequence: the chunk expected next. reached_s, heard_s: until where pictures (sound) are there. block: the next to be measured.
    """

    name: str
    start_s: float
    origin: Fraction | None = None
    time_base: Fraction | None = None
    sequence: int = 0
    reached_s: float = 0.0
    heard_s: float | None = None
    block: int = 0
    last_wall: str = ""

    @property
    def clock(self) -> Clock | None:
        return Clock(self.time_base, self.origin) if self.time_base is not None and self.origin is not None else None


@dataclass(slots=True)
class Kept:
    """A chunk whose bytes are still needed, and where it lies on the stream."""

    chunk: Chunk
    start_s: float
    end_s: float


@dataclass(slots=True)
class Gap:
    """A stretch that was aired and not seen. kind: gap | discontinuity; lost: chunks; late: how many of them came after all."""

    kind: str
    start_s: float
    end_s: float
    cause: str
    lost: list[int] = field(default_factory=list)
    run: str = ""
    late: int = 0
    wall: tuple[str, str] = ("", "")  # of the chunks before and behind


@dataclass(slots=True)
class State:
    """Of one stream. generation: counts what was saved. hole: chunks that are missing where the next one will be put."""

    generation: int = 0
    source: str = ""
    runs: list[Run] = field(default_factory=list)
    hole: Gap | None = None
    pending: dict[int, Chunk] = field(default_factory=dict)
    pieces: list[Kept] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    rolling: dict[str, Rolling] = field(default_factory=dict)
    outbox: tuple[str, int, list[Change]] = ("", -1, [])
    blocks: list[tuple[int, float, float]] = field(default_factory=list)  # of the window: number, from, until
    blocks_made: int = 0
    snapshot: int = 0  # block from which on the camera's pictures are kept: those before are in the snapshot
    sealed: int = 0  # batches of sealed findings
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    missed_s: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    ended: bool = False

    @property
    def run(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    @property
    def missing(self) -> tuple[Missing, ...]:
        return tuple(Missing(g.start_s, g.end_s, g.cause) for g in self.gaps)


def to_bytes(state: State) -> bytes:
    """Without the chunks' own bytes, which lie beside it."""
    told = {
        **{name: getattr(state, name) for name in PLAIN},
        "runs": [_plain_run(run) for run in state.runs],
        "hole": asdict(state.hole) if state.hole else None,
        "pending": [_chunk(chunk) for chunk in state.pending.values()],
        "pieces": [{"chunk": _chunk(k.chunk), "start_s": k.start_s, "end_s": k.end_s} for k in state.pieces],
        "gaps": [asdict(gap) for gap in state.gaps],
        "rolling": {task: _rolling(rolling) for task, rolling in state.rolling.items()},
        "outbox": [*state.outbox[:2], [_change(change) for change in state.outbox[2]]],
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


PLAIN = ("generation", "source", "blocks", "blocks_made", "snapshot", "sealed", "counts", "missed_s", "facts", "ended")


def from_bytes(data: bytes) -> State:
    told = json.loads(data)
    run, sequence, changes = told["outbox"]
    return State(
        **{name: told[name] for name in PLAIN if name != "blocks"},
        blocks=[(number, start_s, end_s) for number, start_s, end_s in told["blocks"]],
        runs=[_read_run(row) for row in told["runs"]],
        hole=_read_gap(told["hole"]) if told["hole"] else None,
        pending={row["sequence"]: _read_chunk(row) for row in told["pending"]},
        pieces=[Kept(_read_chunk(row["chunk"]), row["start_s"], row["end_s"]) for row in told["pieces"]],
        gaps=[_read_gap(row) for row in told["gaps"]],
        rolling={task: _read_rolling(row) for task, row in told["rolling"].items()},
        outbox=(run, sequence, [Change(c["type"], c["revision"], finding_from_json(c["finding"])) for c in changes]),
    )


def findings_to_bytes(changes: list[Change]) -> bytes:
    return json.dumps([_change(change) for change in changes], ensure_ascii=False).encode()


def findings_from_bytes(data: bytes) -> list[Finding]:
    """With what is counted as a person's revision left at 0: nobody corrected them."""
    return [finding_from_json(row["finding"]) for row in json.loads(data)]


def plain(finding: Finding) -> Finding:
    """As it is after it was stored, so that telling it twice says the same."""
    return finding_from_json(json.loads(json.dumps(finding_to_json(finding))))


def _change(change: Change) -> dict[str, Any]:
    return {"type": change.type, "revision": change.revision, "finding": finding_to_json(change.finding)}


def _rolling(rolling: Rolling) -> dict[str, Any]:
    opened = [
        {"finding": finding_to_json(t.finding), "revision": t.revision, "is_open": t.is_open, "absent": t.absent} for t in rolling.open
    ]
    return {**{n: getattr(rolling, n) for n in ("task", "stream", "digest", "counts", "ended")}, "open": opened}


def _read_rolling(row: Mapping[str, Any]) -> Rolling:
    opened = [Told(finding_from_json(t["finding"]), t["revision"], t["is_open"], t["absent"]) for t in row["open"]]
    ended = [(group, start_s, end_s) for group, start_s, end_s in row["ended"]]
    return Rolling(row["task"], row["stream"], row["digest"], opened, dict(row["counts"]), ended)


def _plain_run(run: Run) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Fraction) else v for k, v in asdict(run).items()}


def _read_run(row: Mapping[str, Any]) -> Run:
    made: dict[str, Any] = {k: Fraction(v) if k in ("origin", "time_base") and v is not None else v for k, v in row.items()}
    return Run(**made)


def _read_gap(row: Mapping[str, Any]) -> Gap:
    return Gap(**{**row, "wall": tuple(row["wall"])})


def _chunk(chunk: Chunk) -> dict[str, Any]:
    return asdict(replace(chunk, data=b"")) | {"data": "", "time_base": str(chunk.time_base)}


def _read_chunk(row: Mapping[str, Any]) -> Chunk:
    return Chunk(**{**row, "data": b"", "time_base": Fraction(row["time_base"])})
