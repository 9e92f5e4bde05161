"""A member of a consumer group on a Kafka cluster. Knows rebalances, and who may commit what."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import kafka
from kafka import errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata, TopicPartition

from services.topics.base import BrokerUnavailable, Delivery
from services.topics.kafka_client import answered, keep_join, milliseconds, opened, polled
from services.topics.kafka_options import Waits


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
            self._require_own_name()
            keep_join(self._kafka._coordinator)
            found = polled(self._kafka, timeout_s)
            if self._is_somebody_else():
                self._start_over()
                return
        for place, messages in found.items():
            self._kafka.pause(place)
            self._read.setdefault(place, deque()).extend(messages)

    def _require_own_name(self) -> None:
        """kafka-python tells whose name was taken by another only in its log, and reads on."""
        coordinator = self._kafka._coordinator
        if self._member and coordinator.stable() and not coordinator._heartbeat_enabled:
            self.lose()
            raise BrokerUnavailable(f"another consumer has taken the place of the member {self._member} in {self._group}")

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
