"""What services rely on not being forgotten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.stores.database import DatabaseResults
from pipelines.stores.ledger import Ledger
from services.opening import open_results

FILM = "s3://videos/incoming/my film é.mp4"


@pytest.fixture
def ledger(results: DatabaseResults) -> Ledger:
    return Ledger(results)


def test_attempts_are_counted_for_each_stage_and_message(ledger: Ledger):
    assert [ledger.begin("decode", "m1") for _ in range(3)] == [1, 2, 3]
    assert (ledger.begin("tasks", "m1"), ledger.begin("decode", "m2")) == (1, 1)


def test_a_count_is_there_for_who_comes_after_a_crash(ledger: Ledger, url: str):
    ledger.begin("decode", "m1")

    assert Ledger(open_results(url)).begin("decode", "m1") == 2


def test_the_first_attempt_keeps_its_time(ledger: Ledger):
    assert ledger.first_at("decode", "m1") == ""
    ledger.begin("decode", "m1")
    first_at = ledger.first_at("decode", "m1")
    ledger.begin("decode", "m1")

    assert first_at.endswith("+00:00")
    assert ledger.first_at("decode", "m1") == first_at


def test_an_attempt_that_is_withdrawn_does_not_count(ledger: Ledger):
    ledger.begin("decode", "m1")
    ledger.begin("decode", "m1")
    ledger.withdraw("decode", "m1")
    ledger.begin("tasks", "m1")
    ledger.withdraw("tasks", "m1")

    assert ledger.begin("decode", "m1") == 2
    assert ledger.first_at("tasks", "m1") == ""


def test_a_settled_message_is_forgotten(ledger: Ledger):
    ledger.begin("decode", "m1")
    ledger.begin("decode", "m2")
    ledger.settle("decode", "m1")
    ledger.settle("decode", "m1")

    assert (ledger.begin("decode", "m1"), ledger.begin("decode", "m2")) == (1, 2)


def test_attempts_at_once_are_all_counted(url: str):
    ledgers = [Ledger(open_results(url)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda k: ledgers[k % 4].begin("decode", "m1"), range(40)))

    assert sorted(counts) == list(range(1, 41))


def test_an_object_is_met_once(ledger: Ledger):
    assert ledger.met(FILM, "etag1", "17A4B2", "r1") is True
    assert ledger.met(FILM, "etag1", "17A4B2", "r1") is False
    assert ledger.met(FILM, "etag2", "17A4B3", "r2") is True
    assert ledger.known([FILM, "s3://videos/other"]) == {FILM: "etag2"}


def test_an_event_that_comes_late_changes_nothing(ledger: Ledger):
    ledger.met(FILM, "etag2", "17a4b3", "r2")

    assert ledger.met(FILM, "etag1", "17A4B2", "r1") is False
    assert ledger.known([FILM]) == {FILM: "etag2"}


def test_sequencers_of_unlike_lengths_are_compared_from_the_left(ledger: Ledger):
    ledger.met(FILM, "etag1", "17A4B2", "r1")

    assert ledger.met(FILM, "etag0", "17A4B", "r0") is False
    assert ledger.met(FILM, "etag2", "17A4B201", "r2") is True


def test_a_listing_tells_what_is_there_now_and_its_event_may_follow(ledger: Ledger):
    ledger.met(FILM, "etag1", "17A4B2", "r1")

    assert ledger.met(FILM, "etag2", "", "r2") is True
    assert ledger.met(FILM, "etag2", "", "r2") is False
    assert ledger.met(FILM, "etag2", "17A4B3", "r2") is False  # its event, late
    assert ledger.met(FILM, "etag1", "17A4B2", "r1") is False  # and one of before, later still
    assert ledger.known([FILM]) == {FILM: "etag2"}


def test_of_many_that_meet_an_object_at_once_one_is_told(url: str):
    ledgers = [Ledger(open_results(url)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda k: ledgers[k % 4].met(FILM, "etag1", "17A4B2", "r1"), range(12)))

    assert told.count(True) == 1


def test_more_objects_than_a_query_takes_are_known(ledger: Ledger):
    for k in range(3):
        ledger.met(f"s3://videos/{k}", f"etag{k}", "1", "r")

    assert ledger.known([f"s3://videos/{k}" for k in range(70_000)]) == {f"s3://videos/{k}": f"etag{k}" for k in range(3)}
    assert ledger.known([]) == {}


def test_which_video_a_version_of_a_source_was(ledger: Ledger):
    assert ledger.video_of(FILM, "etag1") is None
    ledger.identified(FILM, "etag1", "a" * 64)
    ledger.identified(FILM, "etag2", "b" * 64)
    ledger.identified(FILM, "etag1", "a" * 64)

    assert (ledger.video_of(FILM, "etag1"), ledger.video_of(FILM, "etag2"), ledger.video_of(FILM, "")) == ("a" * 64, "b" * 64, None)
