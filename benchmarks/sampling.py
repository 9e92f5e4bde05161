"""One picture a second, exactly those on display, to 336x336: what it costs beside decoding everything, and what others take for it.

    python -m benchmarks.sampling                          # 720p and 1080p, H.264 and HEVC, short and long GOPs; clips are made once
    python -m benchmarks.sampling --only 720p --rounds 3 --peers /path/to/python/with/torchcodec

CPU seconds of a process each, one decoding thread, medians over --rounds; every round measures all methods one after the other, so that
a busy machine is busy for all. Peers that are not installed are left out. Also: every sampled picture against a full decode, bit for
bit, and the wall clock of two workers that share a film at a key picture against one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.sampling_methods import METHODS, SIZE_PX
from benchmarks.textures import Clip, make_clip

CLIPS = (
    Clip("libx264", 1280, 720, 24, 2, 2500),
    Clip("libx264", 1280, 720, 24, 250 / 24, 2500),
    Clip("libx264", 1280, 720, 24, 2, 2500, is_open=True),
    Clip("libx265", 1280, 720, 24, 2, 1800),
    Clip("libx265", 1280, 720, 24, 250 / 24, 1800, is_open=True),
    Clip("libx264", 1920, 1080, 30, 2, 5000),
    Clip("libx264", 1920, 1080, 30, 250 / 30, 5000),
    Clip("libx265", 1920, 1080, 30, 2, 3000),
    Clip("libx265", 1920, 1080, 30, 250 / 30, 3000, is_open=True),
)


class Runner:
    """A method in its own process."""

    def __init__(self, python: str, method: str) -> None:
        one_thread = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "threads;1", "OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "OFF"}
        command = [python, "-m", "benchmarks.sampling_methods", method]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | one_thread)

    def __call__(self, path: Path) -> dict[str, float]:
        assert self.process.stdin and self.process.stdout
        print(path, file=self.process.stdin, flush=True)
        result: dict[str, float] = json.loads(self.process.stdout.readline())
        return result


def available(method: str, pythons: list[str]) -> str | None:
    """The interpreter that can run a method; None where none can."""
    if method == "ffmpeg":
        return pythons[0] if shutil.which("ffmpeg") else None
    module = {"torchcodec": "torchcodec.decoders", "decord": "decord", "OpenCV": "cv2"}.get(method, "pipelines.sampling")
    tries = ((p, subprocess.run([p, "-c", f"import numpy, {module}"], capture_output=True).returncode) for p in pythons)
    return next((python for python, code in tries if code == 0), None)


def differing(path: Path) -> int:
    """Sampled pictures at 1 and 3 a second that are not, bit for bit, those of a decode of everything by PyAV alone."""
    import av

    from pipelines.pixels import Scaler
    from pipelines.sampling import FixedRate, sample_frames

    sampled = [part for rate in (1, 3) for part in sample_frames(path, FixedRate(rate), SIZE_PX)]
    wanted = {int(tick) for part in sampled for tick in part.ticks}
    scaler = Scaler(*SIZE_PX)
    with av.open(str(path)) as film:
        whole = {frame.pts: scaler(frame) for frame in film.decode(video=0) if frame.pts in wanted}
    return sum(
        not np.array_equal(pixels, whole[int(tick)]) for part in sampled for tick, pixels in zip(part.ticks, part.pixels, strict=True)
    )


def share(path: Path, parts: int) -> list[tuple[float, ...]]:
    """The instants of one picture a second, cut where key pictures are, into stretches of about equal length."""
    from pipelines.media import index_video

    index = index_video(path)
    assert index is not None
    instants = np.arange(int(index.duration_s), dtype=float)
    keys = np.array([index.clock.seconds(tick) for tick in index.key_ticks.tolist()])
    edges = [keys[np.abs(keys - index.duration_s * k / parts).argmin()] for k in range(1, parts)]
    return [tuple(part.tolist()) for part in np.split(instants, np.searchsorted(instants, edges))]


def sample_instants(job: tuple[Path, tuple[float, ...]]) -> int:
    from pipelines.sampling import Instants, sample_frames

    return sum(len(frames) for frames in sample_frames(job[0], Instants(job[1]), SIZE_PX))


def speedup(path: Path, rounds: int) -> float:
    """Wall clock of one worker over that of two that share the film."""
    ratios = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(sample_instants, [(path, (0.0,))] * 2, chunksize=1)
        for _ in range(rounds):
            walls = []
            for parts in (share(path, 1), share(path, 2)):
                started = time.perf_counter()
                pool.map(sample_instants, [(path, part) for part in parts], chunksize=1)
                walls.append(time.perf_counter() - started)
            ratios.append(walls[0] / walls[1])
    return statistics.median(ratios)


def benchmark(folder: Path, clips: list[Clip], rounds: int, pythons: list[str]) -> None:
    from benchmarks.machine import machine

    runners = {method: Runner(python, method) for method in METHODS if (python := available(method, pythons))}
    warm = make_clip(folder, replace(CLIPS[0], seconds=2))
    for run in runners.values():
        run(warm)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    print(f"CPU seconds an hour of video (ratio to pure decode of the same round), medians of {rounds}\n")
    print(" | ".join(["clip", *runners, "differing", "two workers"]))
    for clip in clips:
        path = make_clip(folder, clip)
        results = [{method: run(path) for method, run in runners.items()} for _ in range(rounds)]
        cells = []
        for method in runners:
            cpu_s = statistics.median(result[method]["cpu_s"] for result in results) / clip.seconds * 3600
            ratio = statistics.median(result[method]["cpu_s"] / result["pure decode"]["cpu_s"] for result in results)
            cells.append(f"{cpu_s:.0f} ({ratio:.2f})")
        print(" | ".join([clip.name.removesuffix(".mp4"), *cells, str(differing(path)), f"{speedup(path, rounds):.2f}x"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="clips whose name contains this (repeatable)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=Path, default=Path(tempfile.gettempdir()) / "longtake-clips", help="where clips are kept")
    parser.add_argument("--peers", action="append", default=[], help="another Python, that has torchcodec or decord")
    parser.add_argument("--seconds", type=int, default=30, help="length of each clip")
    arguments = parser.parse_args()
    arguments.clips.mkdir(parents=True, exist_ok=True)
    clips = [
        replace(clip, seconds=arguments.seconds) for clip in CLIPS if not arguments.only or any(o in clip.name for o in arguments.only)
    ]
    benchmark(arguments.clips, clips, arguments.rounds, [sys.executable, *arguments.peers])


if __name__ == "__main__":
    main()
