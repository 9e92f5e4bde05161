"""A whole archive: so many at a time, each content once, gone on with after a stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.interfaces import WrongRequest
from pipelines.stores.database import DatabaseResults
from pipelines.stores.requests import RequestBook, RequestRow
from services.archive import ArchiveOrder, archive_at, run
from services.ingest.bucket import Put
from services.messages import Request
from services.settings import Settings


class Archive:
    """Services that answer when they are told to, and remember what was asked of them."""

    def __init__(self, folder: Path) -> None:
        self.book = RequestBook(DatabaseResults(f"sqlite:///{folder}/findings.db"))
        self.asked: list[str] = []
        self.on_their_way: list[Request] = []
        self.most = 0

    def send(self, request: Request) -> None:
        self.asked.append(request.name)
        self.on_their_way.append(request)
        self.most = max(self.most, len(self.on_their_way))

    def answer(self, *_: object) -> None:
        """One film's end, whenever progress is told."""
        if self.on_their_way:
            done = self.on_their_way.pop(0)
            state = "failed" if "broken" in done.name else "ok"
            self.book.put(RequestRow(done.id, done.uri, done.version, done.name, state))


def films(*names: str, version: str = "") -> list[tuple[Put, Request]]:
    puts = [Put("b", name, version or f"v-{name}", 9) for name in names]
    return [(put, Request(f"s3://b/{put.key}", put.version)) for put in puts]


def test_so_many_at_a_time_and_all_in_the_end(tmp_path: Path):
    archive = Archive(tmp_path)

    rows = run(films("a", "b", "broken", "d", "e"), archive.book, archive.send, ArchiveOrder("", at_once=2), archive.answer)

    assert (archive.asked, archive.most) == (["a", "b", "broken", "d", "e"], 2)
    assert [row.state for row in rows] == ["ok", "ok", "failed", "ok", "ok"]


def test_a_second_run_asks_for_what_is_missing_only(tmp_path: Path):
    archive = Archive(tmp_path)
    run(films("a", "broken"), archive.book, archive.send, ArchiveOrder(""), archive.answer)
    archive.asked.clear()

    run(films("a", "broken", "c"), archive.book, archive.send, ArchiveOrder(""), archive.answer)
    assert archive.asked == ["c"]
    run(films("a", "broken", "c"), archive.book, archive.send, ArchiveOrder("", retry_failed=True), archive.answer)
    assert archive.asked == ["c", "broken"]


def test_films_that_look_the_same_go_one_after_the_other(tmp_path: Path):
    archive = Archive(tmp_path)

    run(films("a", "b", "c", version="same"), archive.book, archive.send, ArchiveOrder("", at_once=4), archive.answer)

    assert (archive.asked, archive.most) == (["a", "b", "c"], 1)


def test_what_is_no_archive_is_told(tmp_path: Path):
    with pytest.raises(WrongRequest, match="neither s3://bucket/prefix nor a folder"):
        archive_at(str(tmp_path / "absent"), Settings())
    with pytest.raises(WrongRequest, match="LONGTAKE_S3 names one"):
        archive_at("s3://films/1960s/", Settings())
