"""What every result store promises."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from model.video import TimeSpan
from pipelines.interfaces import StoreUnavailable, WrongRequest
from pipelines.stores.database import DatabaseResults
from services.opening import open_results
from tests.contracts.results.reports import report


def test_a_saved_report_comes_back_equal(results: DatabaseResults):
    saved = report((10, 40))

    results.save(saved, "channel 4")

    assert results.load(saved.video_id, "d1") == saved
    assert results.load(saved.video_id, "other settings") is None


def test_saving_twice_changes_nothing(results: DatabaseResults):
    for _ in range(2):
        results.save(report((10, 40), (60, 80)), "s")

    assert [(row.start_s, row.end_s) for row in results.findings()] == [(10, 40), (60, 80)]


def test_a_later_run_under_other_settings_replaces_the_rows_of_its_tasks(results: DatabaseResults):
    results.save(report((10, 40)), "s")
    results.save(report((11, 41), digest="d2"), "s")

    assert [row.start_s for row in results.findings()] == [11]
    assert results.load("v" * 64, "d1") == report((10, 40))


def test_findings_are_chosen_by_time_score_task_and_video(results: DatabaseResults):
    results.save(report((10, 40), (60, 80)), "s")

    assert [r.start_s for r in results.findings(from_s=40, to_s=90)] == [60]
    assert [r.start_s for r in results.findings(to_s=60)] == [10]
    assert results.findings(min_score=0.95) == []
    assert results.findings(task="anomalies") == []
    assert len(results.findings(video="film.mp4")) == len(results.findings(video="vvv")) == 2


def test_a_correction_survives_the_next_run(results: DatabaseResults):
    results.save(report((10, 40)), "s")
    [row] = results.findings()

    now = results.correct(row.id[:6], span=TimeSpan(12, 40), note="the trailer is ours")
    results.save(report((10.2, 40), digest="d2"), "s")

    assert (now.start_s, now.state, now.revision) == (12, "corrected", 1)
    assert [(r.start_s, r.state) for r in results.findings()] == [(12, "corrected")]
    assert results.load("v" * 64, "d2") == report((10.2, 40), digest="d2")  # what was found stays as it was found


def test_words_add_up_and_a_rejected_finding_is_told_with_its_source(results: DatabaseResults):
    results.save(report((10, 40)), "channel 4")
    [row] = results.findings()

    results.correct(row.id, span=TimeSpan(12, 40))
    results.correct(row.id, rejected=True)

    [first, second] = results.corrections(source="channel 4")
    assert (first.rejected, second.rejected, second.revision) == (False, True, 2)
    assert (second.finding.span, second.span) == (TimeSpan(10, 40), TimeSpan(12, 40))


def test_an_id_of_an_earlier_run_leads_to_what_is_there_now(results: DatabaseResults):
    results.save(report((10, 40), (60, 80)), "s")
    before = results.findings()[1]
    results.save(report((60.5, 80), digest="d2"), "s")

    assert before.id not in [row.id for row in results.findings()]
    assert results.finding(before.id).start_s == 60.5
    assert results.correct(before.id[:8], rejected=True).state == "rejected"


def test_a_correction_beyond_the_films_end_is_refused(results: DatabaseResults):
    results.save(report((10, 40)), "s")

    with pytest.raises(WrongRequest, match=r"ends at 100\.000 s"):
        results.correct(results.findings()[0].id, span=TimeSpan(100, 110))


def test_an_unknown_or_ambiguous_id_is_said_so(results: DatabaseResults):
    results.save(report((10, 40), (60, 80)), "s")

    with pytest.raises(WrongRequest, match="no finding"):
        results.correct("zzz", rejected=True)
    with pytest.raises(WrongRequest, match="2 findings"):
        results.correct("", rejected=True)


def test_rows_come_in_the_order_of_names_whatever_the_database_makes_of_letters(results: DatabaseResults):
    for k, name in enumerate(("b.mp4", "É.mp4", "B.mp4", "a_1.mp4", "a1.mp4", "ä.mp4")):
        results.save(report((10, 40), video_id=f"{k}" * 64, name=name), "s")

    assert [row.name for row in results.findings()] == ["B.mp4", "a1.mp4", "a_1.mp4", "b.mp4", "É.mp4", "ä.mp4"]


def test_what_was_saved_outlives_the_connection(results: DatabaseResults, url: str):
    results.save(report((10, 40)), "s")

    assert DatabaseResults(url).load("v" * 64, "d1") == report((10, 40))
    assert [row.start_s for row in DatabaseResults(url).findings()] == [10]


def test_a_report_that_cannot_be_saved_whole_is_not_saved_at_all(results: DatabaseResults):
    results.save(report((10, 40)), "s")
    twice = report((11, 41), digest="d2")
    [finding] = twice.tasks[0].findings
    broken = replace(twice, tasks=(replace(twice.tasks[0], findings=(finding, finding)),))  # the same id twice

    with pytest.raises(sa.exc.IntegrityError):
        results.save(broken, "s")

    assert results.load("v" * 64, "d2") is None
    assert [row.start_s for row in results.findings()] == [10]


# --- databases that are not there --------------------------------------------------------------------------------------------


def refusal(url: str) -> str:
    with pytest.raises(StoreUnavailable) as told:
        open_results(url)
    assert "s3cret" not in str(told.value)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_database_that_does_not_answer_is_unavailable_and_keeps_its_password(tmp_path: Path):
    assert "does not answer" in refusal(f"sqlite:////proc/none/{tmp_path.name}.db")
    assert "does not answer" in refusal("nosuchdialect://me:s3cret@host/db")
    assert "(not a database URL) does not answer" in refusal("me:s3cret@host")
    assert "connection refused" in refusal("postgresql+psycopg://me:s3cret@127.0.0.1:9/db").lower()


def test_a_driver_that_is_missing_is_named():
    told = refusal("postgresql+pg8000://me:s3cret@host/db")

    assert told == (
        "the result store postgresql+pg8000://me:***@host/db needs the Python package 'pg8000', which is not installed; "
        "pip install 'longtake[services]' brings psycopg, for PostgreSQL"
    )
