"""Peak memory of measuring: all processes together, for films of several lengths. It should not grow with length.

    python -m benchmarks.memory [minutes ...]      (10 and 60 by default)

Makes each film first (320x180, 25 fps, H.264 and AAC; about a second of work for a minute of film), then measures it and
samples the resident memory of this process and its workers ten times a second. Linux only.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np

from pipelines.decode_plan import DecodePlan
from pipelines.limits import MEBI, resident_bytes
from pipelines.segments import measure_video
from pipelines.stores.folder import FolderBlobs

WIDTH_PX, HEIGHT_PX, RATE_FPS, SOUND_HZ = 320, 180, 25, 48_000


class PeakMemory(threading.Thread):
    """Watches this process and its children until `stop`. peak_bytes: all together; peak_worker_bytes: the largest child."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = self.peak_worker_bytes = 0
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(0.1):
            children = [resident_bytes(pid) for pid in _children()]
            self.peak_worker_bytes = max([self.peak_worker_bytes, *children])
            self.peak_bytes = max(self.peak_bytes, resident_bytes(_own_pid()) + sum(children))


def _own_pid() -> int:
    return int(Path("/proc/self").readlink().name)


def _children() -> list[int]:
    own = _own_pid()
    return [int(pid) for task in Path(f"/proc/{own}/task").iterdir() for pid in (task / "children").read_text().split()]


def write_film(path: Path, minutes: float) -> None:
    """A minute of drifting noise over and over, encoded once; its packets are written as often as needed."""
    minute = path.with_suffix(".minute.mkv")
    with av.open(str(minute), "w") as out:
        pictures = out.add_stream("libx264", rate=RATE_FPS, options={"preset": "veryfast", "g": "125", "bf": "2"})
        sound = out.add_stream("aac", rate=SOUND_HZ, layout="stereo")
        assert isinstance(pictures, av.VideoStream) and isinstance(sound, av.AudioStream)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for picture in chain(_pictures(60 * RATE_FPS), [None]):
            out.mux(pictures.encode(picture))
        for block in chain(_sound(60), [None]):
            out.mux(sound.encode(block))
    _repeat(minute, path, round(minutes))
    minute.unlink()


def _pictures(count: int) -> Iterator[av.VideoFrame]:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX // 4, WIDTH_PX // 2, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    for k in range(count):
        left = k % WIDTH_PX
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:HEIGHT_PX, left : left + WIDTH_PX]), format="rgb24")
        frame.pts, frame.time_base = k, Fraction(1, RATE_FPS)
        yield frame


def _sound(seconds: int) -> Iterator[av.AudioFrame]:
    noise = np.random.default_rng(1)
    for k in range(seconds * 10):
        samples = (noise.standard_normal((1, SOUND_HZ // 10 * 2)) * 2000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, k * SOUND_HZ // 10, Fraction(1, SOUND_HZ)
        yield frame


def _repeat(minute: Path, path: Path, times: int) -> None:
    with av.open(str(path), "w") as out, av.open(str(minute)) as first:
        streams = {s.index: out.add_stream_from_template(s) for s in first.streams}
        for number in range(times):
            with av.open(str(minute)) as film:
                for packet in film.demux():
                    # the last sound packets reach into the next minute
                    if packet.size and packet.pts is not None and packet.dts is not None and packet.dts * packet.time_base < 59.93:
                        ahead = round(60 * number / packet.time_base)
                        packet.pts, packet.dts, packet.stream = packet.pts + ahead, packet.dts + ahead, streams[packet.stream_index]
                        out.mux(packet)


def main(minutes: list[float]) -> None:
    print("| film | measured in | times real time | all processes | largest worker |\n|---|---|---|---|---|", flush=True)
    for length in minutes:
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / "film.mkv"
            maker = get_context("spawn").Process(target=write_film, args=(film, length))  # an encoder's memory is none of ours
            maker.start()
            maker.join()
            memory, began = PeakMemory(), time.monotonic()
            memory.start()
            measured = measure_video(film, FolderBlobs(Path(folder)), "m", DecodePlan())
            seconds = time.monotonic() - began
            memory.is_over.set()
            speed, peak, worker = measured.duration_s / seconds, memory.peak_bytes // MEBI, memory.peak_worker_bytes // MEBI
            print(f"| {length:g} min | {seconds:.0f} s | {speed:.0f} | {peak} MiB | {worker} MiB |", flush=True)


if __name__ == "__main__":
    main([float(m) for m in sys.argv[1:]] or [10, 60])
