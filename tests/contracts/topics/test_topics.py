"""What every broker owes those who put records and take them: order, redelivery, replay, and every byte as it was."""

from __future__ import annotations

import pytest

from services.topics.base import LARGEST_BYTES, GroupInUse, Record, TooLarge, partition_of
from tests.contracts.topics.conftest import Broker, await_deliveries, records, texts


def test_a_group_reads_what_was_put_before_it_came(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "a"))
    before_ms = broker.now() * 1000

    [delivery] = await_deliveries(broker.consumer(topic))

    assert (delivery.topic, delivery.partition, delivery.offset) == (topic, 0, 0)
    assert delivery.record == Record("film", b"a")
    assert abs(delivery.timestamp_ms - before_ms) < 60_000


def test_records_of_a_key_come_in_the_order_they_were_put(broker: Broker):
    topic = broker.topic(partitions=4)
    keys = [f"film {number}" for number in range(10)]
    for step in range(5):
        broker.topics.put(topic, [Record(key, f"{step}".encode()) for key in keys])
    consumer = broker.consumer(topic)
    seen: dict[str, list[str]] = {key: [] for key in keys}

    for _ in range(50):
        [delivery] = await_deliveries(consumer)
        seen[delivery.record.key] += texts([delivery])
        assert consumer.commit(delivery)

    assert seen == {key: ["0", "1", "2", "3", "4"] for key in keys}


def test_a_partition_gives_one_delivery_at_a_time(broker: Broker):
    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.topics.put(topic, records("", "first", "second"), partition)
    consumer = broker.consumer(topic)

    held = await_deliveries(consumer, 2)

    assert texts(held) == ["first", "first"]
    assert consumer.poll(0.3, 10) == []
    consumer.commit(held[0])
    assert [(d.partition, d.offset) for d in await_deliveries(consumer)] == [(held[0].partition, 1)]


def test_no_more_deliveries_come_than_were_asked_for(broker: Broker):
    topic = broker.topic(partitions=3)
    for partition in range(3):
        broker.topics.put(topic, records("", "a"), partition)
    consumer = broker.consumer(topic)

    assert len(await_deliveries(consumer)) == 1
    assert consumer.poll(0.3, 0) == []
    assert len(await_deliveries(consumer, 2)) == 2


def test_what_was_not_committed_comes_again_and_what_was_does_not(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "done", "begun", "untouched"))
    first = broker.consumer(topic)
    assert first.commit(await_deliveries(first)[0])
    assert texts(await_deliveries(first)) == ["begun"]

    first.close()
    second = broker.consumer(topic)

    assert texts(await_deliveries(second)) == ["begun"]


def test_a_released_delivery_comes_once_more_and_then_the_next(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "a", "b"))
    consumer = broker.consumer(topic)
    [tried] = await_deliveries(consumer)

    consumer.release(tried)
    [again] = await_deliveries(consumer)

    assert again == tried
    assert (consumer.owns(tried), consumer.owns(again)) == (False, True)
    assert (consumer.commit(tried), consumer.commit(again)) == (False, True)
    assert texts(await_deliveries(consumer)) == ["b"]


def test_a_delivery_is_committed_once(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "a", "b"))
    consumer = broker.consumer(topic)
    [delivery] = await_deliveries(consumer)

    assert (consumer.commit(delivery), consumer.commit(delivery)) == (True, False)
    assert texts(await_deliveries(consumer)) == ["b"]


def test_groups_read_independently(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "a", "b"))
    one, two = broker.consumer(topic, group="one"), broker.consumer(topic, group="two")
    one.commit(await_deliveries(one)[0])

    assert texts(await_deliveries(one)) == ["b"]
    assert texts(await_deliveries(two)) == ["a"]


def test_one_member_reads_several_topics(broker: Broker):
    left, right = broker.topic(), broker.topic(partitions=2)
    broker.topics.put(left, records("film", "left"))
    broker.topics.put(right, records("film", "right"))

    found = await_deliveries(broker.consumer(left, right), 2)

    assert sorted(texts(found)) == ["left", "right"]


def test_lag_counts_what_the_group_has_not_committed(broker: Broker):
    topic, other = broker.topic(partitions=2), broker.topic()
    broker.topics.put(topic, [Record(f"film {number}", b"") for number in range(10)])
    broker.topics.put(other, records("film", "a"))
    consumer = broker.consumer(topic)

    assert broker.topics.lag([topic, other], broker.group) == 11
    assert consumer.commit(await_deliveries(consumer)[0])
    await_deliveries(consumer)
    assert broker.topics.lag([topic], broker.group) == 9


def test_a_scan_tells_everything_and_moves_no_group(broker: Broker):
    topic = broker.topic(partitions=3)
    broker.topics.put(topic, [Record(f"film {number}", f"{number}".encode()) for number in range(100)])
    consumer = broker.consumer(topic)
    assert consumer.commit(await_deliveries(consumer)[0])

    scanned = broker.topics.scan(topic)
    broker.topics.put(topic, records("film", "put after the call"))
    found = list(scanned)

    assert sorted(int(text) for text in texts(found)) == list(range(100))
    for partition in range(3):
        offsets = [delivery.offset for delivery in found if delivery.partition == partition]
        assert offsets == list(range(len(offsets)))
    assert broker.topics.lag([topic], broker.group) == 100


