"""What every broker owes the members of a group: long work, rebalances, and nothing lost when one of them goes."""

from __future__ import annotations

import threading
import time
from collections import Counter

from services.topics.base import Consumer, Delivery, Record
from tests.contracts.topics.conftest import PATIENCE_S, POLL_LIMIT_S, Broker, await_deliveries, records, texts


def hold_both(broker: Broker) -> tuple[str, Consumer, list[Delivery]]:
    """A topic of two partitions with two records each, and the only member of a group at work on both."""
    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.topics.put(topic, records("", f"{partition} first", f"{partition} second"), partition)
    member = broker.consumer(topic)
    return topic, member, await_deliveries(member, 2)


def join(broker: Broker, topic: str, others: list[Consumer]) -> tuple[Consumer, Delivery]:
    """A new member of the group and its first delivery, while the others go on polling for their membership."""
    member = broker.consumer(topic)
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        for other in others:
            other.poll(0.1, 0)
        if found := member.poll(0.1):
            return member, found[0]
    raise AssertionError("the new member was given nothing")


def test_work_may_take_longer_than_the_poll_limit(broker: Broker):
    topic, member, held = hold_both(broker)
    idle = broker.consumer(topic, group="watching")
    await_deliveries(idle)

    broker.during(2.5 * POLL_LIMIT_S, lambda: member.poll(0.1, 0))

    assert [member.owns(delivery) for delivery in held] == [True, True]
    assert [member.commit(delivery) for delivery in held] == [True, True]
    assert sorted(texts(await_deliveries(member, 2))) == ["0 second", "1 second"]


def test_idle_polling_beside_long_work_finds_new_records_of_other_partitions(broker: Broker):
    topic = broker.topic(partitions=2)
    broker.topics.put(topic, records("", "long"), 0)
    member = broker.consumer(topic)
    [long] = await_deliveries(member)

    broker.topics.put(topic, records("", "short", "shorter"), 1)
    for text in ("short", "shorter"):
        [other] = await_deliveries(member)
        assert texts([other]) == [text]
        assert member.commit(other)

    assert member.commit(long)


def test_a_rebalance_while_work_runs_takes_a_partition_and_fails_its_commit(broker: Broker):
    topic, member, held = hold_both(broker)

    other, moved = join(broker, topic, [member])

    lost = next(delivery for delivery in held if delivery.partition == moved.partition)
    kept = next(delivery for delivery in held if delivery.partition != moved.partition)
    assert moved == lost
    assert (member.owns(lost), member.owns(kept), other.owns(moved)) == (False, True, True)
    assert (member.commit(lost), member.commit(kept), other.commit(moved)) == (False, True, True)
    assert texts(await_deliveries(other)) == [f"{moved.partition} second"]
    assert texts(await_deliveries(member)) == [f"{kept.partition} second"]


def test_long_work_goes_on_over_a_rebalance(broker: Broker):
    topic, member, held = hold_both(broker)
    other, moved = join(broker, topic, [member])

    def keep_both() -> None:
        member.poll(0.1, 0)
        other.poll(0.1, 0)

    broker.during(1.5 * POLL_LIMIT_S, keep_both)

    kept = next(delivery for delivery in held if delivery.partition != moved.partition)
    assert (member.commit(kept), other.commit(moved)) == (True, True)


def test_a_partition_lost_and_regained_counts_as_lost(broker: Broker):
    topic, member, held = hold_both(broker)
    other, moved = join(broker, topic, [member])
    lost = next(delivery for delivery in held if delivery.partition == moved.partition)

    other.close()
    [again] = await_deliveries(member)

    assert again == lost
    assert (member.owns(lost), member.commit(lost)) == (False, False)
    assert (member.owns(again), member.commit(again)) == (True, True)


def test_closing_hands_over_at_once(broker: Broker):
    topic, member, _ = hold_both(broker)
    other = broker.consumer(topic)

    member.close()
    started_s = time.monotonic()
    found = await_deliveries(other, 2)

    assert sorted(texts(found)) == ["0 first", "1 first"]
    assert time.monotonic() - started_s < POLL_LIMIT_S  # not only when the session has run out


def test_a_member_that_closed_commits_nothing_more(broker: Broker):
    topic, member, held = hold_both(broker)

    member.close()

    assert (member.owns(held[0]), member.commit(held[0])) == (False, False)
    assert broker.topics.lag([topic], broker.group) == 4
    member.close()


def test_a_member_that_stops_polling_loses_its_work_to_the_others(broker: Broker):
    topic, member, held = hold_both(broker)
    other = broker.consumer(topic)
    found: list[Delivery] = []

    broker.during(4 * POLL_LIMIT_S, lambda: found.extend(other.poll(0.1, 2)))

    assert sorted(texts(found)) == ["0 first", "1 first"]
    assert [member.commit(delivery) for delivery in held] == [False, False]
    assert [other.commit(delivery) for delivery in found] == [True, True]


def test_a_named_member_that_comes_again_takes_its_own_place(broker: Broker):
    topic = broker.topic(partitions=2)
    for partition in range(2):
        broker.topics.put(topic, records("", "a"), partition)
    before = broker.consumer(topic, member="decode-0")
    await_deliveries(before, 2)

    after = broker.consumer(topic, member="decode-0")

    assert texts(await_deliveries(after, 2)) == ["a", "a"]


def test_a_large_backlog_is_done_once_by_several_members(broker: Broker):
    topic = broker.topic(partitions=12)
    count = 20_000
    broker.topics.put(topic, [Record(f"film {number}", f"{number}".encode()) for number in range(count)])
    done: list[str] = []
    order: dict[str, list[int]] = {}
    deadline_s = time.monotonic() + 10 * PATIENCE_S

    def work() -> None:
        member = broker.consumer(topic)
        while len(done) < count and time.monotonic() < deadline_s:
            for delivery in member.poll(0.1, 12):
                if member.commit(delivery):
                    done.append(delivery.record.value.decode())
                    order.setdefault(f"{delivery.partition}", []).append(delivery.offset)
        member.close()

    members = [threading.Thread(target=work) for _ in range(3)]
    for thread in members:
        thread.start()
    for thread in members:
        thread.join()

    assert Counter(done) == Counter(f"{number}" for number in range(count))
    assert all(offsets == sorted(offsets) for offsets in order.values())
    assert broker.topics.lag([topic], broker.group) == 0
