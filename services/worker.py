"""Takes messages, has a stage work on each, and sees that nothing is lost, done by halves or tried for ever. Knows no stage.

At least once: an offset is committed after everything that its message led to is durable. An attempt is counted before the work, so
a message that ends the process is told by its count; from its second attempt on it is worked on alone, so that it takes no other
message of this process with it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from pipelines.interfaces import ServiceUnavailable, StoreUnavailable, UnreadableVideo, WrongRequest
from services.dead_letters import DEAD_LETTERS, Death, dead_letter
from services.messages import BadMessage, Message, encode
from services.topics.base import BrokerUnavailable, Consumer, Delivery, Record, TooLarge, Topics

logger = logging.getLogger(__name__)
T = TypeVar("T")
Busy = dict["Future[bool]", tuple[Consumer, Delivery]]
FUTILE = (UnreadableVideo, WrongRequest, BadMessage, TooLarge)  # the same message would fail in the same way
PASSING = (StoreUnavailable, ServiceUnavailable, BrokerUnavailable)  # the same message may succeed later
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0  # between two tries
POLL_S = 0.05  # of each stage's consumer in turn
PASSING_OVER_S = 0.5  # of one of them, before it is the next one's turn
OUR_ID = re.compile(r"[0-9a-f]{32}")  # of `messages.encode`
TEND_S = 5.0  # between two askings of stages that may say something of their own accord
STALLED_S = 60.0  # without a turn of the loop: the replica is not well


@dataclass(frozen=True, slots=True)
class Out:
    """Something to be said on a topic. partition: instead of the key's own."""

    topic: str
    message: Message
    partition: int | None = None


class Stage(Protocol):
    """One kind of work. Idempotent: the same delivery twice leaves what once leaves."""

    @property
    def name(self) -> str: ...

    @property
    def topic(self) -> str:
        """That it takes its messages from."""
        ...

    def __call__(self, delivery: Delivery) -> Iterable[Out]: ...


@runtime_checkable
class Choosy(Stage, Protocol):
    """A stage that has nothing to do for some messages of its topic."""

    def wants(self, delivery: Delivery) -> bool: ...


def group_of(stage: str) -> str:
    return f"longtake.{stage}"


@runtime_checkable
class Tended(Protocol):
    """A stage that may have something to say of its own accord, for instance that nothing came."""

    def idle(self) -> Iterable[Out]: ...


class Attempts(Protocol):
    """Counts that outlive the process."""

    def begin(self, stage: str, message_id: str) -> int: ...

    def first_at(self, stage: str, message_id: str) -> str:
        """Empty where there was none."""
        ...

    def settle(self, stage: str, message_id: str) -> None: ...

    def withdraw(self, stage: str, message_id: str) -> None:
        """The last attempt does not count: it was broken off through no fault of the message."""
        ...


class Stopped(Exception):
    """The worker was asked to stop while it waited for something."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient a worker is. slots: messages worked on at once."""

    slots: int = 1
    max_attempts: int = 5
    patience_s: float = 3600.0


@dataclass(slots=True)
class Tally:
    """What a worker has done since it began."""

    done: int = 0
    dead: int = 0
    retried: int = 0
    beat: float = field(default_factory=time.monotonic)  # when the loop last came round


