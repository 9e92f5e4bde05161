"""Messages that could not be done: kept as they were, with where they stood and why. Listed, shown and sent again."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.interfaces import WrongRequest
from services.topics.base import Delivery, Record, Topics

DEAD_LETTERS = "longtake.dead-letters"
OURS = "longtake-error-"  # before every header that tells of the death
REPLAYED = "longtake-replayed-at"
REPLAY_ID = "longtake-replay-id"
LONGEST_TRACE = 4_000  # characters of it, the last ones


@dataclass(frozen=True, slots=True)
class Death:
    """Why a message was given up. began: of the last round of attempts, Unix seconds."""

    stage: str
    exception: str
    reason: str
    attempts: int
    began: float
    trace: str = ""

    @classmethod
    def of(cls, stage: str, error: Exception, attempts: int, began: float) -> Death:
        name = f"{type(error).__module__}.{type(error).__qualname__}"
        trace = "".join(traceback.format_exception(error))[-LONGEST_TRACE:]
        return cls(stage, name, str(error) or name, attempts, began, trace)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, as it lies on the topic. replayed_at: empty while nobody sent it again."""

    id: str
    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: Mapping[str, str]  # as the message came
    told: Mapping[str, str]  # stage, exception, message, attempts, first-failure, last-failure, stacktrace ...
    replayed_at: str = ""

    @property
    def reason(self) -> str:
        return self.told.get("message", "")


def dead_letter(delivery: Delivery, group: str, death: Death) -> Record:
    """The record for the topic of dead letters: key, value and headers as they were, and what happened beside them."""
    told = {
        "id": letter_id(delivery),
        "topic": delivery.topic,
        "partition": str(delivery.partition),
        "offset": str(delivery.offset),
        "timestamp": str(delivery.timestamp_ms),
        "consumer-group": group,
        "stage": death.stage,
        "exception": death.exception,
        "message": death.reason,
        "attempts": str(death.attempts),
        "first-failure": _time(death.began),
        "last-failure": _time(datetime.now(UTC).timestamp()),
        "stacktrace": death.trace,
    }
    return Record(delivery.record.key, delivery.record.value, dict(delivery.record.headers) | {OURS + n: _text(t) for n, t in told.items()})


def _text(told: str) -> str:
    """What a header takes, whatever a stranger had an exception say."""
    return told[-LONGEST_TRACE:].encode("utf-8", "backslashreplace").decode()


def letter_id(delivery: Delivery) -> str:
    """The same for the same delivery, however often it was buried."""
    return hashlib.sha256(f"{delivery.topic}/{delivery.partition}/{delivery.offset}".encode()).hexdigest()[:16]


def letters(topics: Topics) -> list[DeadLetter]:
    """All that lie there, each once, oldest first."""
    found: dict[str, DeadLetter] = {}
    for delivery in topics.scan(DEAD_LETTERS):
        letter = _read(delivery)
        before = found.get(letter.id)
        if before is None or letter.replayed_at:
            found[letter.id] = letter
    return sorted(found.values(), key=lambda letter: letter.told.get("last-failure", ""))


def named(topics: Topics, letter_id: str) -> DeadLetter:
    """The one whose id begins so. Raises WrongRequest."""
    found = [letter for letter in letters(topics) if letter.id.startswith(letter_id)]
    if len(found) != 1:
        what = "no dead letter has an id that begins" if not found else f"{len(found)} dead letters have ids that begin"
        raise WrongRequest(f"{what} with {letter_id!r}; `longtake dead-letters list` lists them")
    return found[0]


def replay(topics: Topics, letter: DeadLetter) -> None:
    """Send it to its topic again, as it came, and note that beside it."""
    now = _time(datetime.now(UTC).timestamp())
    topics.put(letter.topic, [Record(letter.key, letter.value, dict(letter.headers) | {REPLAY_ID: letter.id})])
    told = {OURS + name: text for name, text in letter.told.items()}
    topics.put(DEAD_LETTERS, [Record(letter.key, letter.value, dict(letter.headers) | told | {REPLAYED: now})])


def _read(delivery: Delivery) -> DeadLetter:
    headers = delivery.record.headers
    told = {name.removeprefix(OURS): text for name, text in headers.items() if name.startswith(OURS)}
    own = {name: text for name, text in headers.items() if not name.startswith(OURS) and name != REPLAYED}
    place = told.get("topic", ""), int(told.get("partition", 0)), int(told.get("offset", 0))
    record = delivery.record
    return DeadLetter(told.get("id", letter_id(delivery)), *place, record.key, record.value, own, told, headers.get(REPLAYED, ""))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
