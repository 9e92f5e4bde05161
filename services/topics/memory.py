"""The broker inside one process: topics in memory, with Kafka's partitions, groups and redelivery. Nothing of it outlives the process."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.topics.base import LARGEST_BYTES, BrokerUnavailable, Delivery, GroupInUse, Record, TooLarge, partition_of

logger = logging.getLogger(__name__)

Place = tuple[str, int]  # a topic and the number of one of its partitions


@dataclass(frozen=True, slots=True)
class Room:
    """So many records, and so many bytes of values, whichever is reached first."""

    records: int
    bytes: int

    def __post_init__(self) -> None:
        if self.records < 1 or self.bytes < 1:
            raise ValueError(f"there is room for at least one record and one byte, got {self.records} and {self.bytes}")

    def share(self, partitions: int) -> Room:
        return Room(-(-self.records // partitions), -(-self.bytes // partitions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a `MemoryTopics` keeps, and how long it waits."""

    waiting: Room = Room(10_000, 256 << 20)  # a topic's records that some group has not committed; `put` waits for more
    done: Room = Room(1_000, 16 << 20)  # a topic's records that every group has committed, kept for `scan` and `rewind`
    unread: Room = Room(100_000, 256 << 20)  # of a topic that no group ever read; the oldest go beyond it, and the log says so
    put_s: float = 30.0  # how long `put` waits for each record before the broker counts as unavailable
    poll_s: float = 300.0  # a member that has not polled for so long has died: Kafka's max.poll.interval.ms


class _Log:
    """One partition: deliveries by offset, from `first` up to but without `end`."""

    def __init__(self) -> None:
        self.first = self.end = 0
        self._entries: dict[int, tuple[Delivery, int]] = {}  # with the bytes of all values up to and with this one
        self._bytes = self._forgotten_bytes = 0

    def append(self, delivery: Delivery) -> None:
        self._bytes += len(delivery.record.value)
        self._entries[self.end] = (delivery, self._bytes)
        self.end += 1

    def __getitem__(self, offset: int) -> Delivery:
        return self._entries[offset][0]

    def __iter__(self) -> Iterator[Delivery]:
        return (delivery for delivery, _ in self._entries.values())

    def bytes_before(self, offset: int) -> int:
        """Of all values ever put before `offset`."""
        return self._entries[offset - 1][1] if offset > self.first else self._forgotten_bytes

    def forget(self, before: int, room: Room) -> int:
        """Let go of the oldest records before the offset `before` that have no room; returns how many."""
        start = self.first
        while self.first < before and not self._fits(before, room):
            self._forgotten_bytes = self._entries.pop(self.first)[1]
            self.first += 1
        return self.first - start

    def _fits(self, before: int, room: Room) -> bool:
        return before - self.first <= room.records and self.bytes_before(before) - self._forgotten_bytes <= room.bytes


@dataclass(eq=False, slots=True)
class _Group:
    """Who reads, which of them reads what, and how far all of them got."""

    committed: dict[Place, int] = field(default_factory=dict)
    members: list[MemoryConsumer] = field(default_factory=list)
    owners: dict[Place, MemoryConsumer] = field(default_factory=dict)

    def rebalance(self) -> None:
        """Give each partition to a member that reads its topic, evenly, and move as few as that takes."""
        before = dict(self.owners)
        self.owners = {place: owner for place, owner in before.items() if owner in self.members}
        for place in self.committed:
            readers = [member for member in self.members if place[0] in member.topics]
            if place not in self.owners and readers:
                self.owners[place] = min(readers, key=lambda member: len(self.owned(member)))
        while move := self._levelling():
            self.owners[move[0]] = move[1]
        for place, owner in before.items():
            if self.owners.get(place) is not owner:
                owner.lose(place)

    def owned(self, member: MemoryConsumer) -> list[Place]:
        return [place for place, owner in self.owners.items() if owner is member]

    def _levelling(self) -> tuple[Place, MemoryConsumer] | None:
        """A partition of a member that has at least two more than another that could read it, and that other."""
        loads = sorted(((member, self.owned(member)) for member in self.members), key=lambda load: len(load[1]))
        for member, owned in loads:
            for _, many in reversed(loads):
                if len(many) - len(owned) > 1 and (place := next((p for p in many if p[0] in member.topics), None)):
                    return place, member
        return None


