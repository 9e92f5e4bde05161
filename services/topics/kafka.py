"""Topics on a Kafka cluster, through kafka-python. Knows Kafka's groups, rebalances and errors, so that nobody else need."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import kafka
from kafka import errors
from kafka.admin import MemberToRemove, OffsetSpec, OffsetTimestamp
from kafka.structs import TopicPartition

from services.topics.base import LARGEST_BYTES, BrokerUnavailable, Delivery, GroupInUse, Record, TooLarge, partition_of
from services.topics.kafka_client import answered, ended, milliseconds, opened, polled
from services.topics.kafka_consumer import KafkaConsumer
from services.topics.kafka_options import OPEN, PATIENT, Security, Waits

WINDOW = 1_000  # records on their way at once: kafka-python's producer has no bound of its own
ROOM_BYTES = 64 << 10  # beside a value, for key, headers and the frame of a batch
Answer = TypeVar("Answer")
UNKNOWN_TOPIC, TOPIC_EXISTS = errors.UnknownTopicOrPartitionError.errno, errors.TopicAlreadyExistsError.errno


class KafkaTopics:
    """A Kafka cluster. servers: `host:port`, several separated by commas. largest: bytes that a topic's values may have, for those
    that take more than LARGEST_BYTES. copies: of each topic that is made, the broker's default where None; with three or more, two must
    have a record before it counts as durable. Connects when it is first used."""

    def __init__(
        self,
        servers: str,
        security: Security = OPEN,
        waits: Waits = PATIENT,
        largest: Mapping[str, int] | None = None,
        copies: int | None = None,
    ) -> None:
        self._waits, self._copies = waits, copies
        self._largest = dict(largest or {})
        self._counts: dict[str, int] = {}  # partitions by topic, as far as asked
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._admin: Any = None
        self._producer: Any = None
        self._closed = False
        self._settings = {
            "bootstrap_servers": [server.strip() for server in servers.split(",")],
            "bootstrap_timeout_ms": milliseconds(waits.answer_s),
            "request_timeout_ms": milliseconds(waits.answer_s),
            "reconnect_backoff_max_ms": 1_000,  # a broker that comes back is found within a second or two, not half a minute
            **security.settings(),
        }

    def ensure(self, partitions: Mapping[str, int]) -> None:
        copies = {"replication_factor": self._copies} if self._copies else {}
        wanted = {name: {"num_partitions": count, "configs": self._topic_settings(name)} | copies for name, count in partitions.items()}

        def make(admin: Any) -> None:
            for topic in admin.create_topics(wanted, raise_errors=False)["topics"]:
                if topic["error_code"] not in (0, TOPIC_EXISTS):
                    raise errors.for_code(topic["error_code"])(f"{topic['name']}: {topic['error_message']}")
            admin.wait_for_topics(list(partitions), milliseconds(self._waits.answer_s))

        self._ask(f"making the topics {', '.join(partitions)}", make)

    def partitions(self, topic: str) -> int:
        if topic not in self._counts:
            [found] = self._ask(f"asking for the partitions of {topic}", lambda admin: admin.describe_topics([topic]))
            if found["error_code"] == UNKNOWN_TOPIC:
                raise KeyError(f"there is no topic {topic} on this cluster")
            if found["error_code"]:
                raise BrokerUnavailable(f"Kafka does not tell the partitions of {topic}: {errors.for_code(found['error_code']).__name__}")
            self._counts[topic] = len(found["partitions"])
        return self._counts[topic]

    def put(self, topic: str, records: Iterable[Record], partition: int | None = None) -> None:
        messages = iter([self._message(topic, record, partition) for record in records])
        while window := list(itertools.islice(messages, WINDOW)):
            self._send(topic, window)

    def consumer(self, topics: Sequence[str], group: str, member: str = "") -> KafkaConsumer:
        for topic in topics:
            self.partitions(topic)
        with answered(f"joining the group {group}"):
            return KafkaConsumer(self._consumer_settings(), topics, group, member, self._waits, self._dismiss)

    def scan(self, topic: str) -> Iterator[Delivery]:
        places = self._places(topic)
        spans = self._ask(f"scanning {topic}", lambda admin: _spans(admin, places))
        return self._read({place: span for place, span in spans.items() if span[0] < span[1]})

    def lag(self, topics: Sequence[str], group: str) -> int:
        places = [place for topic in topics for place in self._places(topic)]

        def ask(admin: Any) -> int:
            committed = admin.list_group_offsets({group: places})[group]
            return sum(end - max(first, committed[place].offset) for place, (first, end) in _spans(admin, places).items())

        return self._ask(f"asking for the lag of {group}", ask)

    def rewind(self, topic: str, group: str, since_ms: int = 0) -> None:
        places, moment = self._places(topic), OffsetTimestamp(since_ms) if since_ms > 0 else OffsetSpec.EARLIEST
        moved = self._ask(f"rewinding {group} on {topic}", lambda admin: admin.reset_group_offsets(group, dict.fromkeys(places, moment)))
        for outcome in {moved[place]["error"] for place in moved}:
            if outcome in (errors.UnknownMemberIdError, errors.NonEmptyGroupError, errors.RebalanceInProgressError):
                raise GroupInUse(f"{group} still has members; stop them before it is rewound on {topic}")
            if outcome is not errors.NoError:
                raise BrokerUnavailable(f"Kafka did not rewind {group} on {topic}: {outcome.__name__}")

    def close(self) -> None:
        self._closed = True
        if self._producer:
            self._abandon(self._producer)  # nothing is on its way but what a `put` waits for
        with self._asking:
            self._drop_admin()

    # Putting.

    def _message(self, topic: str, record: Record, partition: int | None) -> dict[str, Any]:
        count, largest = self.partitions(topic), self._largest.get(topic, LARGEST_BYTES)
        if len(record.value) > largest:
            raise TooLarge(f"{topic} takes values of up to {largest} bytes, got {len(record.value)}: put it into the blob store")
        if partition is not None and not 0 <= partition < count:
            raise ValueError(f"{topic} has the partitions 0 to {count - 1}, got {partition}")
        return {
            "key": record.key.encode(),
            "value": record.value,
            "headers": [(name.encode().decode(), text.encode()) for name, text in record.headers.items()],
            "partition": partition_of(record.key, count) if partition is None else partition,
        }

    def _send(self, topic: str, messages: list[dict[str, Any]]) -> None:
        with answered(f"putting records on {topic}"):
            producer = self._open_producer()
            try:
                sent = [producer.send(topic, **message) for message in messages]
                for future in sent:
                    future.get(self._waits.put_s)
            except (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError) as error:
                raise TooLarge(f"the broker takes no record as large as one of those for {topic}: {error}") from error
            except errors.KafkaError:
                self._counts.pop(topic, None)  # the topic may have been made anew
                self._abandon(producer)
                raise

    def _open_producer(self) -> Any:
        with self._lock:
            self._require_open()
            if self._producer is None:
                largest = max([LARGEST_BYTES, *self._largest.values()]) + ROOM_BYTES
                patience_ms = milliseconds(self._waits.put_s)
                self._producer = opened(
                    kafka.KafkaProducer,
                    self._settings
                    | {
                        "enable_idempotence": True,
                        "acks": "all",
                        "allow_auto_create_topics": False,
                        "max_request_size": max(1 << 20, largest),
                        "max_block_ms": patience_ms,
                        "delivery_timeout_ms": patience_ms,
                        "request_timeout_ms": min(patience_ms, milliseconds(self._waits.answer_s)),
                    },
                )
            return self._producer

    def _abandon(self, producer: Any) -> None:
        """Have the next put begin with a new producer: an idempotent one of kafka-python 3.0.12 whose records could not be sent in time
        sends nothing any more."""
        with self._lock:
            self._producer = None if self._producer is producer else self._producer
        ended(producer, self._waits.answer_s)

    # Asking.

    def _ask(self, doing: str, question: Callable[[Any], Answer]) -> Answer:
        """Put a question to the cluster, once more with a new client where its answer may pass: an old one remembers coordinators."""
        deadline_s = time.monotonic() + self._waits.answer_s
        with self._asking, answered(doing):
            while True:
                self._require_open()
                try:
                    self._admin = self._admin or opened(kafka.KafkaAdminClient, self._settings)
                    return question(self._admin)
                except errors.RetriableError:
                    self._drop_admin()
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(0.1)

    def _drop_admin(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _require_open(self) -> None:
        if self._closed:
            raise BrokerUnavailable("this connection to Kafka was closed")

    def _topic_settings(self, topic: str) -> dict[str, str]:
        largest = self._largest.get(topic, LARGEST_BYTES) + ROOM_BYTES
        sizes = {"max.message.bytes": str(largest)} if largest > 1 << 20 else {}  # more than a broker takes by default
        return sizes | ({"min.insync.replicas": "2"} if (self._copies or 1) >= 3 else {})

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions(topic))]

    def _dismiss(self, group: str, name: str, member_id: str) -> None:
        """Take a named member out of its group, which otherwise keeps its place for it until its session ends."""
        leaving = [MemberToRemove(member_id=member_id, group_instance_id=name)]
        self._ask(f"leaving {group} as {name}", lambda admin: admin.remove_group_members(group, leaving))

    # Reading.

    def _consumer_settings(self) -> dict[str, Any]:
        return self._settings | {
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "fetch_max_wait_ms": milliseconds(self._waits.fetch_s),
            "metrics_enabled": False,
        }

    def _read(self, spans: dict[TopicPartition, tuple[int, int]]) -> Iterator[Delivery]:
        """What lies between two offsets, partition by partition, for no group."""
        if not spans:
            return
        with answered("scanning"):
            reader = opened(kafka.KafkaConsumer, self._consumer_settings())
        try:
            for place, (first, end) in spans.items():
                reader.assign([place])
                reader.seek(place, first)
                yield from self._read_one(reader, place, end)
        finally:
            reader.close()

    def _read_one(self, reader: Any, place: TopicPartition, end: int) -> Iterator[Delivery]:
        waits_until_s = time.monotonic() + self._waits.answer_s
        while True:
            with answered(f"scanning {place.topic}"):
                found = polled(reader, self._waits.fetch_s).get(place, [])
                position = reader.position(place, milliseconds(self._waits.answer_s))
            yield from (delivery for delivery in found if delivery.offset < end)
            if position is not None and position >= end:  # a marker of a transaction takes an offset too, so no record need be the last
                return
            if found:
                waits_until_s = time.monotonic() + self._waits.answer_s
            elif time.monotonic() > waits_until_s:
                raise BrokerUnavailable(
                    f"Kafka gave nothing of {place.topic} for {self._waits.answer_s:g} s, {end - (position or 0)} to come"
                )


def _spans(admin: Any, places: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    """The first offset that each partition still holds, and the one that its next record gets."""
    first = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    return {place: (first[place].offset, ends[place].offset) for place in places}
