"""A member of a consumer group on a Kafka cluster. Knows rebalances, and who may commit what."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import kafka
from kafka import errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.net.compat import KafkaNetClient
from kafka.structs import OffsetAndMetadata, TopicPartition

from services.topics.base import BrokerUnavailable, Delivery, Record
from services.topics.kafka_options import Waits

EVERYTHING = 1 << 30  # records of one poll; a fetch brings 1 MiB a partition at most, or one batch

logger = logging.getLogger(__name__)


@contextmanager
def answered(doing: str) -> Iterator[None]:
    """Turns whatever kafka-python says into BrokerUnavailable."""
    try:
        yield
    except errors.KafkaError as error:
        raise BrokerUnavailable(f"Kafka failed while {doing}: {type(error).__name__} ({error})") from error


def opened(kind: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """One of kafka-python's clients, connected. Where it finds no broker it would leave its thread behind."""
    made: list[KafkaNetClient] = []

    def connection(**given: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**given))
        return made[-1]

    try:
        return kind(**settings, kafka_client=connection)
    except BaseException:
        for client in made:
            client.close()
        raise


class KafkaConsumer:
    """A member of a group on a Kafka cluster. kafka-python heartbeats in a thread of its own; rebalances happen inside `poll`."""

    def __init__(
        self,
        settings: dict[str, Any],
        topics: Sequence[str],
        group: str,
        member: str,
        waits: Waits,
        dismiss: Callable[[str, str, str], None],
    ) -> None:
        self._group = group
        self._member = member
        self._waits = waits
        self._dismiss = dismiss
        self._tickets = itertools.count(1)
        self._held: dict[TopicPartition, Delivery] = {}  # given out, and still to be committed or released
        self._read: dict[TopicPartition, deque[Delivery]] = {}  # to be given out next; their partitions are paused as well
        self._closed = False
        # Cooperative: members keep what does not move, and the work on it, while others come and go.
        self._assignor = CooperativeStickyAssignor()
        self._kafka = opened(
            kafka.KafkaConsumer,
            settings
            | {
                "group_id": group,
                "group_instance_id": member or None,
                "partition_assignment_strategy": [self._assignor],
                "max_poll_interval_ms": milliseconds(waits.poll_s),
                "session_timeout_ms": milliseconds(waits.session_s),
                "heartbeat_interval_ms": milliseconds(min(3.0, waits.session_s / 3)),
            },
        )
        self._kafka.subscribe(list(topics), listener=_Listener(self))
        self._member_id = ""

    def poll(self, timeout_s: float, most: int = 1) -> list[Delivery]:
        if self._closed:
            raise ValueError("this consumer was closed")
        deadline_s = time.monotonic() + timeout_s
        self._fetch(0.0 if most and self._free() else timeout_s)
        while not (most and self._free()) and (rest_s := deadline_s - time.monotonic()) > 0:
            self._fetch(rest_s)
        return [self._give(place) for place in self._free()[:most]]

    def commit(self, delivery: Delivery) -> bool:
        place = TopicPartition(delivery.topic, delivery.partition)
        deadline_s = time.monotonic() + self._waits.answer_s
        while self.owns(delivery):
            if self._commits(place, delivery.offset + 1):
                del self._held[place]
                self._go_on(place)
                return True
            if time.monotonic() > deadline_s:
                raise BrokerUnavailable(f"the group {self._group} was still rebalancing after {self._waits.answer_s:g} s")
            self._fetch(0.1)  # where a rebalance goes on
        return False

    def release(self, delivery: Delivery) -> None:
        if self.owns(delivery):
            place = TopicPartition(delivery.topic, delivery.partition)
            self._read.setdefault(place, deque()).appendleft(self._held.pop(place))

    def owns(self, delivery: Delivery) -> bool:
        held = self._held.get(TopicPartition(delivery.topic, delivery.partition))
        if self._closed or held is None or held.ticket != delivery.ticket:
            return False
        return bool(self._kafka.group_metadata().generation_id >= 0)  # else the group went on without this member

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.lose()
        member_id = self._kafka.group_metadata().member_id
        with suppress(errors.KafkaError):  # the session of a member that cannot say goodbye runs out
            self._kafka.close(autocommit=False, timeout_ms=milliseconds(min(5.0, self._waits.answer_s)))
        if self._member:
            with suppress(BrokerUnavailable):
                self._dismiss(self._group, self._member, member_id)

    def lose(self, places: Iterable[TopicPartition] | None = None) -> None:
        """These partitions, or all, went to other members, or will."""
        for place in list({**self._held, **self._read}) if places is None else places:
            self._held.pop(place, None)
            self._read.pop(place, None)

    def _free(self) -> list[TopicPartition]:
        """Partitions that can give a delivery, those first that have not for longest."""
        return [place for place in self._read if place not in self._held]

    def _give(self, place: TopicPartition) -> Delivery:
        waiting = self._read.pop(place)
        self._held[place] = replace(waiting.popleft(), ticket=next(self._tickets))
        if waiting:
            self._read[place] = waiting
        return self._held[place]

    def _go_on(self, place: TopicPartition) -> None:
        """Read on in a partition, once all that was read of it is done."""
        if place not in self._read:
            self._kafka.resume(place)

    def _fetch(self, timeout_s: float) -> None:
        """Keep the membership, take part in rebalances, and read on where nothing is held or waiting."""
        with answered(f"reading for {self._group}"):
            _keep_join(self._kafka._coordinator)
            found = polled(self._kafka, timeout_s)
            if self._is_somebody_else():
                self._start_over()
                return
        for place, messages in found.items():
            self._kafka.pause(place)
            self._read.setdefault(place, deque()).extend(messages)

    def _commits(self, place: TopicPartition, offset: int) -> bool:
        """False where the group is being rebalanced, so that nobody can tell yet whose the partition is."""
        with answered(f"committing {place.topic} for {self._group}"):
            try:
                self._kafka.commit({place: OffsetAndMetadata(offset, "", -1)}, milliseconds(self._waits.answer_s))
            except (errors.CommitFailedError, errors.RebalanceInProgressError):
                return False
            except errors.FencedInstanceIdError:  # another has come under our name
                self.lose()
                return False
        return True

    def _is_somebody_else(self) -> bool:
        """Whether the group forgot this member, and it joined anew."""
        before, self._member_id = self._member_id, self._kafka.group_metadata().member_id or self._member_id
        return before not in ("", self._member_id)

    def _start_over(self) -> None:
        """Begin again where the group is. kafka-python tells no listener when it is forgotten in the middle of a rebalance."""
        self.lose()
        for place in self._kafka.assignment():
            offset = self._kafka.committed(place, timeout_ms=milliseconds(self._waits.answer_s))
            self._kafka.seek_to_beginning(place) if offset is None else self._kafka.seek(place, offset)
            self._kafka.resume(place)


