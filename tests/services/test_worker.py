"""What a worker promises, on the broker in memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from pipelines.interfaces import StoreUnavailable, UnreadableVideo
from services.dead_letters import DEAD_LETTERS, Death, letters, named, replay
from services.messages import Features, Memories, Request, decode, encode
from services.topics.base import BrokerUnavailable, Delivery, Record
from services.topics.memory import MemoryTopics
from services.worker import Alone, Out, Rules, Worker, identity

IN, OUT = "in", "out"
SOON_S = 20.0


class Counts:
    """Attempts that outlive workers, not the test."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()

    def begin(self, stage: str, message_id: str) -> int:
        with self.lock:
            self.counts[stage, message_id] += 1
            return self.counts[stage, message_id]

    def first_at(self, stage: str, message_id: str) -> str:
        return "2026-01-01" if self.counts[stage, message_id] else ""

    def settle(self, stage: str, message_id: str) -> None:
        with self.lock:
            self.counts.pop((stage, message_id), None)

    def withdraw(self, stage: str, message_id: str) -> None:
        with self.lock:
            self.counts[stage, message_id] -= 1


@dataclass
class Doing:
    """A stage that does what the test says and passes the video's id on."""

    act: Callable[[str], None]
    name: str = "doing"
    topic: str = IN
    seen: list[str] = field(default_factory=list)

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        message = decode(delivery, Features)
        self.seen.append(message.video_id)
        self.act(message.video_id)
        yield Out(OUT, Memories(message.request, message.video_id))


@pytest.fixture
def topics() -> MemoryTopics:
    broker = MemoryTopics()
    broker.ensure({IN: 4, OUT: 4, DEAD_LETTERS: 1})
    return broker


def features(name: str) -> Record:
    return encode(Features(Request(f"s3://b/{name}.mp4"), name), "test")


def outcome(topics: MemoryTopics) -> list[str]:
    return sorted(decode(delivery, Memories).video_id for delivery in topics.scan(OUT))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def worked(topics: MemoryTopics, stage: Doing, counts: Counts | None = None, **rules: float) -> Worker:
    """Run a worker until nothing is left to do."""
    worker = Worker([stage], topics, counts or Counts(), Rules(**rules))  # type: ignore[arg-type]
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: topics.lag([IN], "longtake.doing") == 0 or not thread.is_alive())
    finally:
        worker.stop()
        thread.join(SOON_S)
    return worker


def test_what_comes_in_goes_out_and_is_committed(topics: MemoryTopics):
    topics.put(IN, [features(name) for name in "abcdef"])

    worker = worked(topics, Doing(lambda name: None), slots=3)

    assert outcome(topics) == list("abcdef")
    assert (worker.tally.done, worker.tally.dead) == (6, 0)
    assert letters(topics) == []


def test_what_cannot_be_read_is_a_dead_letter_at_once_and_stops_nobody(topics: MemoryTopics):
    def act(name: str) -> None:
        if name == "broken":
            raise UnreadableVideo("broken.mp4 is not a video")

    topics.put(IN, [features(name) for name in ("a", "broken", "b")])
    stage = Doing(act)

    worked(topics, stage)

    [letter] = letters(topics)
    assert outcome(topics) == ["a", "b"]
    assert stage.seen.count("broken") == 1
    assert (letter.topic, letter.key, letter.reason) == (IN, "broken", "broken.mp4 is not a video")
    assert (letter.told["stage"], letter.told["exception"], letter.told["attempts"]) == (
        "doing", "pipelines.interfaces.UnreadableVideo", "1",
    )  # fmt: skip
    assert letter.value == features("broken").value
    assert letter.headers["ce_type"] == "longtake.features.v1"


