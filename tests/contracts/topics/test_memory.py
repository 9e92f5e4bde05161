"""The broker in memory alone: what it keeps, what it forgets, and when it takes no more."""

from __future__ import annotations

import pickle
import threading

import pytest

from services.topics.base import BrokerUnavailable, Record
from services.topics.memory import Limits, MemoryTopics, Room
from tests.contracts.topics.conftest import await_deliveries, records, texts

MANY = Room(1_000, 1 << 30)


def topics(partitions: int = 1, **limits: object) -> MemoryTopics:
    made = MemoryTopics(Limits(**{"put_s": 0.05, **limits}))  # type: ignore[arg-type]
    made.ensure({"films": partitions})
    return made


def test_a_full_topic_takes_no_more_until_every_group_has_committed():
    broker = topics(waiting=Room(3, 1 << 20))
    fast, slow = broker.consumer(["films"], "fast"), broker.consumer(["films"], "slow")
    broker.put("films", records("film", "a", "b", "c"))
    fast.commit(await_deliveries(fast)[0])

    with pytest.raises(BrokerUnavailable, match="films is full"):
        broker.put("films", records("film", "d"))
    slow.commit(await_deliveries(slow)[0])
    broker.put("films", records("film", "d"))

    assert texts(list(broker.scan("films"))) == ["a", "b", "c", "d"]


def test_a_topic_is_full_by_bytes_as_well():
    broker = topics(waiting=Room(100, 10))
    broker.consumer(["films"], "group")

    broker.put("films", [Record("film", bytes(30))])  # an empty topic takes any record that is not too large

    with pytest.raises(BrokerUnavailable):
        broker.put("films", [Record("film", b"")])


def test_put_waits_until_a_reader_makes_room():
    broker = topics(waiting=Room(1, 1 << 20), put_s=60.0)
    reader = broker.consumer(["films"], "group")
    writer = threading.Thread(target=broker.put, args=("films", records("film", "a", "b", "c")))
    writer.start()
    read = []

    for _ in range(3):
        [delivery] = await_deliveries(reader)
        read += texts([delivery])
        reader.commit(delivery)
    writer.join()

    assert read == ["a", "b", "c"]


def test_what_every_group_has_committed_is_forgotten_beyond_a_count():
    broker = topics(done=Room(2, 1 << 20))
    one, two = broker.consumer(["films"], "one"), broker.consumer(["films"], "two")
    broker.put("films", records("film", "a", "b", "c", "d", "e"))
    for _ in range(5):
        one.commit(await_deliveries(one)[0])
    assert len(list(broker.scan("films"))) == 5

    for _ in range(4):
        two.commit(await_deliveries(two)[0])

    assert texts(list(broker.scan("films"))) == ["c", "d", "e"]
    assert (broker.lag(["films"], "one"), broker.lag(["films"], "two"), broker.lag(["films"], "new")) == (0, 1, 3)


def test_a_topic_that_nobody_reads_keeps_its_newest_and_says_so_once(caplog: pytest.LogCaptureFixture):
    broker = topics(unread=Room(2, 1 << 20))

    broker.put("films", records("film", "a", "b", "c", "d"))

    assert texts(list(broker.scan("films"))) == ["c", "d"]
    assert [record.message for record in caplog.records] == ["topic overflows, nobody reads it and its oldest records go topic=films"]
    assert texts(await_deliveries(broker.consumer(["films"], "late"))) == ["c"]


def test_a_closed_broker_is_unavailable_to_all_who_wait():
    broker = topics(waiting=Room(1, 1 << 20), put_s=60.0)
    reader = broker.consumer(["films"], "group")
    broker.put("films", records("film", "a"))
    await_deliveries(reader)
    outcomes = []

    def wait(use: object, *arguments: object) -> None:
        with pytest.raises(BrokerUnavailable, match="closed"):
            use(*arguments)  # type: ignore[operator]
        outcomes.append(use)

    waiting = [
        threading.Thread(target=wait, args=(reader.poll, 60.0)),
        threading.Thread(target=wait, args=(broker.put, "films", records("", "b"))),
    ]
    for thread in waiting:
        thread.start()
    broker.close()
    for thread in waiting:
        thread.join()

    assert len(outcomes) == 2


def test_a_member_whose_name_was_taken_is_told_so():
    broker = topics()
    before = broker.consumer(["films"], "group", member="decode-0")
    before.poll(0.0)
    broker.consumer(["films"], "group", member="decode-0").poll(0.0)

    with pytest.raises(BrokerUnavailable, match="decode-0"):
        before.poll(0.0)


def test_later_changes_to_the_headers_of_a_record_do_not_reach_the_topic():
    broker, headers = topics(), {"ce_id": "1"}

    broker.put("films", [Record("film", b"", headers)])
    headers["ce_id"] = "2"

    assert [delivery.record.headers for delivery in broker.scan("films")] == [{"ce_id": "1"}]


def test_a_delivery_goes_to_another_process_and_back():
    broker = topics()
    broker.put("films", records("film", "a"))
    reader = broker.consumer(["films"], "group")
    [delivery] = await_deliveries(reader)

    assert reader.commit(pickle.loads(pickle.dumps(delivery)))
