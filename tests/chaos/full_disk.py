"""The embedded services on a disk that is full for a while: films, measurements and the database all lie there."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pipelines.interfaces import StoreUnavailable
from pipelines.stores.requests import RequestBook, RequestRow
from services.app import open_database
from services.opening import open_results
from services.settings import Settings
from tests.chaos.films import Films, Told
from tests.chaos.fleet import Fleet, product
from tests.chaos.waiting import until

SIZE = "32m"
FULL = ("No space left on device", "disk is full", "disk I/O error")  # as the folder, SQLite, and SQLite's journal say it


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """Whether there is one at `place`: only root may mount it."""
    place.mkdir()
    mounted = not subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def full_disk(films: Films, folder: Path) -> list[str]:
    """The line of the report."""
    began = time.monotonic()
    with small_disk(folder / "disk") as mounted:
        if not mounted:
            return ["full disk", "not tried: only root may mount a small disk", "0", "0", "yes", "0", "0", "0"]
        put = [*films.good(3), *films.bad(1)]
        deaths = _survive(Settings(folder=folder / "disk" / "store", scratch=folder / "scratch", reconcile_s=1.0, slots=2, local=True), put)
    return ["full disk", "until noticed", "3", "1", "yes", "1", str(deaths), f"{time.monotonic() - began:.0f}"]


def _survive(settings: Settings, put: list[Told]) -> int:
    """Fill the disk while films are there to be done, make room again, and check. Returns how many processes died of it."""
    logs = settings.scratch.with_name("logs-disk")
    logs.mkdir()
    incoming, ballast = settings.folder / settings.prefix, settings.folder / "ballast"
    with Fleet([product(())], settings.to_env(), logs, str(settings.scratch)) as fleet:
        until(fleet.is_ready, "the process does not come up")
        for film in put:
            (incoming / film.path.name).write_bytes(film.path.read_bytes())
        _fill(ballast)
        until(lambda: any(map(fleet.said, FULL)), "nobody notices that the disk is full")
        ballast.unlink()
        until(lambda: _are_done(settings, put), "the films do not come to their end")
    _check(settings, put)
    assert not fleet.left()
    return fleet.deaths


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            return


def _rows(settings: Settings) -> dict[str, RequestRow]:
    return {row.uri: row for row in RequestBook(open_results(open_database(settings))).all()}


def _are_done(settings: Settings, put: list[Told]) -> bool:
    try:
        states = [row.state for row in _rows(settings).values()]
    except StoreUnavailable:
        return False
    return len(states) == len(put) and not {"queued", "working"} & set(states)


def _check(settings: Settings, put: list[Told]) -> None:
    def uri(film: Told) -> str:
        return (settings.folder.resolve() / settings.prefix / film.path.name).as_uri()

    rows = _rows(settings)
    assert {name: row.state for name, row in rows.items()} == {uri(film): film.status for film in put}
    assert {name: row.reason for name, row in rows.items() if row.state == "failed"} == {uri(f): f.reason for f in put if f.reason}
    found = [asdict(row) for row in open_results(open_database(settings)).findings()]
    wanted = [row for film in put for row in film.rows]
    assert sorted(found, key=str) == sorted(wanted, key=str)