def test_a_store_that_is_away_for_a_while_costs_time_only(topics: MemoryTopics):
    failures = iter([StoreUnavailable("away"), BrokerUnavailable("away")])

    def act(name: str) -> None:
        for error in failures:
            raise error

    topics.put(IN, [features("a")])
    counts = Counts()
    stage = Doing(act)

    worker = worked(topics, stage, counts)

    assert (outcome(topics), stage.seen) == (["a"], ["a"] * 3)
    assert worker.tally.retried == 2
    assert counts.counts == {}


def test_a_store_that_stays_away_ends_the_patience(topics: MemoryTopics):
    def act(name: str) -> None:
        raise StoreUnavailable("the store x does not answer")

    topics.put(IN, [features("a")])

    worked(topics, Doing(act), patience_s=0.0)

    assert [letter.reason for letter in letters(topics)] == ["the store x does not answer"]


def test_a_bug_is_tried_again_and_then_told_with_its_trace(topics: MemoryTopics):
    def act(name: str) -> None:
        raise ZeroDivisionError("division by zero")

    topics.put(IN, [features("a")])
    stage = Doing(act)

    worked(topics, stage, max_attempts=2)

    [letter] = letters(topics)
    assert len(stage.seen) == 2
    assert (letter.told["exception"], letter.told["attempts"]) == ("builtins.ZeroDivisionError", "2")
    assert "in act" in letter.told["stacktrace"]


def test_a_message_that_ended_the_process_too_often_is_not_tried_again(topics: MemoryTopics):
    record = features("killer")
    topics.put(IN, [record])
    counts = Counts()
    counts.counts["doing", record.headers["ce_id"]] = 5
    stage = Doing(lambda name: None)

    worked(topics, stage, counts)

    assert stage.seen == []
    assert [letter.reason for letter in letters(topics)] == ["it ended the process 5 times while it was worked on"]
    assert counts.counts == {}  # sent again, it has all its attempts again


def test_attempts_are_forgotten_only_once_the_message_is_committed(topics: MemoryTopics):
    """Else a deadly film whose partition goes to another member in the moment of its burial ends five more processes."""
    record, counts = features("killer"), Counts()
    topics.put(IN, [record])
    counts.counts["doing", record.headers["ce_id"]] = 5
    worker = Worker([Doing(lambda name: None)], topics, counts)
    consumer = topics.consumer([IN], "longtake.doing")
    [delivery] = consumer.poll(SOON_S)

    assert worker._handled(delivery)

    assert counts.counts["doing", record.headers["ce_id"]] == 6
    consumer.close()


def test_attempts_are_counted_before_the_work(topics: MemoryTopics):
    counts = Counts()
    record = features("a")
    during: list[int] = []

    topics.put(IN, [record])
    worked(topics, Doing(lambda name: during.append(counts.counts["doing", record.headers["ce_id"]])), counts)

    assert during == [1]


def test_what_is_no_message_of_ours_is_told_in_words(topics: MemoryTopics):
    newer = {"ce_type": "longtake.features.v2"}
    topics.put(IN, [Record("k", b"\xff\x00", {}), Record("k", b"{}", newer), Record("k", b'{"request": 1}', {}), features("a")])

    worked(topics, Doing(lambda name: None))

    reasons = sorted(letter.reason for letter in letters(topics))
    assert outcome(topics) == ["a"]
    assert len(reasons) == 3
    assert any("written for a newer Longtake" in reason for reason in reasons)
    assert any(reason.startswith("request") for reason in reasons)


def test_a_dead_letter_sent_again_is_done_and_marked(topics: MemoryTopics):
    broken = {"on": True}

    def act(name: str) -> None:
        if broken["on"]:
            raise UnreadableVideo("not yet")

    topics.put(IN, [features("a")])
    worked(topics, Doing(act))
    broken["on"] = False

    replay(topics, named(topics, letters(topics)[0].id[:6]))
    worked(topics, Doing(act))

    assert outcome(topics) == ["a"]
    [letter] = letters(topics)
    assert letter.replayed_at


