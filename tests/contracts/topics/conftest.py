"""The brokers that the suite of topics runs on, each with its way of letting time pass."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from services.topics.base import Consumer, Delivery, Record, Topics
from services.topics.memory import Limits, MemoryTopics, Room

PATIENCE_S = 60.0  # how long a test waits for what must happen; nothing takes nearly as long
POLL_LIMIT_S = 6.0  # the shortest that a Kafka broker allows for a session


class Clock:
    """Unix seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Broker:
    """A broker under test: topics of this test's own, and time that passes while the test goes on polling."""

    def __init__(self, topics: Topics, pass_time: Callable[[], object], now: Callable[[], float]) -> None:
        self.topics = topics
        self.now = now
        self.group = f"test-{uuid.uuid4().hex}"
        self._pass_time = pass_time
        self._consumers: list[Consumer] = []

    def topic(self, partitions: int = 1) -> str:
        name = f"longtake.test-{uuid.uuid4().hex}"
        self.topics.ensure({name: partitions})
        return name

    def consumer(self, *topics: str, group: str = "", member: str = "") -> Consumer:
        """A new member of the test's own group, or of another."""
        self._consumers.append(self.topics.consumer(topics, self.group + group, member))
        return self._consumers[-1]

    def close(self) -> None:
        for consumer in self._consumers:
            consumer.close()
        self.topics.close()

    def during(self, seconds: float, meanwhile: Callable[[], object]) -> None:
        """Let so many seconds pass, calling `meanwhile` often."""
        until_s = self.now() + seconds
        while self.now() < until_s:
            meanwhile()
            self._pass_time()


def memory_broker() -> Broker:
    clock = Clock()

    def pass_time() -> None:
        clock.now_s += POLL_LIMIT_S / 6

    return Broker(MemoryTopics(Limits(poll_s=POLL_LIMIT_S, waiting=Room(30_000, 256 << 20)), clock=clock), pass_time, clock)


def kafka_broker(address: str, put_s: float = 30.0) -> Broker:
    from services.topics.kafka import KafkaTopics
    from services.topics.kafka_options import Waits

    waits = Waits(put_s=put_s, session_s=POLL_LIMIT_S, poll_s=POLL_LIMIT_S)
    return Broker(KafkaTopics(address, waits=waits), lambda: time.sleep(0.05), time.time)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    broker = memory_broker() if request.param == "memory" else kafka_broker(request.getfixturevalue("kafka"))
    yield broker
    broker.close()


def texts(deliveries: list[Delivery]) -> list[str]:
    return [delivery.record.value.decode() for delivery in deliveries]


def records(key: str, *values: str) -> list[Record]:
    return [Record(key, value.encode()) for value in values]


def await_deliveries(consumer: Consumer, count: int = 1) -> list[Delivery]:
    """So many deliveries, of as many partitions."""
    found: list[Delivery] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline_s, f"{len(found)} deliveries came, {count} were to come"
        found += consumer.poll(0.2, count - len(found))
    return found