def test_a_scan_of_an_empty_topic_ends(broker: Broker):
    assert list(broker.topics.scan(broker.topic(partitions=2))) == []


def test_a_rewound_group_reads_everything_once_more(broker: Broker):
    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.topics.put(topic, records("", "a", "b"), partition)
    consumer = broker.consumer(topic)
    for _ in range(4):
        consumer.commit(await_deliveries(consumer)[0])
    consumer.close()
    assert broker.topics.lag([topic], broker.group) == 0

    broker.topics.rewind(topic, broker.group)

    assert broker.topics.lag([topic], broker.group) == 4
    assert texts(await_deliveries(broker.consumer(topic), 2)) == ["a", "a"]


def test_a_rewound_group_begins_at_a_moment(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "before"))
    broker.during(0.2, lambda: None)
    since_ms = int(broker.now() * 1000)
    broker.during(0.2, lambda: None)
    broker.topics.put(topic, records("film", "after", "later"))

    broker.topics.rewind(topic, broker.group, since_ms)

    assert texts(await_deliveries(broker.consumer(topic))) == ["after"]
    assert broker.topics.lag([topic], broker.group) == 2


def test_a_group_rewound_beyond_the_last_record_waits_for_new_ones(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "before"))

    broker.topics.rewind(topic, broker.group, int(broker.now() * 1000) + 3_600_000)
    broker.topics.put(topic, records("film", "after"))

    assert texts(await_deliveries(broker.consumer(topic))) == ["after"]


def test_a_group_with_members_is_not_rewound(broker: Broker):
    topic = broker.topic()
    broker.topics.put(topic, records("film", "a"))
    await_deliveries(broker.consumer(topic))

    with pytest.raises(GroupInUse, match="members"):
        broker.topics.rewind(topic, broker.group)


def test_any_text_is_a_key_and_a_header(broker: Broker):
    topic = broker.topic()
    text = "Ünïcødé 影片 🎬\n\x00 %2F"
    sent = Record(text, bytes(range(256)), {"ce_id": text, "empty": ""})

    broker.topics.put(topic, [sent])
    [delivery] = await_deliveries(broker.consumer(topic))

    assert delivery.record == sent


def test_text_that_utf8_cannot_write_is_refused(broker: Broker):
    topic = broker.topic()

    for record in (Record("\ud800", b""), Record("film", b"", {"name": "\ud800"})):
        with pytest.raises(ValueError):
            broker.topics.put(topic, [record])
    assert list(broker.topics.scan(topic)) == []


def test_an_empty_key_and_an_empty_value_stay_empty(broker: Broker):
    topic = broker.topic()

    broker.topics.put(topic, [Record("", b"")])

    assert await_deliveries(broker.consumer(topic))[0].record == Record("", b"")


def test_a_key_has_its_partition_on_every_broker(broker: Broker):
    topic = broker.topic(partitions=12)
    keys = ["", "film", "äther", *(f"s3://bucket/{number}.mp4" for number in range(20))]

    broker.topics.put(topic, [Record(key, b"") for key in keys])

    assert {d.record.key: d.partition for d in broker.topics.scan(topic)} == {key: partition_of(key, 12) for key in keys}


def test_a_value_may_be_as_large_as_the_topic_takes_and_no_larger(broker: Broker):
    topic = broker.topic()

    broker.topics.put(topic, [Record("film", bytes(LARGEST_BYTES))])
    with pytest.raises(TooLarge, match="65537"):
        broker.topics.put(topic, [Record("film", b"small"), Record("film", bytes(LARGEST_BYTES + 1))])

    assert [len(delivery.record.value) for delivery in broker.topics.scan(topic)] == [LARGEST_BYTES]


def test_topics_are_made_once_and_keep_their_partitions(broker: Broker):
    topic = broker.topic(partitions=3)

    broker.topics.ensure({topic: 5})

    assert broker.topics.partitions(topic) == 3


def test_a_topic_that_is_not_there_is_named(broker: Broker):
    for use in (
        lambda: broker.topics.put("longtake.nowhere", records("film", "a")),
        lambda: broker.topics.partitions("longtake.nowhere"),
        lambda: broker.topics.scan("longtake.nowhere"),
        lambda: broker.consumer("longtake.nowhere"),
        lambda: broker.topics.lag(["longtake.nowhere"], broker.group),
        lambda: broker.topics.rewind("longtake.nowhere", broker.group),
    ):
        with pytest.raises(KeyError, match=r"longtake\.nowhere"):
            use()


def test_a_partition_that_is_not_there_is_refused(broker: Broker):
    with pytest.raises(ValueError, match="0 to 1, got 2"):
        broker.topics.put(broker.topic(partitions=2), records("film", "a"), partition=2)
