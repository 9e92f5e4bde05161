"""What it costs to keep films and measurements in an object store instead of a folder; both on this machine's one disk.

    python -m benchmarks.stores --folder DIR    # makes a film of 20 minutes and about 100 MB there, and starts MinIO

Bytes are those asked of the store. "cached" is the object store behind copies on the disk, read for a second time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import av
from minio import Minio

from benchmarks.machine import machine
from deploy.local.servers import Servers
from pipelines.containers import opened, packets, video_stream
from pipelines.decode_plan import DecodePlan
from pipelines.encode import Encoding
from pipelines.interfaces import Blobs, FilmFile, Stored
from pipelines.judge import Case, judge
from pipelines.looking import look_at
from pipelines.profiles import wanted
from pipelines.segments import Work, measure_segment, measure_video
from pipelines.series import Measured
from pipelines.signals.shots import find_shots
from pipelines.stores.cached import CachedBlobs
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.ranged import StoredFilm
from pipelines.watching import identify
from services.blobs.minio import MinioBlobs
from services.models import open_encoder
from tests.hostile.making import Film, write_film

PIECE, TIMES = Film(60, 25, 640, 360, codec_options={"preset": "ultrafast", "g": "50", "b": "700k"}, sound="aac"), 20
ROUNDS = 3
PREFIX = "series/film/plan"


@dataclass
class Counting:
    """A store, and how long every answer was."""

    store: MinioBlobs
    told: list[int] = field(default_factory=list)

    def read_range(self, stored: Stored, start: int, length: int) -> bytes:
        self.told.append(length)
        return self.store.read_range(stored, start, length)

    def get(self, key: str) -> bytes:
        data = self.store.get(key)
        self.told.append(len(data))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def long_film(folder: Path) -> Path:
    """A minute, twenty times over: 20 minutes and about 100 MB."""
    piece, path = write_film(folder / "piece.mp4", PIECE), folder / "film.mp4"
    with av.open(str(path), "w") as out, av.open(str(piece)) as film:
        streams = [out.add_stream_from_template(stream) for stream in film.streams]
        for turn in range(TIMES):
            film.seek(0)
            for packet in film.demux():
                if packet.size:
                    later = int(turn * PIECE.seconds / packet.time_base)
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
    return path


def first_picture(film: FilmFile) -> None:
    with opened(film) as container:
        stream = video_stream(container)
        assert stream is not None
        next(frame for packet in packets(container, [stream]) for frame in stream.codec_context.decode(packet))


def decode_minutes(film: FilmFile, folder: Path) -> None:
    """Four minutes from the middle, pictures and sound."""
    measure_segment(lambda message: None, Work(film, look_at(film), DecodePlan(), FolderBlobs(folder), "m"), range(8, 12))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def reading(path: Path, bucket: MinioBlobs, scratch: Path) -> None:
    size = path.stat().st_size
    print(f"\nreading a film of {size / 1e6:.0f} MB: seconds from disk, from the store (medians of {ROUNDS}), share of the file asked for")
    works: dict[str, Callable[[FilmFile], object]] = {
        "first picture": first_picture,
        "sha-256": identify,
        "index": look_at,
        "index + 4 of 20 minutes measured": lambda film: decode_minutes(film, scratch / "decoded"),
    }
    for name, work in works.items():
        disk_s, store_s, asked = [], [], Counting(bucket)
        for _ in range(ROUNDS):
            disk_s.append(seconds(partial(work, path)))
            store_s.append(seconds(partial(work, StoredFilm(asked, bucket.stat(path.name)))))
        share, requests = sum(asked.told) / size / ROUNDS, len(asked.told) / ROUNDS
        print(f"  {name:34} {statistics.median(disk_s):7.2f} {statistics.median(store_s):7.2f}  {share:5.2f}x in {requests:.0f} requests")


def measured_once(path: Path, series: FolderBlobs) -> Measured:
    encoder, plan = open_encoder(), DecodePlan()
    with Encoding(encoder, series, PREFIX, plan) as encoding:
        measured = measure_video(path, series, PREFIX, plan, on_block=encoding.add, is_done=encoding.is_done)
    return replace(measured, features=encoding.features, class_names=encoder.class_names)


def blocks_alone(series: FolderBlobs, bucket: MinioBlobs, scratch: Path) -> None:
    blocks = [series.get(key) for key in series.keys(PREFIX + "/") if key.endswith(".npz")]
    size = statistics.mean(map(len, blocks)) / 1e3
    print(f"\n{len(blocks)} blocks of {size:.0f} kB: ms to write one, to read one (medians of {ROUNDS} rounds)")
    cached = CachedBlobs(FolderBlobs(scratch / "written copies"), bucket, 20 << 30)
    stores: dict[str, Blobs] = {"folder": FolderBlobs(scratch / "written"), "object store": bucket, "cached": cached}
    for name, blobs in stores.items():
        keys = [f"series/{name}/{k:06d}.npz" for k in range(len(blocks))]
        written = [seconds(partial(blobs.put, key, block)) for _ in range(ROUNDS) for key, block in zip(keys, blocks, strict=True)]
        read = [seconds(partial(blobs.get, key)) for _ in range(ROUNDS) for key in keys]
        print(f"  {name:14} {1000 * statistics.median(written):6.1f} {1000 * statistics.median(read):6.1f}")


def judging(measured: Measured, series: FolderBlobs, bucket: MinioBlobs, scratch: Path) -> None:
    for key in series.keys(""):
        bucket.put(key, series.get(key))
    print(f"\nall tasks over the 20 minutes' series: seconds (medians of {ROUNDS} rounds in turn), asked of the object store")
    asked = Counting(bucket)
    cached = CachedBlobs(FolderBlobs(scratch / "copies"), cast(Blobs, asked), 20 << 30)
    for key in cached.near.keys(""):
        cached.near.delete(key)
    stores: dict[str, Any] = {"cached, empty": cached, "folder": series, "object store": asked, "cached": cached}
    times: dict[str, list[float]] = defaultdict(list)
    told = {}
    for turn in range(ROUNDS):
        for name, blobs in list(stores.items())[min(turn, 1) :]:
            asked.told.clear()
            times[name].append(seconds(partial(tasks_over, replace(measured, blobs=blobs, _joined={}))))
            told[name] = f"{sum(asked.told) / 1e6:6.0f} MB in {len(asked.told)} requests"
    for name, found in times.items():
        print(f"  {name:14} {statistics.median(found):6.2f}  {told[name]}")


def tasks_over(measured: Measured) -> None:
    judge(Case(measured, find_shots(measured), wanted()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for the film and its series, kept for a second run")
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(machine())
    path = folder / "film.mp4"
    if not path.exists():
        long_film(folder)
    servers = Servers(folder / "servers")
    servers.start("minio")
    try:
        bucket = MinioBlobs(servers.s3, "benchmark", "", servers.s3_access_key, servers.s3_secret_key)
        client = Minio(servers.s3.removeprefix("http://"), servers.s3_access_key, servers.s3_secret_key, secure=False)
        if not client.bucket_exists("benchmark"):
            client.make_bucket("benchmark")
        with path.open("rb") as file:
            print(f"uploaded in {seconds(lambda: bucket.put_stream(path.name, file)):.2f} s")
        reading(path, bucket, folder)
        series = FolderBlobs(folder / "series")
        measured = measured_once(path, series)
        blocks_alone(series, bucket, folder)
        judging(measured, series, bucket, folder)
    finally:
        servers.stop("minio")


if __name__ == "__main__":
    main()
