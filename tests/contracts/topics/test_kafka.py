"""Kafka alone: brokers that go and come back, members that are killed, messages of others, and secrets."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers import Servers
from services.topics.base import BrokerUnavailable, Consumer, Delivery, Record
from services.topics.kafka import KafkaTopics
from services.topics.kafka_options import Security, Waits
from tests.contracts.topics.conftest import PATIENCE_S, POLL_LIMIT_S, Broker, await_deliveries, kafka_broker, records, texts

ROOT = Path(__file__).parents[3]
NOWHERE = "127.0.0.1:9"  # the port "discard", where nobody listens

MEMBER = """
import sys
from services.topics.kafka import KafkaTopics
from services.topics.kafka_options import Waits

address, topic, group, session_s, name = sys.argv[1:]
member = KafkaTopics(address, waits=Waits(session_s=float(session_s))).consumer([topic], group, name)
while True:
    for delivery in member.poll(1.0, 4):
        print(delivery.record.value.decode(), flush=True)  # the work, durable before it is committed
        member.commit(delivery)
"""


@pytest.fixture
def broker(kafka: str) -> Iterator[Broker]:
    made = kafka_broker(kafka)
    yield made
    made.close()


@contextlib.contextmanager
def member_process(address: str, topic: str, group: str, name: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that works for the group until it is killed."""
    command = [sys.executable, "-c", MEMBER, address, topic, group, str(POLL_LIMIT_S), name]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def put_through(broker: Broker, topic: str, values: list[str]) -> None:
    """One record at a time, again and again while the broker is away."""
    for value in values:
        deadline_s = time.monotonic() + 3 * PATIENCE_S
        while True:
            try:
                broker.topics.put(topic, records("film", value))
                break
            except BrokerUnavailable:
                assert time.monotonic() < deadline_s


def work_off(member: Consumer, held: list[Delivery]) -> list[str]:
    """What could be committed of what is held and of what comes; the rest stays in `held`."""
    done: list[str] = []
    with contextlib.suppress(BrokerUnavailable):
        held += member.poll(0.5)
        while held:
            done += texts(held[:1]) if member.commit(held[0]) else []
            del held[0]
    return done


def raw_producer(address: str, **settings: Any) -> Any:
    import kafka

    return kafka.KafkaProducer(bootstrap_servers=address, **settings)


@pytest.mark.servers
def test_a_killed_member_loses_nothing(broker: Broker, kafka: str):
    topic = broker.topic(partitions=4)
    everything = [f"{number}" for number in range(2_000)]
    broker.topics.put(topic, [Record(value, value.encode()) for value in everything])
    with member_process(kafka, topic, broker.group) as process:
        begun = lines(process, 50)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
    member = broker.consumer(topic)
    done: list[str] = []

    while broker.topics.lag([topic], broker.group):
        for delivery in member.poll(1.0, 4):
            done += texts([delivery])
            assert member.commit(delivery)

    assert sorted({*begun, *rest, *done}, key=int) == everything
    assert len({*begun, *rest} & {*done}) <= 4  # only what the dead one held, one of each partition


@pytest.mark.servers
def test_a_killed_member_with_a_name_comes_back_to_its_work_at_once(broker: Broker, kafka: str):
    topic = broker.topic()
    broker.topics.put(topic, records("film", *(f"{number}" for number in range(1_000))))
    with member_process(kafka, topic, broker.group, "decode-0") as process:
        lines(process, 5)
    started_s = time.monotonic()

    found = await_deliveries(broker.consumer(topic, member="decode-0"))

    assert len(found) == 1
    assert time.monotonic() - started_s < POLL_LIMIT_S  # the session of the dead one had not run out


@pytest.mark.servers
@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_restarted_broker_interrupts_nobody(kafka: str, servers: Servers, ending: str):
    broker = kafka_broker(kafka, put_s=5.0)  # shorter than the outage: some puts fail, and those after them do not
    topic = broker.topic()
    everything = [f"{number}" for number in range(400)]
    member = broker.consumer(topic)
    writer = threading.Thread(target=put_through, args=(broker, topic, everything))
    writer.start()
    done: list[str] = []
    deadline_s = time.monotonic() + 5 * PATIENCE_S
    restart = threading.Thread(target=lambda: (getattr(servers, ending)("kafka"), servers.start("kafka")))
    held: list[Delivery] = []

    while len(set(done)) < len(everything):
        assert time.monotonic() < deadline_s
        if len(done) == 100 and not restart.is_alive():
            restart.start()
        done += work_off(member, held)
    writer.join()
    restart.join()

    broker.close()

    assert list(dict.fromkeys(done)) == everything  # in order; what was put or committed while the broker fell may come twice


@pytest.mark.servers
def test_while_the_broker_is_away_everybody_is_told_and_afterwards_all_goes_on(kafka: str, servers: Servers):
    topics = KafkaTopics(kafka, waits=Waits(answer_s=2.0, put_s=2.0, session_s=60.0))
    broker = Broker(topics, lambda: None, time.time)
    topic = broker.topic(partitions=2)
    broker.topics.put(topic, records("film", "first", "second"))
    member = broker.consumer(topic)
    [held] = await_deliveries(member)
    servers.stop("kafka")

    for use in (
        lambda: topics.put(topic, records("other film", "lost")),
        lambda: topics.lag([topic], broker.group),
        lambda: topics.consumer([topic], broker.group),
        lambda: topics.scan(topic),
        lambda: member.commit(held),
        lambda: KafkaTopics(kafka, waits=Waits(answer_s=1.0)).partitions(topic),
    ):
        with pytest.raises(BrokerUnavailable, match="Kafka"):
            use()
    with contextlib.suppress(BrokerUnavailable):
        assert member.poll(1.0) == []
    servers.start("kafka")

    put_through(broker, topic, ["later"])
    deadline_s = time.monotonic() + PATIENCE_S
    waiting, done = [held], [""]
    while done[-1] != "later":
        assert time.monotonic() < deadline_s
        done += work_off(member, waiting)
    assert done[-3:] == ["first", "second", "later"]
    broker.close()


