"""Stages in processes of their own, begun again at once when they end. Knows processes, nothing of what they do."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.chaos.waiting import until

GROUPS = (("ingest", "cut"), ("decode", "encode"), ("decode", "encode"), ("watch", "tasks", "record"))
READY = " working stages="  # in the log of a process that has opened its models and takes messages
PR_SET_PDEATHSIG = 1


def product(stages: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "services.cli", "work", *stages]


class Fleet:
    """One process for each of `commands`, kept alive until the `with` ends. mark: a text that is in their environment and in no other's."""

    def __init__(self, commands: Iterable[list[str]], environment: Mapping[str, str], folder: Path, mark: str) -> None:
        self.commands, self.environment, self.folder, self.mark = list(commands), dict(environment), folder, mark
        self.deaths = 0  # that nobody but the system or a fault of ours wanted, kills included
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._logs: dict[int, Path] = {}
        self._resting = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Fleet:
        self._keeper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.rest()
        self._over.set()
        self._keeper.join()

    def is_ready(self) -> bool:
        return all(self.is_at_work(number) for number in range(len(self.commands)))

    def is_at_work(self, number: int) -> bool:
        process = self._processes.get(number)
        return process is not None and process.poll() is None and READY in self._logs[number].read_text("utf-8", "replace")

    def kill(self, rng: random.Random) -> None:
        """End one that is at work as a crash would."""
        until(lambda: any(map(self.is_at_work, range(len(self.commands)))), "no process is at work")
        number = rng.choice([n for n in range(len(self.commands)) if self.is_at_work(n)])
        with suppress(ProcessLookupError):
            self._processes[number].kill()

    def change(self, number: int, command: list[str]) -> None:
        """Another program in place of this one, whose work in hand comes to its end."""
        before = self._logs[number]
        with self._lock:
            self.commands[number] = command
            self._processes[number].terminate()
        until(lambda: self._logs[number] != before and self.is_at_work(number), "the other program does not come up")

    def rest(self) -> None:
        """All end as they do at SIGTERM, and stay so until `go_on`."""
        self._resting.set()
        with self._lock:
            for process in self._processes.values():
                process.terminate()
            for process in self._processes.values():
                process.wait(120)

    def go_on(self) -> None:
        self._resting.clear()

    def said(self, words: str) -> bool:
        return any(words in log.read_text("utf-8", "replace") for log in self.folder.glob("*.log"))

    def left(self) -> list[int]:
        """Processes of theirs that run, workers of workers included."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.mark.encode() in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                    found.append(int(process.name))
        return found

    def _keep(self) -> None:
        while not self._over.wait(0.05):
            with self._lock:
                for number, command in enumerate(self.commands):
                    process = self._processes.get(number)
                    if process is not None and process.poll() is not None and not self._resting.is_set():
                        self.deaths += process.returncode != 0
                    if not self._resting.is_set() and (process is None or process.poll() is not None):
                        self._processes[number] = self._started(number, command)

    def _started(self, number: int, command: list[str]) -> subprocess.Popen[bytes]:
        log = self.folder / f"{number}-{len(list(self.folder.glob(f'{number}-*.log')))}.log"
        self._logs[number] = log
        with log.open("wb") as out:
            return subprocess.Popen(
                command, env=os.environ | self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=_end_with_us,
            )  # fmt: skip


def _end_with_us() -> None:
    """The keeper's thread lives as long as we do."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
