"""What a topic is to those who put and take messages, whatever broker is behind it. Knows no broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

LARGEST_BYTES = 64 << 10  # of a value on any topic but those of live chunks: what is larger goes by claim


class BrokerUnavailable(Exception):
    """The broker did not answer. The same call may succeed later."""


class TooLarge(ValueError):
    """A value is larger than its topic takes; put it into the blob store and send the claim."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is put on a topic. Records with the same key keep their order. headers: lower-case ASCII names, text values."""

    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record and where it stands. (topic, partition, offset) names it for ever."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    record: Record


class Consumer(Protocol):
    """One member of a group. Not thread-safe: one thread calls it, the work may be done in others.

    A partition that gave a delivery gives no other until that one is committed or released, so order per key holds without further
    care, and work may take longer than any poll limit as long as `poll` goes on being called.
    """

    def poll(self, timeout_s: float, most: int = 1) -> list[Delivery]:
        """Up to `most` new deliveries, each of another partition; an empty list after `timeout_s`. most=0 keeps the membership only.

        Raises BrokerUnavailable.
        """
        ...

    def commit(self, delivery: Delivery) -> bool:
        """The delivery is done for good: its partition goes on behind it. False where the partition meanwhile went to another member,
        who gets the delivery again. Raises BrokerUnavailable."""
        ...

    def release(self, delivery: Delivery) -> None:
        """The delivery is not done: its partition gives it once more."""
        ...

    def owns(self, delivery: Delivery) -> bool:
        """Whether its partition is still this member's."""
        ...

    def close(self) -> None:
        """Leave the group at once; what was not committed goes to other members."""
        ...


class Topics(Protocol):
    """A broker, seen by all who use it. Thread-safe."""

    def ensure(self, partitions: Mapping[str, int]) -> None:
        """Make the topics that are not there, with so many partitions. Raises BrokerUnavailable."""
        ...

    def put(self, topic: str, records: Iterable[Record], partition: int | None = None) -> None:
        """Returns once all are durable (acknowledged by all replicas in sync), in order per key. partition: instead of the key's own.

        Waits while the broker takes no more (back-pressure), up to its time-out. Raises BrokerUnavailable, TooLarge, KeyError for an
        unknown topic.
        """
        ...

    def consumer(self, topics: Sequence[str], group: str, member: str = "") -> Consumer:
        """A new member of `group`, from the oldest record that the group has not committed. member: a name that survives restarts
        (static membership), empty for none."""
        ...

    def scan(self, topic: str) -> Iterator[Delivery]:
        """Everything the topic holds at the time of the call, oldest first within a partition, for no group."""
        ...

    def lag(self, topics: Sequence[str], group: str) -> int:
        """Records that the group has not committed."""
        ...

    def rewind(self, topic: str, group: str, since_ms: int = 0) -> None:
        """The group, which must have no members, begins again at the first record put at `since_ms` (Unix) or later."""
        ...

    def partitions(self, topic: str) -> int: ...

    def close(self) -> None: ...
