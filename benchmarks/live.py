"""Live streams at real-time speed through the broker in memory: how late findings are, what a stream costs, how many a core carries.

    python -m benchmarks.live                                  # 320x180 at 25 fps, broadcast: ads, anomalies and faults
    python -m benchmarks.live --streams 1 4 8 --seconds 60     # other numbers of streams

Process and decoders are held to one core. Every stream has had a quarter of an hour before, so that its window is full; streams are
shifted against each other. Latency: from the moment the completing chunk lies on longtake.streams (the chunk with which a finding is
first decided) to the moment the finding lies on longtake.findings, both by the broker's clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from pipelines.containers import opened
from pipelines.evaluation.broadcast import make_broadcast
from pipelines.limits import computed_s
from pipelines.live.chunks import Chunk
from pipelines.live.cutting import Feed, cut
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.ledger import Ledger
from pipelines.watching import Senses, Store
from services.ingest.live import Live
from services.ingest.streams import chunk_record
from services.messages import FindingEvent, ce_type
from services.models import open_senses
from services.stages import FINDINGS, STREAM_STATUS, STREAMS
from services.topics.memory import Limits, MemoryTopics
from services.worker import Rules, Worker, group_of


@dataclass(frozen=True)
class Outcome:
    """latency_s: of each finding told; chunk_s: from a chunk on its topic until it was done; lag: chunks that waited at the end."""

    latency_s: np.ndarray
    chunk_s: np.ndarray
    cpu_share: float
    lag: int


def film_of(folder: Path, minutes: float) -> Path:
    path = folder / f"live-{minutes:g}.mp4"
    if not path.exists():
        make_broadcast(path, "classic", seed=1, minutes=minutes, fps=25, size=(320, 180))
    return path


def cpu_s() -> float:
    """Of this process and its decoders."""
    children = [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    return computed_s(os.getpid()) + sum(computed_s(pid) for pid in children)


def warmed(root: Path, chunks: Sequence[Chunk], senses: Senses) -> Path:
    """A store in which stream-0 has been watched before."""
    watch = Live(Store(FolderBlobs(root), None), senses)._watch("stream-0", "broadcast")  # type: ignore[arg-type]
    for chunk in chunks:
        watch.take(replace(chunk, stream="stream-0"))
    return root


def copied(warm: Path, root: Path, streams: int, senses: Senses) -> None:
    """The same past for every stream, under its own name."""
    shutil.rmtree(root, ignore_errors=True)
    blobs = Store(FolderBlobs(root), None)  # type: ignore[arg-type]
    live = Live(blobs, senses)
    first = live._watch("stream-0", "broadcast").keeper.prefix
    for number in range(streams):
        prefix = live._watch(f"stream-{number}", "broadcast").keeper.prefix
        shutil.copytree(warm / first, root / prefix)
        for path in (root / prefix / "state").iterdir():
            path.write_bytes(path.read_bytes().replace(b'"stream-0"', f'"stream-{number}"'.encode()))


def cost(root: Path, chunks: Sequence[Chunk], senses: Senses) -> float:
    """CPU seconds that a second of one stream takes, without waiting for real time."""
    watch = Live(Store(FolderBlobs(root), None), senses)._watch("stream-0", "broadcast")  # type: ignore[arg-type]
    watch.take(replace(chunks[0], stream="stream-0"))  # reads the past
    before = cpu_s()
    for chunk in chunks[1:]:
        watch.take(replace(chunk, stream="stream-0"))
    return (cpu_s() - before) / sum(chunk.duration_s for chunk in chunks[1:])


def run(root: Path, chunks: Sequence[Chunk], streams: int, seconds: float, senses: Senses) -> Outcome:
    topics = MemoryTopics(Limits(), {STREAMS: 4 << 20})
    topics.ensure({STREAMS: 64, FINDINGS: 4, STREAM_STATUS: 1})
    results = DatabaseResults(f"sqlite:///{root}/findings.db")
    live = Live(Store(FolderBlobs(root), results), senses)
    live.silent_s = 1e9
    for number in range(streams):
        live._seat(f"stream-{number}", "broadcast").watch._refresh()  # reading the past is no part of the load
    worker = Worker([live], topics, Ledger(results), Rules(slots=1))
    thread = threading.Thread(target=worker.run)
    thread.start()
    began, cpu, put = time.monotonic(), cpu_s(), dict[str, int]()
    due = sorted((_end_s(c) - _end_s(chunks[0]) + shift(n, streams, chunks), n, c) for n in range(streams) for c in chunks)
    for at_s, number, chunk in due:
        if at_s > seconds:
            break
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        record = chunk_record(replace(chunk, stream=f"stream-{number}"), None)
        put[trace := f"{number}-{chunk.sequence}"] = time.time_ns() // 1_000_000
        topics.put(STREAMS, [replace(record, headers={**record.headers, "traceparent": trace})])
    share, lag = (cpu_s() - cpu) / (time.monotonic() - began), topics.lag([STREAMS], group_of("live"))
    while topics.lag([STREAMS], group_of("live")):
        time.sleep(0.1)
    worker.stop()
    thread.join()
    told = {kind: _latencies(topics, kind, put) for kind in (FINDINGS, STREAM_STATUS)}
    return Outcome(told[FINDINGS], told[STREAM_STATUS], share, lag)


def shift(number: int, streams: int, chunks: Sequence[Chunk]) -> float:
    return number / streams * chunks[0].duration_s


def _end_s(chunk: Chunk) -> float:
    return float(chunk.end_tick * chunk.time_base)


def _latencies(topics: MemoryTopics, topic: str, put: dict[str, int]) -> np.ndarray:
    """Seconds from the chunk to what was said of it, in order."""
    rows = [d for d in topics.scan(topic) if topic != FINDINGS or d.record.headers.get("ce_type") == ce_type(FindingEvent)]
    return np.array([(d.timestamp_ms - put[d.record.headers["traceparent"]]) / 1000 for d in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--past", type=float, default=900.0, help="seconds that every stream has had before")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--eyes", action="store_true", help="with the trained eyes")
    parser.add_argument("--films", type=Path, default=Path(tempfile.gettempdir()) / "longtake-benchmark-films")
    wanted = parser.parse_args()
    wanted.films.mkdir(parents=True, exist_ok=True)
    film = film_of(wanted.films, 20)
    os.sched_setaffinity(0, {wanted.core})
    print(machine())
    runs = count()
    with opened(film) as container:
        chunks = list(cut(container, Feed("s", lambda: f"run {next(runs)}", lambda: "")))
    past = [c for c in chunks if _end_s(c) <= wanted.past]
    senses = open_senses(("cpu",)) if wanted.eyes else Senses()
    print(f"chunks of {np.median([c.duration_s for c in chunks]):.1f} s, {np.mean([len(c.data) for c in chunks]) / 1e3:.0f} kB")
    with tempfile.TemporaryDirectory(prefix="longtake-live-") as scratch:
        before, began = cpu_s(), time.monotonic()
        warm = warmed(Path(scratch) / "past", past, senses)
        print(f"the past: {wanted.past:.0f} s of stream took {cpu_s() - before:.0f} CPU s, {time.monotonic() - began:.0f} s of clock")
        copied(warm, Path(scratch) / "run", 1, senses)
        share = cost(Path(scratch) / "run", [c for c in chunks[len(past) :] if _end_s(c) <= wanted.past + wanted.seconds], senses)
        print(f"from then on a second of a stream takes {share:.3f} CPU s: a core has time for {1 / share:.1f} streams", flush=True)
        print(
            f"{'streams':>8} {'CPU share':>10} {'per stream':>11} {'findings':>9} {'median s':>9} {'p95 s':>7} {'max s':>7} {'waiting':>8}"
        )
        for streams in wanted.streams:
            copied(warm, Path(scratch) / "run", streams, senses)
            got = run(Path(scratch) / "run", chunks[len(past) :], streams, wanted.seconds, senses)
            late = got.latency_s if len(got.latency_s) else np.array([np.nan])
            print(
                f"{streams:8} {got.cpu_share:10.2f} {got.cpu_share / streams:11.3f} {len(got.latency_s):9} {np.median(late):9.2f} "
                f"{np.quantile(late, 0.95):7.2f} {late.max():7.2f} {got.lag:8}", flush=True
            )  # fmt: skip


if __name__ == "__main__":
    main()
