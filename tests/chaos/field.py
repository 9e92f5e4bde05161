"""Where chaos happens: real servers, a bucket, a database, and what must be true of them once all films are done."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa

from deploy.local.servers import Servers
from pipelines.interfaces import StoreUnavailable
from pipelines.stores import tables
from pipelines.stores.folder import UNFINISHED
from pipelines.stores.requests import RequestBook, RequestRow
from services.app import MEASURED, open_bucket, open_topics
from services.dead_letters import DeadLetter, letters
from services.ingest.notify import notify
from services.opening import open_results
from services.settings import Settings
from services.stages import STAGE_TOPICS
from services.topics.base import BrokerUnavailable
from services.worker import group_of
from tests.chaos.films import Told
from tests.chaos.fleet import GROUPS, Fleet, product
from tests.chaos.waiting import until

AWAY = (StoreUnavailable, BrokerUnavailable)
BUSY = ("queued", "working")


@dataclass
class Field:
    """One bucket and one database, for all films that are thrown at it. folder: of this machine, for logs and scratch."""

    servers: Servers
    folder: Path
    films: list[Told] = field(default_factory=list)
    poison: dict[str, str] = field(default_factory=dict)  # a text in the letter's key or value -> one in its reason

    def __post_init__(self) -> None:
        mark = secrets.token_hex(6)
        database = self._new_database(f"chaos_{mark}")
        at = self.servers
        self.settings = Settings(
            kafka=at.kafka, s3=at.s3, s3_access_key=at.s3_access_key, s3_secret_key=at.s3_secret_key, database=database,
            bucket=f"chaos-{mark}", scratch=self.folder / f"scratch-{mark}", session_s=6.0, slots=2, partitions=4,
            reconcile_s=5.0, local=True,
        )  # fmt: skip
        self.topics = open_topics(self.settings)
        notify(open_bucket(self.settings, self.settings.bucket), self.settings.prefix)
        self.results = open_results(database)
        self.book = RequestBook(self.results)

    def _new_database(self, name: str) -> str:
        engine = sa.create_engine(self.servers.database, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{self.servers.database.rpartition('/')[0]}/{name}"

    @contextmanager
    def fleet(self) -> Iterator[Fleet]:
        """The product's own processes, at work."""
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with Fleet(map(product, GROUPS), self.settings.to_env(), logs, str(self.settings.scratch)) as fleet:
            until(fleet.is_ready, "the processes do not come up")
            yield fleet

    def put(self, films: Iterable[Told]) -> None:
        """Drop films into the bucket; what becomes of them is checked by `check`."""
        for film in films:
            open_bucket(self.settings, self.settings.bucket).put(f"{self.settings.prefix}{film.path.name}", film.path.read_bytes())
            self.films.append(film)

    def uri(self, film: Told) -> str:
        return f"s3://{self.settings.bucket}/{self.settings.prefix}{film.path.name}"

    def rows(self) -> dict[str, RequestRow]:
        """What became of each film, by its uri."""
        return {row.uri: row for row in self.book.all()}

    def done(self) -> int:
        """Films that have come to their end, as far as the database answers."""
        try:
            rows = self.rows()
        except StoreUnavailable:
            return 0
        return sum(self.uri(film) in rows and rows[self.uri(film)].state not in BUSY for film in self.films)

    def lag(self) -> int:
        return sum(self.topics.lag([topic], group_of(stage)) for stage, topic in STAGE_TOPICS.items() if stage not in ("live", "encode"))

    def letters(self) -> list[DeadLetter]:
        """Those of this field's films and poison."""
        return [letter for letter in letters(self.topics) if self.settings.bucket in _all_of(letter)]

    def is_quiet(self) -> bool:
        try:
            return self.done() == len(self.films) and self.lag() == 0
        except AWAY:
            return False

    def settled(self) -> float:
        """Wait until nothing is left to do; how long that took, s."""
        began = time.monotonic()
        until(self.is_quiet, lambda: f"{self.done()} of {len(self.films)} films are done; see the logs in {self.folder}")
        return time.monotonic() - began

    def check(self) -> None:
        """All good films are done exactly once, all bad ones are dead letters with the right reason, and there is nothing else."""
        found = sorted((asdict(row) for row in self.results.findings()), key=lambda row: (row["video_id"], row["id"]))
        wanted = sorted((row for film in self.films for row in film.rows), key=lambda row: (row["video_id"], row["id"]))
        assert found == wanted, _difference(found, wanted)
        states = {uri: row.state for uri, row in self.rows().items()}
        films = {self.uri(film): film.status for film in self.films}
        wrong = {uri: (states.get(uri), films[uri]) for uri in films if states.get(uri) != films[uri]}
        assert not wrong, wrong
        assert {states[uri] for uri in set(states) - set(films)} <= {"failed"}  # poison
        good = [film for film in self.films if not film.reason]
        with self.results.database.reading() as db:
            assert db.scalar(sa.select(sa.func.count()).select_from(tables.reports)) == len(good)
        self._check_letters()

    def _check_letters(self) -> None:
        told = self.letters()
        bad = {self.uri(film): film.reason for film in self.films if film.reason}
        assert {uri: letter.reason for letter in told if (uri := _uri(letter)) in bad} == bad
        others = [letter for letter in told if _uri(letter) not in bad]
        for mark, reason in self.poison.items():
            mine = [letter for letter in others if mark in _all_of(letter)]
            assert mine, f"nothing of {mark} is among the dead letters"
            assert all(reason in letter.reason for letter in mine), (mark, [letter.reason for letter in mine])
            others = [letter for letter in others if letter not in mine]
        assert not others, [(letter.topic, letter.key, letter.reason) for letter in others]

    def check_leftovers(self, fleet: Fleet) -> None:
        """Nobody is left over of those who have ended, and nothing waits for an encoder. Call it when all rest."""
        until(lambda: not fleet.left(), lambda: f"processes are left: {fleet.left()}", 30)
        waiting = self.settings.scratch / "waiting"
        assert [path for path in waiting.rglob("*") if path.is_file() and not path.name.startswith(UNFINISHED)] == []
        measured = open_bucket(self.settings, self.settings.bucket, MEASURED)
        assert [key for key in measured.keys("") if "-pictures-" in key] == []


def _all_of(letter: DeadLetter) -> str:
    return f"{letter.key}{letter.value!r}{dict(letter.headers)}"


def _uri(letter: DeadLetter) -> str:
    """Of the film that it is about; empty where it is about none."""
    try:
        told = json.loads(letter.value)
        return str(told.get("uri") or told["request"]["uri"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _difference(found: list[dict[str, object]], wanted: list[dict[str, object]]) -> str:
    lacking = [f"{row['name']}/{row['id']}" for row in wanted if row not in found]
    beyond = [f"{row['name']}/{row['id']}" for row in found if row not in wanted]
    return f"{len(lacking)} findings are not as analyze_video has them: {lacking[:5]}; {len(beyond)} are beyond: {beyond[:5]}"