class _Listener(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Takes from a consumer what it loses. kafka-python calls it inside `poll`, and nothing else runs meanwhile."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer.lose(revoked)

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self._consumer.lose(lost)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        pass


class _KeptJoin:
    """A join of the group that ended between two polls, and that a poll takes for one that goes on and ends at once."""

    is_done = False

    def __init__(self, task: Any) -> None:
        self.add_callback, self.add_errback = task.add_callback, task.add_errback


def _keep_join(coordinator: Any) -> None:
    """Let a poll take up a join of the group that an earlier one did not wait for.

    kafka-python 3.0.12 forgets such a join once it ended: it asks for another, and the whole group rebalances again, without end where
    members poll by turns; or, where new metadata was the reason for it, for none, and never reads or heartbeats again.
    Reaches into the package, so its version is pinned.
    """
    if coordinator._join_task is not None:
        coordinator.request_rejoin()
        if coordinator._join_task.is_done:
            coordinator._join_task = _KeptJoin(coordinator._join_task)


def polled(reader: Any, timeout_s: float) -> dict[TopicPartition, list[Delivery]]:
    """What the partitions that are not paused have, as much as was fetched of each.

    All of it: kafka-python 3.0.12 never gives out the rest where a partition was paused in the middle and no other has anything new.
    """
    try:
        found = reader.poll(milliseconds(timeout_s), max_records=EVERYTHING)
    except UnicodeDecodeError as error:
        # The name of a header, which Kafka's protocol has in UTF-8. kafka-python cannot read the record, and would never go beyond it.
        place = reader._fetcher._next_partition_records.topic_partition
        offset = reader.position(place)
        logger.error("record skipped, a header's name is not UTF-8 topic=%s partition=%d offset=%d error=%s", *place, offset, error)
        reader.seek(place, offset + 1)
        return {}
    return {place: [_delivery(message) for message in messages] for place, messages in found.items()}


def _delivery(message: Any) -> Delivery:
    """Takes what anybody may have put, also what is no UTF-8, lacks a key or has no value."""
    record = Record(_text(message.key), message.value or b"", {name: _text(value) for name, value in message.headers})
    return Delivery(message.topic, message.partition, message.offset, message.timestamp, record)


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "backslashreplace")


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