def test_stopping_gives_back_what_waits_for_a_store(topics: MemoryTopics):
    tried = threading.Event()

    def act(name: str) -> None:
        tried.set()
        raise StoreUnavailable("away")

    topics.put(IN, [features("a")])
    counts = Counts()
    worker = Worker([Doing(act)], topics, counts)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert tried.wait(SOON_S)
    worker.stop()
    thread.join(SOON_S)

    assert topics.lag([IN], "longtake.doing") == 1
    assert set(counts.counts.values()) == {0}  # being stopped is no attempt: a film outlives any number of restarts
    worked(topics, Doing(lambda name: None))
    assert outcome(topics) == ["a"]


def test_what_was_tried_before_is_worked_on_alone():
    alone, inside, most = Alone(), [0], [0]

    def enter(together: bool) -> None:
        with alone.shared(together):
            inside[0] += 1
            most[0] = max(most[0], inside[0] if not together else 0)
            time.sleep(0.01)
            inside[0] -= 1

    threads = [threading.Thread(target=enter, args=(number % 3 != 0,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)

    assert (inside, most) == ([0], [1])


def test_who_was_tried_before_does_not_wait_for_those_who_come_later():
    alone, order, first_may_leave = Alone(), [], threading.Event()

    def enter(name: str, together: bool) -> threading.Thread:
        def inside() -> None:
            with alone.shared(together):
                order.append(name)
                assert name != "first" or first_may_leave.wait(SOON_S)

        thread = threading.Thread(target=inside)
        thread.start()
        return thread

    threads = [enter("first", True)]
    until(lambda: order == ["first"])
    threads.append(enter("suspect", False))
    until(lambda: alone._waiting == 1)
    threads.append(enter("later", True))
    first_may_leave.set()
    for thread in threads:
        thread.join(SOON_S)

    assert order == ["first", "suspect", "later"]


def test_a_death_that_cannot_be_told_ends_no_worker(topics: MemoryTopics):
    def act(name: str) -> None:
        raise UnreadableVideo(f"{name} is not a video")

    def tell(delivery: Delivery, death: Death) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    topics.put(IN, [features(name) for name in "ab"])
    worker = Worker([Doing(act)], topics, Counts(), on_death=tell)
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: topics.lag([IN], "longtake.doing") == 0)
    worker.stop()
    thread.join(SOON_S)

    worker.check()
    assert sorted(letter.reason for letter in letters(topics)) == ["a is not a video", "b is not a video"]


@dataclass
class Choosing(Doing):
    """Does nothing for videos of a certain name."""

    unwanted: str = ""

    def wants(self, delivery: Delivery) -> bool:
        return not delivery.record.key.startswith(self.unwanted)


def test_what_a_stage_does_not_want_is_passed_over(topics: MemoryTopics):
    topics.put(IN, [features(f"x{number}") for number in range(50)] + [features("a"), features("x50"), features("b")])
    counts, stage = Counts(), Choosing(lambda name: None, unwanted="x")

    worker = worked(topics, stage, counts, slots=2)

    assert (outcome(topics), sorted(stage.seen), worker.tally.done) == (["a", "b"], ["a", "b"], 2)
    assert topics.lag([IN], "longtake.doing") == 0


def test_names_that_others_give_their_messages_do_not_count():
    """They may all be alike, or too long for a database's key, or hold what it takes for no text."""
    ids = {
        identity(Delivery(IN, 0, 0, 0, Record("k", value, {"ce_id": told}))) for value in (b"1", b"2") for told in ("1", "\0", "x" * 9000)
    }

    assert len(ids) == 2
    assert all(len(name) == 32 for name in ids)


def test_the_same_message_has_the_same_identity_with_and_without_our_headers():
    record = features("a")
    bare = Record(record.key, record.value, {})

    assert identity(Delivery(IN, 0, 0, 0, record)) == record.headers["ce_id"]
    assert identity(Delivery(IN, 0, 7, 9, bare)) == identity(Delivery(IN, 3, 1, 0, bare))