@pytest.mark.servers
def test_what_others_put_is_read_as_it_is(broker: Broker, kafka: str):
    topic = broker.topic()
    producer = raw_producer(kafka)
    producer.send(topic, key=b"\xff\xfe", value=None, headers=[("Twice", b"1"), ("Twice", b"\x80"), ("none", b"")]).get(30)
    producer.send(topic, key=None, value=b"{}").get(30)
    producer.close()
    member = broker.consumer(topic)

    for expected in (Record("\\xff\\xfe", b"", {"Twice": "\\x80", "none": ""}), Record("", b"{}")):
        [delivery] = await_deliveries(member)
        assert delivery.record == expected
        assert member.commit(delivery)
    assert len(list(broker.topics.scan(topic))) == 2


@pytest.mark.servers
def test_a_header_with_a_name_that_breaks_the_protocol_is_read_as_well(broker: Broker, kafka: str):
    class NotUtf8(str):
        def encode(self, *_: str) -> bytes:
            return b"\xff"

    topic = broker.topic()
    producer = raw_producer(kafka, linger_ms=1_000)  # all in one batch, which is read as a whole or not at all
    for headers in ([("fine", b"")], [("fine", b""), (NotUtf8("x"), b"\xfe")], [("fine", b"")]):
        producer.send(topic, key=b"film", value=b"", headers=headers)
    producer.flush()
    producer.close()
    expected = [Record("film", b"", headers) for headers in ({"fine": ""}, {"fine": "", "\\xff": "\\xfe"}, {"fine": ""})]
    member = broker.consumer(topic)

    for record in expected:
        [delivery] = await_deliveries(member)
        assert delivery.record == record
        assert member.commit(delivery)
    assert [delivery.record for delivery in broker.topics.scan(topic)] == expected


@pytest.mark.servers
def test_a_topic_of_large_values_takes_them(kafka: str):
    topic, chunk = f"longtake.test-{uuid.uuid4().hex}", os.urandom(4 << 20)
    topics = KafkaTopics(kafka, largest={topic: 4 << 20})
    topics.ensure({topic: 1})

    topics.put(topic, [Record("stream", chunk), Record("stream", chunk)])

    assert [delivery.record.value == chunk for delivery in topics.scan(topic)] == [True, True]
    topics.close()


@pytest.mark.servers
def test_a_member_whose_name_was_taken_is_told_so(broker: Broker):
    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.topics.put(topic, records("", "a", "b"), partition)
    before = broker.consumer(topic, member="decode-0")
    held = await_deliveries(before, 2)
    after = broker.consumer(topic, member="decode-0")
    taken = await_deliveries(after, 2)

    assert [before.commit(delivery) for delivery in held] == [False, False]
    with pytest.raises(BrokerUnavailable, match="taken the place"):
        for _ in range(20):
            before.poll(1.0)
    before.close()

    assert [after.commit(delivery) for delivery in taken] == [True, True]


@pytest.mark.servers
def test_a_member_that_the_group_forgot_begins_where_the_group_is(broker: Broker, kafka: str):
    from kafka import KafkaAdminClient
    from kafka.admin import MemberToRemove

    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.topics.put(topic, records("", "a", "b", "c"), partition)
    member = broker.consumer(topic)
    done = await_deliveries(member)[0]
    assert member.commit(done)
    held = await_deliveries(member, 2)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.remove_group_members(broker.group, [MemberToRemove(member_id=member._kafka.group_metadata().member_id)])  # type: ignore[attr-defined]
    admin.close()
    deadline_s = time.monotonic() + PATIENCE_S
    while any(member.owns(delivery) for delivery in held):
        assert time.monotonic() < deadline_s
        member.poll(0.1, 0)

    again = await_deliveries(member, 2)

    assert sorted(again, key=lambda delivery: delivery.partition) == sorted(held, key=lambda delivery: delivery.partition)
    assert [member.commit(delivery) for delivery in held] == [False, False]
    assert [member.commit(delivery) for delivery in again] == [True, True]


def test_where_nobody_listens_the_broker_is_unavailable_and_no_thread_stays():
    topics = KafkaTopics(NOWHERE, waits=Waits(answer_s=0.2, put_s=0.2))
    threads = threading.active_count()

    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1"):
        topics.put("longtake.requests", records("film", "a"))

    assert threading.active_count() == threads


def test_secrets_show_nowhere(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    security = Security(protocol="SASL_SSL", mechanism="SCRAM-SHA-512", user="longtake", password="open sesame", key_password="melon")
    assert (security.settings()["sasl_plain_password"], security.settings()["ssl_password"]) == ("open sesame", "melon")

    with pytest.raises(BrokerUnavailable) as caught:
        KafkaTopics(NOWHERE, security, Waits(answer_s=0.2)).partitions("longtake.requests")

    for text in (repr(security), repr(security.settings()), str(caught.value), caplog.text):
        assert "open sesame" not in text
        assert "melon" not in text


@pytest.mark.parametrize("wrong", [{"protocol": "TLS"}, {"protocol": "SASL_SSL", "user": "longtake"}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]):
    with pytest.raises(ValueError, match=r"protocol|needs a mechanism"):
        Security(**wrong)


@pytest.mark.parametrize("wrong", [{"answer_s": 0.05}, {"put_s": 0.0}, {"session_s": -1.0}])
def test_waits_that_cannot_work_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="waits are positive"):
        Waits(**wrong)
