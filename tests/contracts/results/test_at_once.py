"""Many that write at once, processes and threads, and stores that start at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from model.video import TimeSpan
from pipelines.glimpses import NOTHING_SEEN, Line
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.requests import RequestBook, RequestRow
from pipelines.stores.seen import SeenShelf
from pipelines.stores.tables import VERSION
from services.opening import open_results
from tests.contracts.results.reports import VIDEO, report

SPANS = tuple((float(k), k + 0.5) for k in range(60))


def save_often(url: str, digest: str, times: int) -> None:
    """Runs in a process of its own."""
    results = open_results(url)
    for _ in range(times):
        results.save(report(*SPANS, digest=digest), "channel 4")


def open_and_tell_version(url: str) -> str:
    """Runs in a process of its own."""
    with open_results(url).database.reading() as db:
        return str(db.scalar(sa.text("SELECT version_num FROM alembic_version")))


def in_processes(function: Callable[..., object], *arguments: tuple[object, ...]) -> list[object]:
    with ProcessPoolExecutor(len(arguments), multiprocessing.get_context("fork")) as pool:
        return [running.result() for running in [pool.submit(function, *told) for told in arguments]]


def test_processes_that_save_the_same_report_end_with_one(url: str):
    in_processes(save_often, (url, "d1", 15), (url, "d1", 15), (url, "d1", 15))

    results = open_results(url)
    assert [(row.start_s, row.end_s) for row in results.findings()] == list(SPANS)
    assert results.load(VIDEO, "d1") == report(*SPANS)


def test_threads_that_save_two_answers_about_one_video_end_with_the_rows_of_one(url: str, results: DatabaseResults):
    with ThreadPoolExecutor(4) as pool:
        for saving in [pool.submit(save_often, url, digest, 8) for digest in ("d1", "d2", "d1", "d2")]:
            saving.result()

    rows = results.findings()
    assert [(row.start_s, row.end_s) for row in rows] == list(SPANS)
    assert results.load(VIDEO, "d1") and results.load(VIDEO, "d2")


def test_a_reader_beside_a_writer_sees_all_rows_or_those_of_before(url: str, results: DatabaseResults):
    results.save(report(*SPANS), "s")
    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save_often, url, "d2", 15)
        seen = {len(results.findings())}
        while not saving.done():
            seen.add(len(results.findings()))
        saving.result()

    assert seen == {len(SPANS)}


def test_replicas_that_start_at_once_on_an_empty_store(url: str):
    assert in_processes(open_and_tell_version, *[(url,)] * 4) == [VERSION] * 4


def test_threads_that_start_at_once_on_an_empty_store(url: str):
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(open_and_tell_version, [url] * 10)) == [VERSION] * 10


def test_a_request_noted_twice_at_once_is_one_row(results: DatabaseResults):
    book = RequestBook(results)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: book.put(RequestRow("r1", "s3://a/b", "v", "b", f"state {k}")), range(20)))

    assert [row.id for row in book.all()] == ["r1"]


def test_what_is_said_may_hold_any_letter(results: DatabaseResults, tmp_path_factory: pytest.TempPathFactory):
    shelf = SeenShelf(results, FolderBlobs(tmp_path_factory.mktemp("blobs")), "")
    line = Line(TimeSpan(1, 2), "a\0b 你好 100%_ \\", "subtitle")

    shelf.put(VIDEO, "film.mp4", 10.0, NOTHING_SEEN, [line])

    assert shelf.lines(containing=["100%_ \\"]) == [(VIDEO, replace(line, text="ab 你好 100%_ \\"))]  # a NUL ends texts in databases
