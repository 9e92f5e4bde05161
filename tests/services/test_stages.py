"""The stages from a request to a saved report, in one process on the broker in memory: what comes out is what `analyze_video` says."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from model.encoders.imagenet import ImageNetEncoder
from pipelines.analyze import analyze_video
from pipelines.profiles import wanted
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.ledger import Ledger
from pipelines.stores.requests import RequestBook
from pipelines.watching import Senses, Store
from services.app import TOPICS
from services.dead_letters import letters
from services.ingest.bucket import Bucket, Ingest, reconciled
from services.messages import FindingEvent, ReportEvent, Request, ce_type, decode, encode
from services.sources import Sources
from services.stages import FINDINGS, REQUESTS, STAGE_TOPICS, Parts, note_death, stage_named
from services.topics.memory import MemoryTopics
from services.worker import Rules, Worker, group_of
from tests.hostile.making import Film, write_film

SMALL = Film(100, 4, width_px=96, height_px=64, codec_options={"preset": "veryfast", "g": "24"}, sound="aac")
SOON_S = 120.0


class Services:
    """All stages over one folder, as `longtake up --embedded` runs them, without its clock."""

    def __init__(self, folder: Path, senses: Senses) -> None:
        self.films = folder / "films"
        self.films.mkdir(parents=True)
        self.results = DatabaseResults(f"sqlite:///{folder}/findings.db")
        self.topics = MemoryTopics()
        self.topics.ensure(dict.fromkeys(TOPICS, 3))
        store = Store(FolderBlobs(folder / "measured"), self.results)
        sources = Sources(roots=(self.films,))
        self.parts = Parts(
            store, senses, sources, Ledger(self.results), RequestBook(self.results), FolderBlobs(folder / "waiting"), partitions=3
        )
        self.bucket = Bucket(FolderBlobs(self.films), "", lambda key: (self.films / key).as_uri())

    def worker(self, names: list[str]) -> Worker:
        stages = [stage_named(name, self.parts, names) for name in names if name != "ingest"]
        ingest = [Ingest(self.bucket, self.parts.ledger)] if "ingest" in names else []
        return Worker([*stages, *ingest], self.topics, self.parts.ledger, Rules(2), on_death=lambda d, why: note_death(self.parts, d, why))

    def ask(self, path: Path, **asked: Any) -> Request:
        request = Request(path.as_uri(), **asked)
        self.topics.put(REQUESTS, [encode(request, "test")])
        return request

    def run(self, *groups: list[str]) -> None:
        """Work until nothing waits for any stage."""
        workers = [self.worker(names) for names in groups]
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + SOON_S
        try:
            while any(self.topics.lag([topic], group_of(stage)) for stage, topic in STAGE_TOPICS.items() if self.has(groups, stage)):
                assert time.monotonic() < deadline, "the services did not come to their end"
                time.sleep(0.02)
        finally:
            for worker in workers:
                worker.stop()
            for thread in threads:
                thread.join(SOON_S)

    def has(self, groups: tuple[list[str], ...], stage: str) -> bool:
        return any(stage in names for names in groups)

    def rows(self) -> list[dict[str, Any]]:
        return sorted((asdict(row) for row in self.results.findings()), key=lambda row: (row["video_id"], row["id"]))


@pytest.fixture(scope="module")
def film_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("stages") / "film.mp4", SMALL)


@pytest.fixture
def services(tmp_path: Path, eyes: ImageNetEncoder) -> Services:
    return Services(tmp_path, Senses(eyes))


def copied(film: Path, services: Services, name: str = "film.mp4") -> Path:
    path = services.films / name
    path.write_bytes(film.read_bytes())
    return path


FUSED = ["record", "tasks", "watch", "encode", "decode", "cut"]


@pytest.mark.parametrize(
    "groups",
    [
        [FUSED],
        [["record", "tasks", "watch"], ["encode"], ["decode"], ["cut"]],
        [["record", "tasks", "watch", "cut"], ["encode", "decode"], ["encode", "decode"]],
    ],
    ids=["in one", "apart", "two decode"],
)
def test_findings_are_those_of_analyze_however_the_stages_are_put_together(
    services: Services, film_path: Path, tmp_path: Path, eyes: ImageNetEncoder, groups: list[list[str]]
):
    path = copied(film_path, services)
    alone = Store(FolderBlobs(tmp_path / "alone"), DatabaseResults(f"sqlite:///{tmp_path}/alone.db"))
    report = analyze_video(path, wanted(), alone, Senses(eyes))

    request = services.ask(path)
    services.run(*groups)

    assert services.rows() == sorted((asdict(row) for row in alone.results.findings()), key=lambda row: (row["video_id"], row["id"]))
    saved = services.results.load(report.video_id, report.digest)
    assert saved is not None
    assert replace(saved, timings_s={}) == replace(alone.results.load(report.video_id, report.digest), timings_s={})  # type: ignore[type-var]
    assert services.parts.book.rows([request.id])[request.id].state == report.status.value
    assert letters(services.topics) == []


def test_findings_are_on_their_topic_one_by_one_and_the_report_last(services: Services, film_path: Path):
    request = services.ask(copied(film_path, services), tasks=("shots", "summary"))
    services.run(FUSED)

    told = [(d.record.headers["ce_type"], d) for d in services.topics.scan(FINDINGS)]
    events = [decode(d, FindingEvent) for kind, d in told if kind == ce_type(FindingEvent)]
    [report] = [decode(d, ReportEvent) for kind, d in told if kind == ce_type(ReportEvent)]
    assert told[-1][0] == ce_type(ReportEvent)
    assert [(e.type, e.revision, e.state) for e in events] == [("end", 1, "found")] * report.findings
    assert sorted(e.id for e in events) == [row["id"] for row in services.rows()]
    assert {e.request_id for e in events} == {report.request_id} == {request.id}
    assert (report.status, report.seconds_total) == ("ok", pytest.approx(100, abs=0.5))


def test_the_same_request_again_is_answered_from_the_store(services: Services, film_path: Path):
    path = copied(film_path, services)
    for _ in range(2):
        services.ask(path)
    other = services.ask(copied(film_path, services, "same bytes.mp4"))
    services.run(FUSED)

    before = services.rows()
    services.ask(path)
    services.run(FUSED)

    assert services.rows() == [row | {"name": "film.mp4"} for row in before]  # as it was called by who asked last
    assert len({row["video_id"] for row in before}) == 1
    assert services.parts.book.rows([other.id])[other.id].state == "ok"


def test_bad_films_end_among_the_dead_letters_and_stop_nobody(services: Services, film_path: Path):
    (services.films / "text.mp4").write_text("no film at all")
    broken = services.ask(services.films / "text.mp4")
    absent = services.ask(services.films / "absent.mp4")
    outside = services.ask(Path("/etc/passwd"))
    good = services.ask(copied(film_path, services), tasks=("shots",))
    services.run(FUSED)

    reasons = {letter.key: letter.reason for letter in letters(services.topics)}
    book = services.parts.book.rows([broken.id, absent.id, outside.id, good.id])
    assert "text.mp4 is not a video" in reasons[broken.uri]
    assert "absent.mp4 is not there" in reasons[absent.uri]
    assert "does not lie in a folder whose films requests may name" in reasons[outside.uri]
    assert [book[r.id].state for r in (broken, absent, outside, good)] == ["failed", "failed", "failed", "ok"]
    assert book[broken.id].reason == reasons[broken.uri]


def test_a_film_that_was_replaced_or_deleted_meanwhile_is_nobodys_fault(services: Services, film_path: Path):
    path = copied(film_path, services)
    version = next(services.bucket.there()).version
    path.write_bytes(path.read_bytes() + b"\0")
    replaced = services.ask(path, version=version)
    deleted = services.ask(services.films / "gone.mp4", version=version)
    services.run(FUSED)

    book = services.parts.book.rows([replaced.id, deleted.id])
    assert letters(services.topics) == []
    assert {row.state for row in book.values()} == {"superseded"}
    assert "was replaced" in book[replaced.id].reason
    assert "was deleted" in book[deleted.id].reason


def test_films_in_the_folder_are_found_once_each(services: Services, film_path: Path):
    copied(film_path, services, "one film.mp4")
    (services.films / "notes.txt").write_text("not a film")
    (services.films / ".hidden.mp4").write_text("not finished")

    def found() -> list[str]:
        outs = list(reconciled(services.bucket, services.parts.ledger))
        return [out.message.name for out in outs if isinstance(out.message, Request)]

    assert found() == ["one film.mp4"]
    assert found() == []
    copied(film_path, services, "one film.mp4").touch()
    assert found() == ["one film.mp4"]  # another version
