"""Whatever happens in a worker, its caller hears of it in words and goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pipelines.interfaces import UnreadableVideo
from pipelines.limits import MEBI, STANDARD, Limits
from pipelines.workers import Done, Worker, WorkerBug, WorkerDied, crew

Send = Callable[[object], None]


def count(send: Send, upto: int) -> None:
    for number in range(upto):
        send(number)


def crash(send: Send) -> None:
    send("before")
    os.kill(os.getpid(), signal.SIGSEGV)


def bloat(send: Send, mebis: int) -> None:
    send(int(np.ones(mebis * MEBI, np.uint8)[::4096].sum()))


def refuse(send: Send) -> None:
    raise UnreadableVideo("film.mp4 is a shopping list")


def stumble(send: Send) -> None:
    raise KeyError("no such thing")


def sleep(send: Send) -> None:
    time.sleep(3600)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(Limits(memory_bytes=400 * MEBI))
    yield worker
    worker.kill()


def answers(worker: Worker) -> list[object]:
    told = []
    while not isinstance(value := worker.receive(), Done):
        told.append(value)
    return told


def test_a_worker_answers_call_after_call(worker: Worker):
    worker.start(count, 3)
    assert answers(worker) == [0, 1, 2]

    worker.start(count, 1)
    assert answers(worker) == [0]


def test_a_crash_is_told_with_what_came_before_it(worker: Worker):
    worker.start(crash)

    assert worker.receive() == "before"
    with pytest.raises(WorkerDied, match="the decoder crashed \\(SIGSEGV\\)"):
        worker.receive()
    assert not worker.alive


def test_memory_past_the_limit_is_refused_and_the_worker_lives_on(worker: Worker):
    worker.start(bloat, 1000)
    with pytest.raises(WorkerBug, match="MemoryError"):
        answers(worker)

    worker.start(bloat, 100)
    assert answers(worker) == [100 * 256]


def test_a_refusal_arrives_as_itself_and_a_bug_with_its_traceback(worker: Worker):
    worker.start(refuse)
    with pytest.raises(UnreadableVideo, match="shopping list"):
        answers(worker)

    worker.start(stumble)
    with pytest.raises(WorkerBug, match="in stumble"):
        answers(worker)


def test_a_killed_worker_says_why_it_was_killed(worker: Worker):
    worker.start(sleep)
    worker.kill("it gave no picture for 60 s")

    with pytest.raises(WorkerDied, match="no picture"):
        worker.receive()


def test_workers_are_kept_warm_and_those_at_work_are_not():
    with crew(2, STANDARD) as hands:
        rested = hands.idle()
        assert rested is not None
        rested.start(count, 0)
        tired = hands.idle()
        assert tired is not None and tired is not rested
        tired.start(sleep)
        assert hands.idle() is None
        answers(rested)

    assert not tired.alive
    with crew(1, STANDARD) as hands:
        assert hands.idle() is rested
