"""How far a stream and its file agree: findings side by side, and every series value by value.

python -m benchmarks.live_equal film.mp4 --profile broadcast
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

import numpy as np

from pipelines.containers import opened
from pipelines.findings import Finding
from pipelines.judge import Case, judge
from pipelines.live.cutting import Feed, cut
from pipelines.live.report import report_of
from pipelines.live.watch import LiveWatch
from pipelines.profiles import wanted
from pipelines.signals.shots import find_shots
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Run, Senses, Store, identify, measure


def told(where: str, findings: list[Finding]) -> None:
    for f in sorted(findings, key=lambda f: (f.task, f.kind, f.span)):
        print(f"{where:5} {f.task:10} {f.kind:10} {f.span.start_s:10.3f} {f.span.end_s:10.3f} {f.score:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, help="of at most a quarter of an hour: the newest stretch is compared")
    parser.add_argument("--profile", default="broadcast")
    given = parser.parse_args()
    wish = wanted(given.profile, ("ads", "anomalies") if given.profile == "broadcast" else ("anomalies",))
    with tempfile.TemporaryDirectory() as scratch:
        file = measure(identify(given.film), wish, Store(FolderBlobs(Path(scratch) / "file"), None), Senses(), Run())  # type: ignore[arg-type]
        told("file", [f for task in judge(Case(file, find_shots(file), wish)) for f in task.findings])
        watch, runs = LiveWatch("s", wish, FolderBlobs(Path(scratch) / "live")), count()
        feed = Feed("s", lambda: f"run {next(runs)}", lambda: "")
        with opened(given.film) as container:
            for chunk in cut(container, feed):
                watch.take(chunk)
        watch.take(feed.last())
        told("live", list(report_of(watch).findings))
        live = watch.panel.newest.since(watch.panel.newest.start_s)
        for name in sorted({name for part in live.parts for name in part.series}):
            a, b = file.get(name), live.get(name)
            if a is None or b is None or len(a) != len(b) or not np.array_equal(a.times_s, b.times_s + live.start_s):
                print(f"{name:20} has other times")
                continue
            apart = np.abs(a.values.astype(np.float64) - b.values.astype(np.float64)).reshape(len(a), -1).max(axis=1)
            print(f"{name:20} {len(a):7} values, {np.mean(apart > 0):7.2%} differ, by {apart.max():.3g} at most")


if __name__ == "__main__":
    main()
