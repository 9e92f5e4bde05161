"""What handing a message from one stage to the next costs: in memory, and over Kafka.

    python -m benchmarks.hops                          # in memory
    python -m benchmarks.hops --kafka 127.0.0.1:9092   # and over that broker; `python -m deploy.local start --only kafka` starts one

A hop is put, delivery to a consumer that waits in another thread, and its commit: 1 kB with four headers, one at a time, on a topic
of one partition. Then many: put in batches, taken and committed one by one by one member, over four partitions.
"""

from __future__ import annotations

import argparse
import os
import queue
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from benchmarks.machine import machine
from services.topics.base import Consumer, Record, Topics
from services.topics.memory import MemoryTopics

HEADERS = {"ce_specversion": "1.0", "ce_id": "0" * 64, "ce_type": "longtake.segment.v1", "ce_source": "/decode"}
BATCH, PARTITIONS, WARM_UP = 500, 4, 20


def message(number: int) -> Record:
    return Record(f"film {number % 100}", os.urandom(1000), HEADERS)


def new_topic(topics: Topics, partitions: int) -> str:
    name = f"longtake.hops-{uuid.uuid4().hex}"
    topics.ensure({name: partitions})
    return name


def taken(consumer: Consumer, count: int) -> Iterator[tuple[float, float]]:
    """Seconds (monotonic) when each of so many messages was delivered, and when it was committed."""
    while count:
        for delivery in consumer.poll(1.0, PARTITIONS):
            delivered_s = time.monotonic()
            assert consumer.commit(delivery)
            count -= 1
            yield delivered_s, time.monotonic()


def one_by_one(topics: Topics, count: int) -> None:
    """Print how long single messages take: until `put` returns, until they are delivered, until they are committed."""
    topic = new_topic(topics, 1)
    consumer = topics.consumer([topic], topic)
    done: queue.Queue[tuple[float, float]] = queue.Queue()

    def take() -> None:
        for times in taken(consumer, count + WARM_UP):
            done.put(times)

    thread = threading.Thread(target=take)
    thread.start()
    rows = []
    for number in range(count + WARM_UP):
        record, began_s = message(number), time.monotonic()
        topics.put(topic, [record])
        put_s = time.monotonic()
        rows.append([moment_s - began_s for moment_s in (put_s, *done.get())])
    thread.join()
    consumer.close()
    for name, column in zip(("put returned", "delivered", "committed"), zip(*rows[WARM_UP:], strict=True), strict=True):
        print(f"  {name:<13} median {statistics.median(column) * 1e3:7.3f} ms   p95 {statistics.quantiles(column, n=20)[-1] * 1e3:7.3f} ms")


def many(topics: Topics, count: int) -> None:
    """Print how many messages a second are put in batches, and taken."""
    topic = new_topic(topics, PARTITIONS)
    records = [message(number) for number in range(count)]

    def put_all() -> None:
        for at in range(0, count, BATCH):
            topics.put(topic, records[at : at + BATCH])

    rate("put", count, put_all)
    consumer = topics.consumer([topic], topic)
    rate("taken", count, lambda: list(taken(consumer, count)))
    consumer.close()


def rate(name: str, count: int, work: Callable[[], object]) -> None:
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    work()
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    print(f"  {name:<13} {count / seconds:9.0f} messages/s   {cpu_s / count * 1e6:7.0f} us of this process each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", metavar="HOST:PORT", help="measure this broker as well")
    parser.add_argument("--hops", type=int, default=500, help="single messages (default 500)")
    parser.add_argument("--many", type=int, default=5_000, help="messages put in batches (default 5000)")
    asked = parser.parse_args()
    brokers: dict[str, Topics] = {"in memory": MemoryTopics()}
    if asked.kafka:
        from services.topics.kafka import KafkaTopics

        brokers["Kafka"] = KafkaTopics(asked.kafka)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    for name, topics in brokers.items():
        print(name)
        one_by_one(topics, asked.hops)
        many(topics, asked.many)
        topics.close()


if __name__ == "__main__":
    main()
