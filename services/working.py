"""A process's share of the services: a worker, and for `ingest` the listing of what no event told of. Starts, checks and stops them."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from pipelines.interfaces import StoreUnavailable
from services.app import open_bucket_of_films, open_parts, open_topics, open_worker
from services.ingest.bucket import reconciled
from services.messages import encode
from services.settings import Settings
from services.stages import Parts
from services.topics.base import BrokerUnavailable, Topics
from services.worker import Worker, group_of

logger = logging.getLogger(__name__)
LEAVE_S = 60.0  # for what is in hand to come to its end


class Working:
    """The stages `names`, at work in threads of this process. `check` raises where they are not well."""

    def __init__(self, settings: Settings, names: Sequence[str], topics: Topics | None = None, parts: Parts | None = None) -> None:
        self.settings, self.names = settings, tuple(names)
        self.topics = topics or open_topics(settings)
        self.parts = parts or open_parts(settings)
        self.worker: Worker = open_worker(settings, names, self.topics, self.parts)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self.worker.run, name="worker", daemon=True)]
        if "ingest" in names and settings.reconcile_s > 0:
            self._threads.append(threading.Thread(target=self._reconcile, name="reconcile", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        logger.info("working stages=%s slots=%d", "+".join(self.names), self.worker.rules.slots)

    def check(self) -> None:
        """Raises RuntimeError where a thread ended or hangs."""
        self.worker.check()
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead:
            raise RuntimeError(f"{', '.join(dead)} ended")

    def stop(self) -> None:
        """What is in hand comes to its end, within LEAVE_S; the rest goes to others."""
        self._stopping.set()
        self.worker.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(LEAVE_S)

    def lag(self) -> int:
        """Messages that wait for these stages."""
        return sum(self.topics.lag([stage.topic], group_of(stage.name)) for stage in self.worker.stages.values())

    def _reconcile(self) -> None:
        while not self._stopping.is_set():
            try:
                for out in reconciled(open_bucket_of_films(self.settings), self.parts.ledger):
                    self.topics.put(out.topic, [encode(out.message, "reconcile")])
            except (StoreUnavailable, BrokerUnavailable) as error:
                logger.warning("listing waits reason=%s", error)
            self._stopping.wait(self.settings.reconcile_s)


def work_until_told(working: Working, patience: Callable[[threading.Event], None] = lambda stop: None) -> None:
    """Work until SIGTERM or SIGINT, or until something is not well, which raises."""
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    working.start()
    try:
        while not stop.wait(1.0):
            working.check()
            patience(stop)
    finally:
        working.stop()
