"""Processes that run a function under limits and hand back what it sends. Knows pipes and signals, nothing of media.

A worker is started once and used for many calls. Whatever happens inside (a crash, a hang, memory without end) reaches the
caller as `WorkerDied`.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe

from pipelines.limits import MEBI, Limits, computed_s, fence, resident_bytes

BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from pipelines.workers import serve; serve(int(sys.argv[2]))"
# A fresh interpreter, not a fork (the parent may have threads) nor multiprocessing's spawn (it runs the caller's main module again
# and leaves a resource tracker behind).

BLOATED_BYTES = 256 * MEBI  # a fresh worker holds 50 MiB; one that 1080p has passed through about 150


class WorkerDied(Exception):
    """The process ended before its call did; the message says of what. What it sent before stays good."""


class WorkerBug(Exception):
    """The function raised something nobody expected; the message holds the worker's traceback."""


@dataclass(frozen=True, slots=True)
class Done:
    """The call came to its end."""


@dataclass(frozen=True, slots=True)
class _Budget:
    computed_s: float  # on the worker's own processor clock
    clock_s: float  # on this process's clock


class Worker:
    """One process, one call at a time: `start`, then `receive` until `Done`. `connection` can be waited for with others."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connection, theirs = Pipe()
        command = [sys.executable, "-c", BOOT, json.dumps(sys.path), str(theirs.fileno())]
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=os.environ | one_thread,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self.reason = ""
        self.is_busy = False
        self._budgets: dict[str, _Budget] = {}
        self._send(limits)

    def start(self, function: Callable[..., None], *arguments: object) -> None:
        """Run `function(send, *arguments)` over there. The function is imported by name, so it stands at the top of a module."""
        self.is_busy = True
        self._budgets = {}
        self._send((function, arguments))

    def allow(self, computing_s: float, waiting_s: float, reason: str) -> None:
        """From now on, for what `reason` names: processor time and time by the clock until `watch` ends the worker."""
        self._budgets[reason] = _Budget(computed_s(self.process.pid) + computing_s, time.monotonic() + waiting_s)

    def watch(self) -> bool:
        """End the worker where it took more than it may; whether it did. Resident memory: for systems without the other fence."""
        now, computed = time.monotonic(), computed_s(self.process.pid)
        reason = next((reason for reason, b in self._budgets.items() if computed > b.computed_s or now > b.clock_s), "")
        if resident_bytes(self.process.pid) > self.limits.memory_bytes:
            reason = f"the decoder took more than {self.limits.memory_bytes // MEBI} MiB of memory"
        if reason:
            self.kill(reason)
        return bool(reason)

    def receive(self) -> object:
        """The next value, or `Done`. Raises what the function raised, `WorkerBug` or `WorkerDied`."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            raise WorkerDied(self.cause_of_death()) from None
        self.is_busy = kind == "value"
        if kind == "raised":
            raise value
        return value

    def kill(self, reason: str = "") -> None:
        self.reason = self.reason or reason
        self.process.kill()
        self.process.wait()
        self.connection.close()

    def cause_of_death(self) -> str:
        """A clause that ends a sentence: "the decoder ..."."""
        code = self.process.wait()
        self.connection.close()
        if self.reason:
            return self.reason
        if code == -signal.SIGKILL:
            return "the system ended the decoder, most likely for want of memory"
        if code < 0:
            return f"the decoder crashed ({signal.Signals(-code).name})"
        return f"the decoder ended by itself (exit code {code})"

    @property
    def alive(self) -> bool:
        return not self.connection.closed and self.process.poll() is None

    def _send(self, message: object) -> None:
        with suppress(OSError):  # it died already; receive() will say so
            self.connection.send(message)


def serve(handle: int) -> None:
    """The worker's life: limits first, then calls until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    connection: Connection = Connection(handle)
    try:
        fence(connection.recv())
        while True:
            function, arguments = connection.recv()
            _answer(connection, function, arguments)
    except (EOFError, OSError):
        pass  # nobody listens any more
    os._exit(0)  # without destructors: a decoder that a broken file confused may crash in them


def _answer(connection: Connection, function: Callable[..., None], arguments: tuple[object, ...]) -> None:
    try:
        function(lambda value: connection.send(("value", value)), *arguments)
        answer: tuple[str, object] = ("done", Done())
    except Exception as error:
        answer = ("raised", error if type(error).__module__ == "pipelines.interfaces" else WorkerBug(traceback.format_exc()))
    connection.send(answer)


def send_value(send: Callable[[object], None], function: Callable[..., object], *arguments: object) -> None:
    """Runs in a worker."""
    send(function(*arguments))


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


_idle: list[Worker] = []
_lock = threading.Lock()


@contextmanager
def crew(size: int, limits: Limits) -> Iterator[Crew]:
    """`size` workers for one job, taken from those idle or started; given back at the end, those still at work killed."""
    borrowed = Crew(size, limits)
    try:
        yield borrowed
    finally:
        borrowed.give_back()


class Crew:
    """The workers of one job. Those that die are replaced on demand."""

    def __init__(self, size: int, limits: Limits) -> None:
        self.size, self.limits = size, limits
        self.workers: list[Worker] = []

    def idle(self) -> Worker | None:
        """A worker with nothing to do; None where all `size` are at work."""
        self.workers = [w for w in self.workers if w.alive]
        free = next((w for w in self.workers if not w.is_busy), None)
        if free is None and len(self.workers) < self.size:
            free = self._take()
            self.workers.append(free)
        return free

    def _take(self) -> Worker:
        with _lock:
            fit = next((w for w in reversed(_idle) if w.limits == self.limits and w.alive), None)
            if fit is not None:
                _idle.remove(fit)
        return fit or Worker(self.limits)

    def ask(self, function: Callable[..., object], *arguments: object, computing_s: float, waiting_s: float, reason: str) -> object:
        """`function(*arguments)`, computed in a worker. Past its time it dies of `reason` (see Worker.allow): raises WorkerDied."""
        worker = self.idle()
        assert worker is not None
        worker.start(send_value, function, *arguments)
        worker.allow(computing_s, waiting_s, reason)
        while not worker.watch() and not worker.connection.poll(0.2):
            pass
        value = worker.receive()
        worker.receive()
        return value

    def give_back(self) -> None:
        """Keep the workers warm for the next file, but for those that are at work still or that this file has bloated."""
        for worker in self.workers:
            if worker.alive and not worker.is_busy and resident_bytes(worker.process.pid) < BLOATED_BYTES:
                with _lock:
                    _idle.append(worker)
            else:
                worker.kill()


@atexit.register
def dismiss() -> None:
    """End all idle workers."""
    with _lock:
        while _idle:
            _idle.pop().kill()
