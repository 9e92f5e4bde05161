"""What the services cost beside `analyze_video`, what a second replica gives, whether a queue stays flat, and what a hop takes.

    python -m benchmarks.services --folder DIR                # all of it; makes a broadcast of 20 minutes in DIR where there is none
    python -m benchmarks.services --folder DIR --only path --rounds 3

path: a request on Kafka until its findings are in PostgreSQL, the film in MinIO; in process: the same film from the same disk, folder and
SQLite. Both with models open and warm; every round's film has bytes of its own. Starts the servers and two processes of the product, whose
stages are put together as in services/serve.yaml.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from deploy.local.servers import Servers
from pipelines.analyze import analyze_video
from pipelines.evaluation.broadcast import make_broadcast
from pipelines.profiles import wanted
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Senses, Store
from services.app import open_bucket
from services.messages import Request, encode
from services.models import open_senses
from services.stages import REQUESTS
from tests.chaos.field import BUSY, Field
from tests.chaos.fleet import Fleet, product
from tests.chaos.waiting import until
from tests.hostile.making import Film, write_film

MAIN, REST = ("cut", "decode", "encode"), ("watch", "tasks", "record", "ingest")
TINY = Film(5, 5, 96, 64, codec_options={"preset": "veryfast"})


@dataclass
class Bench:
    """A field, and what its films are asked with."""

    field: Field
    folder: Path
    senses: Senses
    rounds: int
    minutes: int = 20

    def film(self) -> Path:
        path = self.folder / f"classic-{self.minutes}.mp4"
        if not path.exists():
            make_broadcast(path, "classic", seed=1, minutes=self.minutes, fps=25, size=(320, 180))
        return path

    def tiny(self) -> Path:
        return write_film(self.folder / "tiny.mp4", TINY)

    def fleet(self, *commands: list[str], **settings: Any) -> Fleet:
        logs = Path(tempfile.mkdtemp(prefix="logs-", dir=self.folder))
        environment = replace(self.field.settings, **settings).to_env()
        return Fleet(commands, environment, logs, str(self.field.settings.scratch))

    def put(self, path: Path) -> Request:
        """A film in the bucket, with bytes that nobody has seen; not where it would be found by itself."""
        key = f"bench/{secrets.token_hex(8)}.mp4"
        open_bucket(self.field.settings, self.field.settings.bucket).put(key, fresh(path))
        return Request(f"s3://{self.field.settings.bucket}/{key}")

    def ask(self, *requests: Request) -> None:
        self.field.topics.put(REQUESTS, [encode(request, "bench") for request in requests])

    def answered(self, *requests: Request) -> None:
        ids = [request.id for request in requests]
        until(lambda: all(i in rows and rows[i].state not in BUSY for rows in [self.field.book.rows(ids)] for i in ids), "no answer")
        assert {row.state for row in self.field.book.rows(ids).values()} <= {"ok", "empty"}


def fresh(path: Path) -> bytes:
    """The same film with other bytes: an MP4 may end with a box that says nothing."""
    return path.read_bytes() + struct.pack(">I4s", 24, b"free") + secrets.token_bytes(16)


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def in_process(bench: Bench, path: Path) -> float:
    folder = Path(tempfile.mkdtemp(prefix="alone-", dir=bench.folder))
    film = folder / "film.mp4"
    film.write_bytes(fresh(path))
    store = Store(FolderBlobs(folder / "measured"), DatabaseResults(f"sqlite:///{folder}/findings.db"))
    return seconds(lambda: analyze_video(film, wanted(), store, bench.senses))


def by_services(bench: Bench, path: Path) -> float:
    request = bench.put(path)

    def whole() -> None:
        bench.ask(request)
        bench.answered(request)

    return seconds(whole)


def path(bench: Bench) -> None:
    """Rounds by turns, so that whatever else the machine does hits both."""
    with bench.fleet(product(MAIN), product(REST)) as fleet:
        until(fleet.is_ready, "the processes do not come up")
        for name, film, rounds in (
            ("a film of 5 s", bench.tiny(), 2 * bench.rounds + 1),
            (f"{bench.minutes} minutes", bench.film(), bench.rounds),
        ):
            in_process(bench, bench.tiny())
            by_services(bench, bench.tiny())
            pairs = [(in_process(bench, film), by_services(bench, film)) for _ in range(rounds)]
            alone, services = (statistics.median(times) for times in zip(*pairs, strict=True))
            more = f"{services - alone:+.2f} s, {services / alone - 1:+.1%}"
            print(f"{name}: in process {alone:.2f} s, services {services:.2f} s ({more}); medians of {rounds}: {_told(pairs)}", flush=True)


def _told(pairs: list[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f}/{b:.1f}" for a, b in pairs)


def replicas(bench: Bench) -> None:
    """Two films; each replica of cut, decode and encode has one core, one slot and one thread of the encoder."""
    took: dict[int, list[float]] = {}
    for count in (1, 2, 1, 2):
        commands = [["taskset", "-c", str(core), *product(MAIN)] for core in range(count)]
        with bench.fleet(*commands, product(REST), slots=1, threads=1) as fleet:
            until(fleet.is_ready, "the processes do not come up")
            by_services(bench, bench.tiny())
            requests = [bench.put(bench.film()) for _ in range(2)]
            bench.ask(*requests)
            took.setdefault(count, []).append(seconds(lambda films=requests: bench.answered(*films)))
    one, two = min(took[1]), min(took[2])
    print(f"two films of {bench.minutes} minutes: one replica {one:.1f} s, two {two:.1f} s, {one / two:.2f} times; all: {took}", flush=True)


def lag(bench: Bench, a_minute: int = 12, minutes: float = 3) -> None:
    """A steady load; how much waits for any stage, all the time."""
    samples: list[int] = []
    with bench.fleet(product(MAIN), product(REST)) as fleet:
        until(fleet.is_ready, "the processes do not come up")
        by_services(bench, bench.tiny())
        requests = [bench.put(bench.tiny()) for _ in range(round(a_minute * minutes))]
        began = time.monotonic()
        for number, request in enumerate(requests):
            until(lambda due=began + number * 60 / a_minute: time.monotonic() >= due, "")
            bench.ask(request)
            samples.append(bench.field.lag())
        bench.answered(*requests)
    third = len(samples) // 3
    first, last = statistics.mean(samples[:third]), statistics.mean(samples[-third:])
    print(f"{a_minute} films of 5 s a minute for {minutes} minutes: lag {first:.1f} at first, {last:.1f} at last, {max(samples)} at most")


def hop(bench: Bench | None = None) -> None:
    """A call through a Serve handle, there and back."""
    import ray
    from ray import serve

    @serve.deployment
    class Echo:
        def __call__(self, data: bytes) -> bytes:
            return data

    ray.init(include_dashboard=False, log_to_driver=False, num_cpus=2)
    handle = serve.run(Echo.bind(), route_prefix=None)
    for size in (10, 1 << 20):
        data = secrets.token_bytes(size)
        times = [seconds(lambda data=data: handle.remote(data).result()) for _ in range(300)][50:]
        print(f"a Serve handle, {size} bytes there and back: median {statistics.median(times) * 1e3:.2f} ms of {len(times)}", flush=True)
    serve.shutdown()
    ray.shutdown()


PARTS: dict[str, Callable[[Bench], None]] = {"path": path, "replicas": replicas, "lag": lag, "hop": hop}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=int, default=20, help="of the film")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    print(machine(), flush=True)
    if given.only == "hop":
        hop()
        return
    with Servers.started(given.folder / "servers") as servers:
        bench = Bench(Field(servers, given.folder), given.folder, open_senses(("cpu",)), given.rounds, given.minutes)
        for name, part in PARTS.items():
            if given.only in (None, name):
                part(bench)


if __name__ == "__main__":
    main()
