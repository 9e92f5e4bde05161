"""Ways to take one picture a second, each run in a process of its own, under a Python that has what it needs and perhaps nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SIZE_PX = (336, 336)


def pure_decode(path: Path) -> int:
    import av

    with av.open(str(path)) as film:
        film.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in film.decode(video=0))


def longtake(path: Path) -> int:
    from pipelines.sampling import FixedRate, sample_frames

    return sum(len(frames) for frames in sample_frames(path, FixedRate(1), SIZE_PX))


def torchcodec(path: Path) -> int:
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    decoder = VideoDecoder(str(path), num_ffmpeg_threads=1, transforms=[Resize(SIZE_PX)], seek_mode="exact")
    seconds = [float(k) for k in range(int(decoder.metadata.duration_seconds))]
    return len(decoder.get_frames_played_at(seconds=seconds))


def decord(path: Path) -> int:
    from decord import VideoReader

    reader = VideoReader(str(path), width=SIZE_PX[0], height=SIZE_PX[1], num_threads=1)
    rate = reader.get_avg_fps()
    return len(reader.get_batch([round(k * rate) for k in range(int(len(reader) / rate))]).asnumpy())


def opencv(path: Path) -> int:
    import cv2

    cv2.setNumThreads(1)
    film, taken, number = cv2.VideoCapture(str(path)), 0, 0
    rate = round(film.get(cv2.CAP_PROP_FPS))
    while film.grab():
        if number % rate == 0:
            _, picture = film.retrieve()
            cv2.cvtColor(cv2.resize(picture, SIZE_PX, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
            taken += 1
        number += 1
    return taken


def ffmpeg(path: Path) -> int:
    # fps=1 alone gives pictures half a second off; rounding up from 0 gives those on display.
    filters = f"fps=1:round=up:start_time=0,scale={SIZE_PX[0]}:{SIZE_PX[1]}:flags=bicubic"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-threads",
        "1",
        "-i",
        str(path),
        "-filter_threads",
        "1",
        "-vf",
        filters,
        "-pix_fmt",
        "rgb24",
        "-f",
        "rawvideo",
        "-",
    ]
    return len(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) // (SIZE_PX[0] * SIZE_PX[1] * 3)


METHODS: dict[str, Callable[[Path], int]] = {
    "pure decode": pure_decode,
    "longtake": longtake,
    "torchcodec": torchcodec,
    "decord": decord,
    "OpenCV": opencv,
    "ffmpeg": ffmpeg,
}


def serve(method: str) -> None:
    """Runs in a process of its own: a path a line in, a measurement a line out. The first path pays for imports and tables."""
    for line in sys.stdin:
        before, started = os.times(), time.perf_counter()
        pictures = METHODS[method](Path(line.rstrip("\n")))
        after = os.times()
        cpu_s = sum(after[:4]) - sum(before[:4])  # user and system, this process and its children
        print(json.dumps({"cpu_s": cpu_s, "wall_s": time.perf_counter() - started, "pictures": pictures}), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
