import numpy as np

from model.video import TimeSpan
from pipelines.answer import overall
from pipelines.findings import Finding, Shot, Status, TaskResult
from pipelines.judge import ad_breaks, by_second, programme
from pipelines.series import Missing, Series

SHOTS = tuple(Shot(TimeSpan(start, start + 10)) for start in (0.0, 10.0, 20.0, 30.0))


def ads(*spans: TimeSpan) -> dict[str, TaskResult]:
    found = tuple(Finding("ads", "break", span, 0.9, "Ad break") for span in spans)
    return {"ads": TaskResult("ads", Status.OK, found)}


def test_chapters_and_summaries_are_about_the_programme_not_its_ads():
    assert [shot.span.start_s for shot in programme(SHOTS, ads(TimeSpan(9.8, 30.2)))] == [0, 30]
    assert programme(SHOTS, {}) == SHOTS  # ads were not looked for


def test_a_film_that_is_all_advertising_is_summarised_all_the_same():
    assert programme(SHOTS, ads(TimeSpan(0, 40))) == SHOTS
    assert ad_breaks(SHOTS, ads(TimeSpan(0, 30))) == []  # so slots need not keep away from it
    assert ad_breaks(SHOTS, ads(TimeSpan(0, 20))) == [TimeSpan(0, 20)]


def test_a_curve_has_the_mean_of_each_second_that_has_a_value():
    curve = by_second(Series(np.array([0.0, 0.5, 2.0, 3.0]), np.array([1.0, 2.0, 5.0, -np.inf])))

    assert (curve.times_s, curve.values) == ((0.0, 2.0), (1.5, 5.0))


def test_a_report_says_what_was_lost_before_what_was_found():
    nothing = (TaskResult("ads", Status.EMPTY, reason="the film is too short"),)

    assert overall(nothing, ()) == (Status.EMPTY, "ads: the film is too short")
    assert overall(nothing, (), "the subtitles could not be read: it took too long")[0] is Status.DEGRADED
    assert overall(nothing, (Missing(3.0, 5.0, "damaged"),)) == (Status.DEGRADED, "2.0 s of the file could not be decoded: damaged")
