"""Real Kafka, MinIO and PostgreSQL on this machine: started, found again, stopped, killed. All that is theirs lies in one folder.

with Servers.started() as servers:  # in a folder that goes with them; they end with this process, however it ends
    servers.kafka, servers.s3, servers.database
    servers.kill("kafka")
    servers.start("kafka")          # the same address, the same data
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from deploy.local import install
from deploy.local.install import locked, say
from deploy.local.kinds import Endpoints, Kafka, Minio, NotReady, Postgres, Server, residents, write_private

KINDS: dict[str, Callable[[Path, Endpoints], Server]] = {"kafka": Kafka, "postgres": Postgres, "minio": Minio}
START_S = 120.0  # on two cores beside a compiler, a broker that was killed took 14
STOP_S = 30.0


class ServerFailed(Exception):
    """A server does not come up; the sentence says which and why, and how its log ends."""


class Servers:
    """The servers of one data folder, whoever started them. Making this starts nothing; it chooses ports and secrets for a new folder."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).resolve()
        self.document = self.folder / "servers.json"
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)  # PostgreSQL's account must get through where root starts it
        with locked(self.folder / ".lock"):
            if not self.document.exists():
                self._write({**asdict(Endpoints.chosen()), "pids": {}, "versions": {}})
        known = self._read()
        self.endpoints = Endpoints(**{field.name: known[field.name] for field in fields(Endpoints)})
        self.kafka = self.endpoints.kafka  # host:port
        self.s3 = self.endpoints.s3  # URL
        self.s3_access_key, self.s3_secret_key = self.endpoints.s3_access_key, self.endpoints.s3_secret_key
        self.database = self.endpoints.database  # SQLAlchemy URL of an empty database; its user may create others

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path | str | None = None) -> Iterator[Servers]:
        """All of them until the block or this process ends; without a folder, in one that is removed afterwards."""
        servers = cls(folder or Path(tempfile.gettempdir(), f"longtake-servers-{secrets.token_hex(6)}"))
        # Beside us waits a process that stops them when its standard input closes: at the end of the block, or of us. The kernel's
        # own signal for that, PR_SET_PDEATHSIG, comes when the starting thread ends; a test may start one in a thread.
        watch = [sys.executable, "-m", "deploy.local", "stop", "--at-end-of-input", "--data", str(servers.folder)]
        watch += [] if folder else ["--remove"]
        with subprocess.Popen(watch, cwd=install.HERE.parents[1], stdin=subprocess.PIPE, start_new_session=True):
            servers.start()
            yield servers

    def pid(self, name: str) -> int | None:
        """The server's process; None where it ended, or the number belongs to another by now."""
        pid = self._read()["pids"].get(name)
        server = self._server(name)
        return pid if pid and residents(server.home, server.program, among=str(pid)) else None

    def describe(self) -> dict[str, Any]:
        """What servers.json holds, secrets included, with the pids of those that run."""
        return {**self._read(), "pids": {name: pid for name in KINDS if (pid := self.pid(name))}}

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def start(self, *names: str) -> None:
        """Start those named, or all; those that run stay as they are. Returns when each answers; raises ServerFailed."""
        with locked(self.folder / ".lock"):
            for name in names or KINDS:
                if not self.pid(name):
                    self._launch(name)
            for name in names or KINDS:
                self._wait_until_ready(name)

    def stop(self, *names: str) -> None:
        """Ask those named, or all, to end, and kill what has not within half a minute."""
        with locked(self.folder / ".lock"):
            self._end({name: self._server(name).stop_signal for name in names or reversed(list(KINDS))})

    def remove(self) -> None:
        """Stop them, and forget data, ports and credentials."""
        self.stop()
        shutil.rmtree((self.folder / "postgres").resolve(), ignore_errors=True)  # elsewhere where its account could not reach the folder
        shutil.rmtree(self.folder)

    def kill(self, *names: str) -> None:
        """End those named, or all, as a crash would."""
        with locked(self.folder / ".lock"):
            self._end(dict.fromkeys(names or KINDS, signal.SIGKILL))

    # --- how -----------------------------------------------------------------------------------------------------------------

    def _server(self, name: str) -> Server:
        return KINDS[name](self.folder / name, self.endpoints)

    def _read(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(self.document.read_text("utf-8"))
        return known

    def _write(self, known: dict[str, Any]) -> None:
        partial = self.document.with_suffix(".partial")
        write_private(partial, json.dumps(known, indent=2) + "\n")
        partial.replace(self.document)

    def _launch(self, name: str) -> None:
        server, log = self._server(name), self.log(name)
        say(f"starting {name}")
        server.prepare()
        log.parent.mkdir(mode=0o700, exist_ok=True)
        with log.open("ab") as written:
            child = subprocess.Popen(
                server.command(),
                cwd=server.home,
                env={**os.environ, **server.environment()},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,  # Ctrl-C is for the one who started it
                **server.account(),
            )
        known = self._read()
        self._write({**known, "pids": {**known["pids"], name: child.pid}, "versions": install.versions()})

    def _wait_until_ready(self, name: str) -> None:
        deadline, trouble = time.monotonic() + START_S, "it ended"
        while self.pid(name) and time.monotonic() < deadline:
            try:
                self._server(name).greet()
            except NotReady as error:
                trouble = str(error)
                time.sleep(0.1)
            else:
                return
        tail = "\n".join(self.log(name).read_text("utf-8", "replace").splitlines()[-15:])
        raise ServerFailed(f"{name} did not come up: {trouble}. The end of {self.log(name)}:\n{tail}")

    def _end(self, signals: dict[str, signal.Signals]) -> None:
        running = {name: pid for name in signals if (pid := self.pid(name))}
        for name, pid in running.items():
            say(f"{'killing' if signals[name] == signal.SIGKILL else 'stopping'} {name}")
            send(signals[name], pid)
        deadline = time.monotonic() + STOP_S
        for name in running:
            while left := residents(self._server(name).home, self._server(name).program):
                time.sleep(0.02)
                if time.monotonic() > deadline:
                    for pid in left:
                        send(signal.SIGKILL, pid)
        known = self._read()
        self._write({**known, "pids": {name: pid for name, pid in known["pids"].items() if name not in signals}})


def send(what: signal.Signals, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)
