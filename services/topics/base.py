"""What a topic is to those who put and take messages, whatever broker is behind it. Knows no broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

LARGEST_BYTES = 64 << 10  # of a value on any topic but those of live chunks: what is larger goes by claim


class BrokerUnavailable(Exception):
    """The broker did not answer. The same call may succeed later."""


class TooLarge(ValueError):
    """A value is larger than its topic takes; put it into the blob store and send the claim."""


class GroupInUse(Exception):
    """The group has members, who would not notice that it was moved. Stop them first."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is put on a topic. Records with the same key keep their order. headers: lower-case ASCII names, text values.

    What somebody else put may lack a key (""), have no value (b""), or hold bytes that are no UTF-8 (they read as \\xff).
    """

    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record and where it stands. (topic, partition, offset) names it for ever.

    ticket: which of its consumer's deliveries this is; the same record delivered once more has another. 0 for no consumer's.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    record: Record
    ticket: int = field(default=0, compare=False, repr=False)


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
        who gets the delivery again. Raises BrokerUnavailable; then it is still held, to be committed again or released."""
        ...

    def release(self, delivery: Delivery) -> None:
        """The delivery is not done: its partition gives it once more."""
        ...

    def owns(self, delivery: Delivery) -> bool:
        """Whether a commit of it would count: its partition was not lost since (nor lost and regained), nor was it done or released."""
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
        """A new member of `group`, from the oldest record that the group has not committed; it joins with its first poll.

        member: a name that survives restarts (static membership), empty for none; who comes later under the same name takes its place.
        Raises BrokerUnavailable, KeyError for an unknown topic.
        """
        ...

    def scan(self, topic: str) -> Iterator[Delivery]:
        """Everything the topic holds at the time of the call, oldest first within a partition, for no group."""
        ...

    def lag(self, topics: Sequence[str], group: str) -> int:
        """Records that the group has not committed."""
        ...

    def rewind(self, topic: str, group: str, since_ms: int = 0) -> None:
        """The group begins again at the first record put at `since_ms` (Unix) or later. Raises GroupInUse where it has members."""
        ...

    def partitions(self, topic: str) -> int:
        """How many it has. Raises KeyError for an unknown topic."""
        ...

    def close(self) -> None: ...


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, the same on every broker and in every process: Kafka's default partitioner.

    >>> [partition_of(key, 12) for key in ("", "film", "äther")]
    [9, 7, 2]
    """
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """MurmurHash2 by Austin Appleby (public domain), 32 bits, with the seed of org.apache.kafka.common.utils.Utils."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * multiplier & mask
        value = (value * multiplier & mask) ^ ((word ^ word >> 24) * multiplier & mask)
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15