class MemoryTopics:
    """A broker for the threads of one process.

    clock: Unix seconds, for timestamps and for members that stopped polling. largest: bytes that a topic's values may have, for those
    that take more than LARGEST_BYTES.
    """

    def __init__(self, limits: Limits = Limits(), largest: Mapping[str, int] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._largest = dict(largest or {})
        self._clock = clock
        self._changed = threading.Condition()
        self._logs: dict[str, list[_Log]] = {}
        self._groups: dict[str, _Group] = {}
        self._overflowing: set[str] = set()
        self._closed = False

    def ensure(self, partitions: Mapping[str, int]) -> None:
        with self._changed:
            for topic, count in partitions.items():
                if count < 1:
                    raise ValueError(f"a topic has at least one partition, {topic} was to have {count}")
                self._logs.setdefault(topic, [_Log() for _ in range(count)])

    def partitions(self, topic: str) -> int:
        return len(self._topic(topic))

    def put(self, topic: str, records: Iterable[Record], partition: int | None = None) -> None:
        addressed = [(self._addressed(topic, record, partition), record) for record in records]
        for number, record in addressed:
            with self._changed:
                if not self._changed.wait_for(lambda: self._closed or self._has_room(topic), self._limits.put_s):
                    raise BrokerUnavailable(f"{topic} is full: its readers committed nothing in {self._limits.put_s:g} s")
                self._require_open()
                self._append(topic, number, record)

    def consumer(self, topics: Sequence[str], group: str, member: str = "") -> MemoryConsumer:
        with self._changed:
            self._require_open()
            found = self._groups.setdefault(group, _Group())
            for topic in topics:
                for number, log in enumerate(self._topic(topic)):
                    found.committed.setdefault((topic, number), log.first)
            return MemoryConsumer(self, found, tuple(topics), member)

    def scan(self, topic: str) -> Iterator[Delivery]:
        with self._changed:
            return iter([delivery for log in self._topic(topic) for delivery in log])

    def lag(self, topics: Sequence[str], group: str) -> int:
        with self._changed:
            committed = self._groups[group].committed if group in self._groups else {}
            logs = [((topic, number), log) for topic in topics for number, log in enumerate(self._topic(topic))]
            return sum(log.end - max(committed.get(place, 0), log.first) for place, log in logs)

    def rewind(self, topic: str, group: str, since_ms: int = 0) -> None:
        with self._changed:
            found = self._groups.setdefault(group, _Group())
            if found.members:
                raise GroupInUse(f"{group} still reads {topic} with {len(found.members)} members; stop them before it is rewound")
            for number, log in enumerate(self._topic(topic)):
                later = (delivery.offset for delivery in log if delivery.timestamp_ms >= since_ms)
                found.committed[topic, number] = next(later, log.end)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # What consumers call, holding the lock.

    def _attend(self, consumer: MemoryConsumer, group: _Group) -> None:
        """Note that the consumer lives, let it join, and take out those who stopped polling."""
        now = self._clock()
        consumer.polled_s = now
        dead = [member for member in group.members if now - member.polled_s > self._limits.poll_s]
        replaced = [member for member in group.members if member.name == consumer.name and member is not consumer and member.name]
        joins = consumer not in group.members
        for member in replaced:
            member.replaced = True
        if dead or replaced or joins:
            gone = [*dead, *replaced]
            group.members = [member for member in group.members if member not in gone] + [consumer] * joins
            group.rebalance()
            self._changed.notify_all()

    def _wait(self, consumer: MemoryConsumer, timeout_s: float) -> bool:
        """Until something changes; False after `timeout_s`. Who waits here has not died."""
        consumer.polled_s = math.inf
        changed = self._changed.wait(timeout_s)
        consumer.polled_s = self._clock()
        return changed

    def _commit(self, group: _Group, delivery: Delivery) -> None:
        group.committed[delivery.topic, delivery.partition] = delivery.offset + 1
        self._forget(delivery.topic, delivery.partition)
        self._changed.notify_all()

    def _next(self, group: _Group, place: Place) -> Delivery | None:
        log, offset = self._logs[place[0]][place[1]], group.committed[place]
        return log[offset] if offset < log.end else None

    def _require_open(self) -> None:
        if self._closed:
            raise BrokerUnavailable("the broker in memory was closed")

    # What is on the topics.

    def _topic(self, topic: str) -> list[_Log]:
        if topic not in self._logs:
            raise KeyError(f"there is no topic {topic}; there are {', '.join(sorted(self._logs)) or 'none'}")
        return self._logs[topic]

    def _addressed(self, topic: str, record: Record, partition: int | None) -> int:
        """The number of the partition that the record belongs to, once it is sure that the topic takes it."""
        count, largest = self.partitions(topic), self._largest.get(topic, LARGEST_BYTES)
        if len(record.value) > largest:
            raise TooLarge(f"{topic} takes values of up to {largest} bytes, got {len(record.value)}: put it into the blob store")
        for text in (*record.headers, *record.headers.values()):
            text.encode()  # as refused by Kafka: a lone surrogate
        if partition is not None and not 0 <= partition < count:
            raise ValueError(f"{topic} has the partitions 0 to {count - 1}, got {partition}")
        return partition_of(record.key, count) if partition is None else partition

    def _append(self, topic: str, number: int, record: Record) -> None:
        log = self._logs[topic][number]
        own = replace(record, headers=dict(record.headers))
        log.append(Delivery(topic, number, log.end, int(self._clock() * 1000), own))
        self._forget(topic, number)
        self._changed.notify_all()

    def _has_room(self, topic: str) -> bool:
        """Whether the topic takes another record: an empty one takes any."""
        logs = [(log, self._floor((topic, number))) for number, log in enumerate(self._logs[topic])]
        count = sum(log.end - floor for log, floor in logs)
        size = sum(log.bytes_before(log.end) - log.bytes_before(floor) for log, floor in logs)
        return count < self._limits.waiting.records and size < self._limits.waiting.bytes

    def _floor(self, place: Place) -> int:
        """The first offset that some group has still to commit; the end where no group reads."""
        log = self._logs[place[0]][place[1]]
        return min((max(group.committed[place], log.first) for group in self._groups.values() if place in group.committed), default=log.end)

    def _forget(self, topic: str, number: int) -> None:
        """Let go of what has no room any more in one partition, each having the same share of the topic's."""
        log, count = self._logs[topic][number], len(self._logs[topic])
        read = any((topic, number) in group.committed for group in self._groups.values())
        gone = log.forget(self._floor((topic, number)), (self._limits.done if read else self._limits.unread).share(count))
        if gone and not read and topic not in self._overflowing:
            self._overflowing.add(topic)
            logger.warning("topic overflows, nobody reads it and its oldest records go topic=%s", topic)


class MemoryConsumer:
    """A member of a group on a `MemoryTopics`."""

    def __init__(self, broker: MemoryTopics, group: _Group, topics: tuple[str, ...], name: str) -> None:
        self.topics = topics
        self.name = name
        self.polled_s = 0.0  # by the broker's clock
        self.replaced = self._closed = False
        self._broker = broker
        self._group = group
        self._held: dict[Place, Delivery] = {}
        self._tickets = 0
        self._served: dict[Place, int] = {}  # the ticket that each partition was given last: the longest unserved goes first

    def poll(self, timeout_s: float, most: int = 1) -> list[Delivery]:
        deadline_s = time.monotonic() + timeout_s
        with self._broker._changed:
            while True:
                self._require_member()
                self._broker._attend(self, self._group)
                if found := self._deliver(most):
                    return found
                if not self._broker._wait(self, max(0.0, deadline_s - time.monotonic())):
                    return []

    def commit(self, delivery: Delivery) -> bool:
        with self._broker._changed:
            self._broker._require_open()
            if not self.owns(delivery):
                return False
            del self._held[delivery.topic, delivery.partition]
            self._broker._commit(self._group, delivery)
            return True

    def release(self, delivery: Delivery) -> None:
        with self._broker._changed:
            if self.owns(delivery):
                del self._held[delivery.topic, delivery.partition]

    def owns(self, delivery: Delivery) -> bool:
        held = self._held.get((delivery.topic, delivery.partition))
        return held is not None and held.ticket == delivery.ticket

    def close(self) -> None:
        with self._broker._changed:
            self._closed = True
            self._held.clear()
            if self in self._group.members:
                self._group.members.remove(self)
                self._group.rebalance()
                self._broker._changed.notify_all()

    def lose(self, place: Place) -> None:
        """The partition went to another member."""
        self._held.pop(place, None)

    def _deliver(self, most: int) -> list[Delivery]:
        free = [place for place in self._group.owned(self) if place not in self._held]
        found: list[Delivery] = []
        for place in sorted(free, key=lambda place: self._served.get(place, 0)):
            if len(found) < most and (delivery := self._broker._next(self._group, place)):
                self._tickets += 1
                self._held[place] = replace(delivery, ticket=self._tickets)
                self._served[place] = self._tickets
                found.append(self._held[place])
        return found

    def _require_member(self) -> None:
        if self._closed:
            raise ValueError("this consumer was closed")
        self._broker._require_open()
        if self.replaced:
            raise BrokerUnavailable(f"another consumer has taken the place of the member {self.name}")