class Worker:
    """A member of a group that does the work of some stages. `run` until `stop`; `check` says whether it is well."""

    def __init__(
        self,
        stages: Iterable[Stage],
        topics: Topics,
        attempts: Attempts,
        rules: Rules = Rules(),
        *,
        on_death: Callable[[Delivery, Death], None] = lambda delivery, death: None,
    ) -> None:
        """stages: those later in the flow first, so that what was begun comes to its end before something new is begun. on_death:
        hears of every message that went to the dead letters, before it is committed."""
        self.stages: Mapping[str, Stage] = {stage.topic: stage for stage in stages}
        self.topics, self.attempts, self.rules, self.on_death = topics, attempts, rules, on_death
        self.name = "+".join(stage.name for stage in self.stages.values())
        self.tally = Tally()
        self._stopping = threading.Event()
        self._alone = Alone()
        self._trouble: BaseException | None = None
        self._tended_s = time.monotonic()

    def run(self) -> None:
        """Work until `stop`; what is in hand then comes to its end or is given back."""
        busy: Busy = {}
        pool = ThreadPoolExecutor(self.rules.slots, thread_name_prefix=self.name)
        # A group for each stage: one that gains or loses a member disturbs no other, and however stages are put together in
        # processes, each goes on where it was.
        consumers = [self.topics.consumer([stage.topic], group_of(stage.name)) for stage in self.stages.values()]
        try:
            while busy or not self._stopping.is_set():
                for consumer in consumers:
                    self._take(consumer, pool, busy)
                self._settle(busy, pool)
                self._tend()
                self.tally.beat = time.monotonic()
        except BaseException as error:
            self._trouble = error
            raise
        finally:
            self._stopping.set()
            pool.shutdown()
            for consumer in consumers:
                consumer.close()

    def stop(self) -> None:
        self._stopping.set()

    def check(self) -> None:
        """Raises RuntimeError where the worker ended by itself or hangs."""
        if self._trouble is not None:
            raise RuntimeError(f"the worker of {self.name} ended: {self._trouble}")
        if time.monotonic() - self.tally.beat > STALLED_S:
            raise RuntimeError(f"the worker of {self.name} has not come round for {STALLED_S:.0f} s")

    def _take(self, consumer: Consumer, pool: ThreadPoolExecutor, busy: Busy) -> None:
        free = 0 if self._stopping.is_set() else self.rules.slots - len(busy)
        try:
            for delivery in self._new(consumer, POLL_S / 5 if busy else POLL_S, free):
                busy[pool.submit(self._handled, delivery)] = consumer, delivery
        except BrokerUnavailable as error:
            logger.warning("broker unavailable stages=%s reason=%s", self.name, error)
            self._stopping.wait(FIRST_WAIT_S)

    def _new(self, consumer: Consumer, timeout_s: float, most: int) -> Iterator[Delivery]:
        """Deliveries to be worked on. Those that their stage does not want are done at once, without a round of the loop for each."""
        ends_s = time.monotonic() + PASSING_OVER_S
        found = consumer.poll(timeout_s, most)
        while found:
            unwanted = [delivery for delivery in found if not self._is_wanted(delivery)]
            yield from (delivery for delivery in found if delivery not in unwanted)
            most -= len(found) - len(unwanted)
            for delivery in unwanted:
                self._pass_over(consumer, delivery)
            found = consumer.poll(0, most) if unwanted and time.monotonic() < ends_s else []

    def _is_wanted(self, delivery: Delivery) -> bool:
        stage = self.stages[delivery.topic]
        return not isinstance(stage, Choosy) or stage.wants(delivery)

    def _pass_over(self, consumer: Consumer, delivery: Delivery) -> None:
        try:
            consumer.commit(delivery)
        except BrokerUnavailable as error:
            logger.warning("commit waits stages=%s offset=%d reason=%s", self.name, delivery.offset, error)
            consumer.release(delivery)

    def _forget(self, delivery: Delivery) -> None:
        """Once it is committed: a deadly message whose partition was lost before comes again, and goes on counting."""
        self._patiently(lambda: self.attempts.settle(self.stages[delivery.topic].name, identity(delivery)))

    def _settle(self, busy: Busy, pool: ThreadPoolExecutor) -> None:
        for future in [future for future in busy if future.done()]:
            consumer, delivery = busy[future]
            try:
                if future.result():
                    if consumer.commit(delivery):
                        pool.submit(self._forget, delivery)
                else:
                    consumer.release(delivery)
            except BrokerUnavailable as error:
                logger.warning("commit waits stages=%s offset=%d reason=%s", self.name, delivery.offset, error)
                if not self._stopping.is_set():
                    continue  # the next round tries again
            del busy[future]

    def _tend(self) -> None:
        """Once in a while, what stages say of their own accord. What cannot be said now is lost: it must not hold up the messages."""
        if time.monotonic() - self._tended_s < TEND_S or self._stopping.is_set():
            return
        self._tended_s = time.monotonic()
        for stage in [stage for stage in self.stages.values() if isinstance(stage, Tended)]:
            try:
                for out in stage.idle():
                    self.topics.put(out.topic, [encode(out.message, stage.name)], out.partition)
            except PASSING as error:
                logger.warning("nothing said stage=%s reason=%s", stage.name, error)

    def _handled(self, delivery: Delivery) -> bool:
        """Whether the delivery is done for good: worked on, or among the dead letters."""
        stage, message_id = self.stages[delivery.topic], identity(delivery)
        try:
            first_at = self._patiently(lambda: self.attempts.first_at(stage.name, message_id))
            with self._alone.shared(not first_at):
                death = self._worked(stage, delivery, message_id)
                if death is not None:
                    self._bury(delivery, death)
        except Stopped:
            return False
        return True

    def _worked(self, stage: Stage, delivery: Delivery, message_id: str) -> Death | None:
        """Work on it until it is done or hopeless; None where it is done."""
        attempt = self._patiently(lambda: self.attempts.begin(stage.name, message_id))
        if attempt > self.rules.max_attempts:
            reason = f"it ended the process {attempt - 1} times while it was worked on"
            return Death(stage.name, "WorkerDied", reason, attempt - 1, time.time())
        try:
            return self._tried(stage, delivery, message_id, attempt)
        except Stopped:
            with suppress(*PASSING):
                self.attempts.withdraw(stage.name, message_id)
            raise

    def _tried(self, stage: Stage, delivery: Delivery, message_id: str, attempt: int) -> Death | None:
        """Try until it succeeds, or there is no hope that it will."""
        began, wait_s = time.time(), FIRST_WAIT_S
        while True:
            try:
                self._send(stage(delivery), stage.name, delivery)
                self.tally.done += 1
                return None
            except FUTILE as error:
                return Death.of(stage.name, error, attempt, began)
            except PASSING as error:
                if time.time() - began > self.rules.patience_s:
                    return Death.of(stage.name, error, attempt, began)
                logger.warning("waiting stage=%s offset=%d seconds=%.1f reason=%s", stage.name, delivery.offset, wait_s, error)
            except Stopped:
                raise
            except Exception as error:  # a bug of ours, perhaps: rare ones pass, others end among the dead letters
                logger.exception("stage failed stage=%s offset=%d attempt=%d", stage.name, delivery.offset, attempt)
                if attempt >= self.rules.max_attempts:
                    return Death.of(stage.name, error, attempt, began)
                attempt = self._patiently(lambda: self.attempts.begin(stage.name, message_id))
            self.tally.retried += 1
            self._rest(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _send(self, outs: Iterable[Out], stage: str, delivery: Delivery) -> None:
        """Durable when it returns."""
        for out in outs:
            record = encode(out.message, stage, delivery.record.headers)
            self.topics.put(out.topic, [record], out.partition)
            if self._stopping.is_set():
                raise Stopped

    def _bury(self, delivery: Delivery, death: Death) -> None:
        logger.error("dead letter stage=%s topic=%s offset=%d reason=%s", death.stage, delivery.topic, delivery.offset, death.reason)
        record: Record = dead_letter(delivery, group_of(death.stage), death)
        self._patiently(lambda: self.topics.put(DEAD_LETTERS, [record]))
        try:
            self._patiently(lambda: self.on_death(delivery, death))
        except Stopped:
            raise
        except Exception:  # any: a message that cannot even be mourned must not end the process, time and again
            logger.exception("nobody could be told of a dead letter stage=%s offset=%d", death.stage, delivery.offset)
        self.tally.dead += 1

    def _patiently(self, action: Callable[[], T]) -> T:
        """The action's value, tried until it succeeds: without it the message can be neither worked on nor buried."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return action()
            except PASSING as error:
                logger.warning("waiting stages=%s seconds=%.1f reason=%s", self.name, wait_s, error)
            self._rest(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _rest(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped


def identity(delivery: Delivery) -> str:
    """The same for the same message, however often it was sent. What others call their messages (all alike, perhaps, or more than
    a database takes for a key) does not count."""
    record = delivery.record
    own = record.headers.get("ce_id", "")
    return own if OUR_ID.fullmatch(own) else hashlib.sha256(record.key.encode() + b"\n" + record.value).hexdigest()[:32]


class Alone:
    """Lets many in together, or one alone; who wants to be alone does not wait for those who come later."""

    def __init__(self) -> None:
        self._door = threading.Condition()
        self._inside = 0
        self._waiting = 0  # for the room to themselves
        self._one = False

    @contextmanager
    def shared(self, together: bool) -> Iterator[None]:
        with self._door:
            self._waiting += not together
            self._door.wait_for(lambda: not self._one and not (self._waiting if together else self._inside))
            self._waiting -= not together
            self._inside += 1
            self._one = not together
        try:
            yield
        finally:
            with self._door:
                self._inside -= 1
                self._one = False
                self._door.notify_all()
