"""What every result store promises."""

from pathlib import Path

import pytest

from model.video import TimeSpan
from pipelines.findings import Coverage, Finding, Report, Status, TaskResult, numbered
from pipelines.interfaces import StoreUnavailable, WrongRequest
from pipelines.stores.database import DatabaseResults


def report(*ads: tuple[float, float], digest: str = "d1", video_id: str = "v" * 64) -> Report:
    found = [Finding(task="ads", kind="break", span=TimeSpan(*span), score=0.9, label="ad break") for span in ads]
    tasks = (TaskResult("ads", Status.OK, numbered(found, video_id, digest)),)
    return Report("r", video_id, "film.mp4", Status.OK, "", Coverage(100, 100), "signals", {}, digest, {}, tasks)


@pytest.fixture
def results(tmp_path: Path) -> DatabaseResults:
    return DatabaseResults(f"sqlite:///{tmp_path}/findings.db")


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


def test_a_database_that_does_not_answer_is_unavailable_and_keeps_its_password(tmp_path: Path):
    with pytest.raises(StoreUnavailable, match="does not answer") as told:
        DatabaseResults(f"sqlite:////proc/none/{tmp_path.name}.db")
    assert "s3cret" not in str(told.value)
    with pytest.raises(StoreUnavailable) as told:
        DatabaseResults("nosuchdialect://me:s3cret@host/db")
    assert "s3cret" not in str(told.value)
