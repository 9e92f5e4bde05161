"""What `longtake analyze` costs beside pure decoding of the same file, in one run.

    python -m benchmarks.analyze                     # 320x180 at 15 and 25 fps (20 minutes), 1080p25 (2 minutes)
    python -m benchmarks.analyze --minutes 60 --only 320x180@25

CPU counts every process of the run (workers included); decoding runs on one thread. Medians of --repeats runs, each with an empty store.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from benchmarks.machine import machine
from pipelines.evaluation.broadcast import make_broadcast

DECODE = """
import av, sys
with av.open(sys.argv[1]) as film:
    film.streams.video[0].codec_context.thread_count = 1
    for _ in film.decode(video=0): pass
"""


@dataclass(frozen=True)
class Cost:
    """One process tree: wall clock and CPU seconds."""

    wall_s: float
    cpu_s: float


def cost(command: list[str]) -> Cost:
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime)


def decode(film: Path) -> Cost:
    return cost([sys.executable, "-c", DECODE, str(film)])


def analyze(film: Path) -> Cost:
    with tempfile.TemporaryDirectory() as scratch:
        return cost([sys.executable, "-m", "services.cli", "analyze", str(film), "--out", f"{scratch}/out", "--store", f"{scratch}/store"])


def film(folder: Path, size: tuple[int, int], fps: int, minutes: float) -> Path:
    """A generated broadcast; larger than 640 pixels it is scaled up, with grain, for drawing at that size takes hours."""
    path = folder / f"{size[0]}x{size[1]}@{fps}-{minutes:g}.mp4"
    if not path.exists():
        small = path.with_suffix(".small.mp4")
        make_broadcast(small, "classic", seed=1, minutes=minutes, fps=fps, size=size if size[0] <= 640 else (640, 360))
        _enlarge(small, path, size, fps) if size[0] > 640 else small.rename(path)
    return path


def _enlarge(small: Path, path: Path, size: tuple[int, int], fps: int) -> None:
    with av.open(str(small)) as source, av.open(str(path), "w") as target:
        graph = av.filter.Graph()
        picture = source.streams.video[0]
        steps = [
            graph.add_buffer(template=picture),
            graph.add("scale", f"{size[0]}:{size[1]}"),
            graph.add("noise", "alls=6:allf=t"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()
        out = target.add_stream("libx264", rate=Fraction(fps), options={"preset": "veryfast", "crf": "23"})
        out.width, out.height, out.pix_fmt = *size, "yuv420p"
        sound = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(picture, source.streams.audio[0]):
            if packet.stream.type == "audio":
                if packet.dts is not None:
                    packet.stream = sound
                    target.mux(packet)
                continue
            for frame in packet.decode():
                graph.push(frame)
                target.mux(out.encode(graph.pull()))
        target.mux(out.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="for instance 320x180@25")
    parser.add_argument("--films", type=Path, default=Path(tempfile.gettempdir()) / "longtake-benchmark-films")
    wanted = parser.parse_args()
    wanted.films.mkdir(parents=True, exist_ok=True)
    print(machine())
    print(f"{'film':>14} {'minutes':>8} {'decode CPU s':>13} {'analyze CPU s':>14} {'ratio':>6} {'wall s':>7} {'x real time':>12}")
    for size, fps, minutes in (
        ((320, 180), 15, wanted.minutes),
        ((320, 180), 25, wanted.minutes),
        ((1920, 1080), 25, min(2.0, wanted.minutes)),
    ):
        name = f"{size[0]}x{size[1]}@{fps}"
        if wanted.only in ("", name):
            made = film(wanted.films, size, fps, minutes)
            pairs = [(decode(made), analyze(made)) for _ in range(wanted.repeats)]
            plain, ours, wall = (statistics.median(v) for v in zip(*((d.cpu_s, a.cpu_s, a.wall_s) for d, a in pairs), strict=True))
            print(f"{name:>14} {minutes:8.1f} {plain:13.1f} {ours:14.1f} {ours / plain:6.2f} {wall:7.1f} {minutes * 60 / wall:12.1f}")


if __name__ == "__main__":
    main()
