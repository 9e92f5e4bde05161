"""What it costs to keep films and measurements in an object store instead of a folder; both on this machine's one disk.

    python -m benchmarks.stores --folder DIR    # makes a film of 20 minutes and about 100 MB there, and starts MinIO

Bytes are those asked of the store. "cached" is the object store behind copies on the disk, read for a second time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

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

FILM = Film(1200, 25, 640, 360, codec_options={"preset": "veryfast", "g": "50", "b": "650k"}, sound="aac")
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


def writing(series: FolderBlobs, bucket: MinioBlobs, scratch: Path) -> None:
    blocks = [series.get(key) for key in series.keys(PREFIX + "/") if key.endswith(".npz")]
    print(f"\nwriting {len(blocks)} blocks of {statistics.mean(map(len, blocks)) / 1e3:.0f} kB: ms a block (median of {ROUNDS} rounds)")
    stores: dict[str, Blobs] = {"folder": FolderBlobs(scratch / "written"), "object store": bucket}
    for name, blobs in stores.items():
        times = [seconds(partial(blobs.put, f"written/{k}", block)) for _ in range(ROUNDS) for k, block in enumerate(blocks)]
        print(f"  {name:14} {1000 * statistics.median(times):6.1f}, slowest {1000 * max(times):.1f}")


def judging(measured: Measured, series: FolderBlobs, bucket: MinioBlobs, scratch: Path) -> None:
    for key in series.keys(""):
        bucket.put(key, series.get(key))
    print(f"\nall tasks over the 20 minutes' series: seconds (median of {ROUNDS}), asked of the object store")
    asked = Counting(bucket)
    cached = CachedBlobs(FolderBlobs(scratch / "copies"), cast(Blobs, asked), 20 << 30)
    for key in cached.near.keys(""):
        cached.near.delete(key)
    stores: dict[str, Any] = {"folder": series, "object store": asked, "cached, empty": cached, "cached": cached}
    for name, blobs in stores.items():
        asked.told.clear()
        rounds = 1 if name == "cached, empty" else ROUNDS
        times = [seconds(partial(tasks_over, replace(measured, blobs=blobs, _joined={}))) for _ in range(rounds)]
        megabytes, requests = sum(asked.told) / 1e6 / rounds, len(asked.told) / rounds
        print(f"  {name:14} {statistics.median(times):6.2f}  {megabytes:6.0f} MB in {requests:.0f} requests")


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
        write_film(folder / "making.mp4", FILM).rename(path)
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
        writing(series, bucket, folder)
        judging(measured, series, bucket, folder)
    finally:
        servers.stop("minio")


if __name__ == "__main__":
    main()
