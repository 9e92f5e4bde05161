"""Faults, thrown at services at work. Each puts films, does its harm, and returns when all is quiet again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.messages import Request, encode
from services.stages import OBJECTS, REQUESTS, STAGE_TOPICS
from services.topics.base import Record
from services.worker import group_of
from tests.chaos.field import Field
from tests.chaos.films import Films, Told
from tests.chaos.fleet import GROUPS, Fleet, product
from tests.chaos.poison import poison, send
from tests.chaos.troubled import troubled
from tests.chaos.waiting import until


@dataclass
class Scene:
    """All that a fault works with."""

    field: Field
    fleet: Fleet
    films: Films
    rng: random.Random

    def put(self, good: int, bad: int = 0, name: str = "film") -> list[Told]:
        films = [*self.films.good(good, name), *self.films.bad(bad)]
        self.rng.shuffle(films)
        self.field.put(films)
        return films

    def moment(self, longest_s: float = 3.0) -> None:
        """Until the next random one, while films are on their way."""
        if self.field.done() < len(self.field.films):
            threading.Event().wait(self.rng.uniform(0, longest_s))

    def begun(self, count: int = 1) -> None:
        """Wait until so many films more have come to their end."""
        wanted = min(self.field.done() + count, len(self.field.films))
        until(lambda: self.field.done() >= wanted, "no film comes to its end")

    def away(self, name: str, seconds: float | None) -> None:
        """Kill a server. seconds: how long it stays away; until somebody has noticed where None."""
        before = self.noticed()
        self.field.servers.kill(name)
        if seconds is None:
            until(lambda: self.noticed() > before, f"nobody notices that {name} is away")
        else:
            threading.Event().wait(seconds)  # the outage is the fault
        self.field.servers.start(name)

    def noticed(self) -> int:
        """Lines of the logs that tell of waiting."""
        words = ("waiting stage", "broker unavailable", "commit waits", "listing waits")
        return sum(log.read_text("utf-8", "replace").count(word) for log in self.fleet.folder.glob("*.log") for word in words)


def kills(scene: Scene, films: int, bad: int, count: int) -> str:
    """kill -9 of any stage at random moments while films run; new films come as long as there is something to kill."""
    scene.put(films - bad, bad)
    for number in range(count):
        until(lambda due=films * number // (count + 1): scene.field.done() >= due, "no film comes to its end between the kills")
        scene.moment()
        scene.fleet.kill(scene.rng)
    return f"{count} kills, one for each {films / count:.1f} films that came to their end"


def broker_restart(scene: Scene, films: int, bad: int, count: int) -> str:
    return _restarts(scene, "kafka", films, bad, count)


def minio_restart(scene: Scene, films: int, bad: int, count: int) -> str:
    return _restarts(scene, "minio", films, bad, count)


def postgres_restart(scene: Scene, films: int, bad: int, count: int) -> str:
    return _restarts(scene, "postgres", films, bad, count)


def _restarts(scene: Scene, name: str, films: int, bad: int, count: int) -> str:
    scene.put(films - bad, bad)
    for _ in range(count):
        scene.moment()
        scene.away(name, 0)
    return f"{count} times"


def minio_outage(scene: Scene, films: int, bad: int, seconds: int) -> str:
    scene.put(films - bad, bad)
    scene.moment()
    scene.away("minio", seconds or None)
    return f"{seconds} s" if seconds else "until noticed"


def slow_consumer(scene: Scene, films: int, bad: int, seconds: int) -> str:
    """A decoder that takes longer than a session for some films."""
    scene.fleet.change(1, troubled(GROUPS[1], slow_s=seconds))
    scene.put(films - bad, bad, "slow")
    scene.field.settled()
    scene.fleet.change(1, product(GROUPS[1]))
    return f"{seconds} s a segment, sessions of {scene.field.settings.session_s:.0f} s"


def deadly_film(scene: Scene, films: int, bad: int, count: int) -> str:
    """A film that ends the process that works on it, `count` times until it is given up, between others that share the process."""
    for number in (1, 2):
        scene.fleet.change(number, troubled(GROUPS[number], deadly="deadly", attempts=count))
    reason = f"it ended the process {count} times while it was worked on"
    deadly = [Told(told.path, reason=reason) for told in scene.films.good(1, "deadly")]
    scene.put((films - bad) // 2)
    scene.field.put(deadly)
    scene.put(films - bad - (films - bad) // 2, bad)
    scene.field.settled()
    for number in (1, 2):
        scene.fleet.change(number, product(GROUPS[number]))
    return f"{count} attempts"


def poison_messages(scene: Scene, films: int, bad: int, count: int) -> str:
    scene.put(films - bad, bad)
    kinds = poison(scene.field)
    send(kinds, scene.field.settings.kafka)
    scene.field.poison |= {kind.mark: kind.reason for kind in kinds}
    return f"{len(kinds)} kinds"


def duplicates(scene: Scene, films: int, bad: int, count: int) -> str:
    """Every event and request twice, and then all groups rewound to where the films were put."""
    began_ms = round(time.time() * 1000)
    put = scene.put(films - bad, bad)
    scene.begun(films)
    field = scene.field
    for topic in (OBJECTS, REQUESTS):
        mine = [d.record for d in field.topics.scan(topic) if d.timestamp_ms >= began_ms]
        field.topics.put(topic, [Record(record.key, record.value, record.headers) for record in mine])
    field.topics.put(REQUESTS, [encode(Request(field.uri(film)), "chaos") for film in put if not film.reason])  # and without a version
    field.settled()
    scene.fleet.rest()
    for stage, topic in STAGE_TOPICS.items():
        if stage not in ("live", "encode"):
            field.topics.rewind(topic, group_of(stage), began_ms)
    scene.fleet.go_on()
    return "each message twice, then all groups rewound"


Fault = Callable[[Scene, int, int, int], str]
FAULTS: dict[str, Fault] = {
    "kill -9 of any stage": kills,
    "broker restart": broker_restart,
    "MinIO restart": minio_restart,
    "MinIO outage": minio_outage,
    "PostgreSQL restart": postgres_restart,
    "slow consumer": slow_consumer,
    "a film that kills its process": deadly_film,
    "poison messages": poison_messages,
    "duplicate delivery": duplicates,
}
