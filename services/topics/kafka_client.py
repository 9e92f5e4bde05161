"""kafka-python 3.0.12, with what it was found to lack. Reaches into the package in places, so the package is pinned by the lock.

Each was met on a real broker, and tests/contracts/topics has a test that fails without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kafka import errors
from kafka.net.compat import KafkaNetClient
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.structs import TopicPartition

from services.topics.base import BrokerUnavailable, Delivery, Record

EVERYTHING = 1 << 30  # records of one poll; a fetch brings 1 MiB a partition at most, or one batch


@contextmanager
def answered(doing: str) -> Iterator[None]:
    """Turns whatever kafka-python says into BrokerUnavailable."""
    try:
        yield
    except errors.KafkaError as error:
        raise BrokerUnavailable(f"Kafka failed while {doing}: {error}") from error


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def opened(kind: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """One of kafka-python's clients, connected. Where it finds no broker it would leave its thread behind, and not say why."""
    made: list[KafkaNetClient] = []

    def connection(**given: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**given))
        return made[-1]

    try:
        return kind(**settings, kafka_client=connection)
    except BaseException as error:
        for client in made:
            client.close()
        if isinstance(error, errors.KafkaTimeoutError):
            raise errors.KafkaTimeoutError(f"{error.args[0]} in time; where somebody listens, kafka's log says why not") from error
        raise


def ended(producer: Any, timeout_s: float) -> None:
    """End a producer and whatever it still has to send. By `close` alone, one that cannot send never ends: it gives up before."""
    producer._sender.force_close()
    with suppress(errors.KafkaError):
        producer.close(timeout=timeout_s)


def polled(reader: Any, timeout_s: float) -> dict[TopicPartition, list[Delivery]]:
    """What the partitions that are not paused have, as much as was fetched of each.

    All of it: the rest would never come where a partition was paused in the middle and no other has anything new.
    """
    found = reader.poll(milliseconds(timeout_s), max_records=EVERYTHING)
    return {place: [_delivery(message) for message in messages] for place, messages in found.items()}


def keep_join(coordinator: Any) -> None:
    """Let the next poll take up a join of the group that an earlier one did not wait for.

    Else such a join is forgotten once it ended. Another is asked for, and the whole group rebalances again, without end where members
    poll by turns; or, where new metadata was the reason for it, none is, and the consumer never reads or heartbeats again.
    """
    if coordinator._join_task is not None:
        coordinator.request_rejoin()
        if coordinator._join_task.is_done:
            coordinator._join_task = _KeptJoin(coordinator._join_task)


class _KeptJoin:
    """A join that ended between two polls, and that a poll takes for one that goes on and ends at once."""

    is_done = False

    def __init__(self, task: Any) -> None:
        self.add_callback, self.add_errback = task.add_callback, task.add_errback


def _delivery(message: Any) -> Delivery:
    """Takes what anybody may have put, also what is no UTF-8, lacks a key or has no value."""
    record = Record(_text(message.key), message.value or b"", {name: _text(value) for name, value in message.headers})
    return Delivery(message.topic, message.partition, message.offset, message.timestamp, record)


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "backslashreplace")


class _Lenient(bytes):
    """Bytes whose parts can all be read as text."""

    def __getitem__(self, part: Any) -> Any:
        found = super().__getitem__(part)
        return _Lenient(found) if isinstance(part, slice) else found

    def decode(self, *_: str) -> str:
        return _text(bytes(self))


class _LenientBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python has no types
    """Reads headers whose name is not UTF-8, as Java's client does. Else a batch with one stops its partition for good."""

    _buffer: Any

    def _read_msg(self) -> Any:
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            self._buffer = _Lenient(self._buffer)
            return super()._read_msg()


memory_records.DefaultRecordBatch = _LenientBatch
