"""`longtake up`, `down` and `status`: everything on one machine, started, tried with a tiny video, told, and stopped again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from rich.console import Console

from pipelines.interfaces import ServiceUnavailable, WrongRequest
from pipelines.stores.requests import RequestBook, RequestRow
from services.app import MEASURED, open_bucket, open_bucket_of_films, open_database, open_topics
from services.opening import open_results
from services.settings import Settings

PLACE = Path(".longtake")
CHECKOUT = Path(__file__).resolve().parents[1]
CHECK = "longtake-check-"  # how the tiny video's name begins
READY_S, LEAVE_S = 300.0, 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that everything on this machine has in common."""

    folder: Path = PLACE

    @property
    def endpoints(self) -> Path:
        return self.folder / "endpoints.json"

    @property
    def process(self) -> Path:
        return self.folder / "longtake.json"

    @property
    def log(self) -> Path:
        return self.folder / "longtake.log"

    def running(self) -> int | None:
        """The services' process, None where it ended or the number belongs to another by now."""
        try:
            told = json.loads(self.process.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return int(told["pid"]) if _started_at(told["pid"]) == told["started_at"] else None


HERE = Place()


def up(*, embedded: bool = False, config: Path | None = None, place: Place = HERE) -> dict[str, str]:
    """Start what does not run, and wait until a tiny video has gone the whole way. Returns the endpoints."""
    place.folder.mkdir(mode=0o700, exist_ok=True)
    if place.running() is not None and place.endpoints.exists():
        told: dict[str, str] = json.loads(place.endpoints.read_text("utf-8"))
        if bool(told.get("kafka")) == embedded:
            raise WrongRequest("the services run already, the other way; `longtake down` stops them")
        _say(f"the services run already; {place.endpoints} says where")
        return told
    _end(place)  # what an earlier run left half-way
    settings = embedded_settings(place) if embedded else _with_servers(place)
    began = time.monotonic()
    _say("starting the services (a quarter of a minute or more)")
    _start(_command(embedded, config), settings, place)
    try:
        _check(settings, place)
    except BaseException:
        _end(place)
        raise
    _say(f"a tiny video went the whole way; ready after {time.monotonic() - began:.0f} s")
    endpoints = _endpoints(settings)
    write_private(place.endpoints, endpoints)
    return endpoints


def down(place: Place = HERE) -> None:
    """Stop everything that `up` started; what was stored stays."""
    _end(place)
    place.endpoints.unlink(missing_ok=True)
    if (place.folder / "servers" / "servers.json").exists():
        _servers(place, "stop")
    _say("all is stopped; films, measurements and findings stay for the next `longtake up`")


def show_up(told: Mapping[str, str]) -> None:
    """Where everything is; secrets stay in the file."""
    console = Console()
    bucket = f"the bucket {told['bucket']} at {told['s3']}, below {told['prefix']}" if told.get("s3") else ""
    console.print(f"put films into {bucket or Path(told['folder'], told['prefix'])}", highlight=False, soft_wrap=True)
    console.print("see what was found: longtake findings --store DATABASE", highlight=False, soft_wrap=True)
    console.print(f"DATABASE, addresses and credentials are in {HERE.endpoints}", highlight=False, soft_wrap=True)


def _with_servers(place: Place) -> Settings:
    told = json.loads(_servers(place, "start", "--json"))
    settings = Settings(
        kafka=told["kafka"], s3=told["s3"], s3_access_key=told["s3_access_key"], s3_secret_key=told["s3_secret_key"],
        database=told["database"], scratch=(place.folder / "scratch").resolve(), session_s=10.0, reconcile_s=30.0, local=True,
    )  # fmt: skip
    _prepare(settings)
    return settings


def _prepare(settings: Settings) -> None:
    """The topics, and the bucket: films that are put into it are told of, and measurements leave it when they are old."""
    from services.blobs.lifetimes import DAYS, set_lifetimes
    from services.ingest.notify import notify

    open_topics(settings).close()
    notify(open_bucket(settings, settings.bucket), settings.prefix)
    if settings.ttl_days:
        set_lifetimes(open_bucket(settings, settings.bucket, MEASURED), dict.fromkeys(DAYS, settings.ttl_days))


def embedded_settings(place: Place) -> Settings:
    folder = (place.folder / "store").resolve()
    return Settings(folder=folder, scratch=(place.folder / "scratch").resolve(), reconcile_s=2.0, local=True)


def _servers(place: Place, *arguments: str) -> str:
    """The real servers, by the program beside this checkout."""
    if not (CHECKOUT / "deploy" / "local").is_dir():
        raise WrongRequest("the servers are installed and started from a checkout; without one: longtake up --embedded, or name your own")
    command = [sys.executable, "-m", "deploy.local", *arguments, "--data", str((place.folder / "servers").resolve())]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ServiceUnavailable("the servers could not be started; see above")
    return done.stdout


def _command(embedded: bool, config: Path | None) -> list[str]:
    wanted = ["work"] if embedded else ["serve", *(["--config", str(config.resolve())] if config else [])]
    return [sys.executable, "-m", "services.cli", *wanted]


def _start(command: list[str], settings: Settings, place: Place) -> None:
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    own = {name: text for name, text in os.environ.items() if not name.startswith("LONGTAKE_")} | {"PYTHONPATH": path}
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            command, env=own | settings.to_env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    write_private(place.process, {"pid": process.pid, "started_at": _started_at(process.pid)})


def _check(settings: Settings, place: Place) -> None:
    """A tiny video goes the whole way, and leaves no trace."""
    bucket = open_bucket_of_films(settings)
    key = f"{settings.prefix}{CHECK}{secrets.token_hex(4)}.mp4"
    with tempfile.TemporaryDirectory() as folder:
        data = tiny_video(Path(folder) / "tiny.mp4").read_bytes()
    results = open_results(open_database(settings))
    try:
        bucket.films.put(key, data)
        row = _row(RequestBook(results), bucket.uri(key), place)
    finally:
        bucket.films.delete(key)
    if row.state == "failed":
        raise ServiceUnavailable(f"a tiny video did not go the whole way: {row.reason}; {place.log} tells more")
    results.forget(row.video_id)


def _row(book: RequestBook, uri: str, place: Place) -> RequestRow:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        found = next((row for row in book.all() if row.uri == uri and row.state not in ("queued", "working")), None)
        if found is not None:
            return found
        if place.running() is None:
            raise ServiceUnavailable(f"the services ended; how their log ends:\n{_tail(place.log)}")
        time.sleep(0.2)
    raise ServiceUnavailable(f"a tiny video did not go the whole way within {READY_S:.0f} s; {place.log} tells more")


def tiny_video(path: Path) -> Path:
    """Two seconds of moving grey, different each time."""
    noise = np.random.default_rng()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(10), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for _ in range(20):
            grey = noise.integers(60, 180, (36, 64, 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
        out.mux(stream.encode(None))
    return path


def _endpoints(settings: Settings) -> dict[str, str]:
    shared = {"prefix": settings.prefix, "database": open_database(settings)}
    if not settings.s3:
        return {"kafka": "", "s3": "", "folder": str(settings.folder)} | shared
    names = ("kafka", "s3", "s3_access_key", "s3_secret_key", "bucket")
    return {name: getattr(settings, name) for name in names} | shared


def write_private(path: Path, told: Mapping[str, Any]) -> None:
    """JSON that only this user can read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(told, out, indent=2)
    part.replace(path)


def _end(place: Place) -> None:
    """End the services' process where it runs."""
    pid = place.running()
    if pid is not None:
        _say("stopping the services; what is in hand comes to its end")
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_S
        while place.running() == pid:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
        _end_session(pid)
    place.process.unlink(missing_ok=True)


def _end_session(leader: int) -> None:
    """What a process left behind: two agents of Ray's outlive its shutdown."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(process.name), signal.SIGKILL)


def _started_at(pid: int) -> str:
    """When a process began, in the kernel's own count; empty where there is none (or a dead one nobody has buried)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])


def _say(words: str) -> None:
    Console(stderr=True).print(f"== {words}", highlight=False, markup=False, soft_wrap=True)
