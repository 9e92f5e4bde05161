"""A person's word stays on top of what a run finds."""

from dataclasses import replace

from model.video import TimeSpan
from pipelines.corrections import Correction, corrected
from pipelines.findings import Finding


def ad(start_s: float, end_s: float, finding_id: str = "a") -> Finding:
    return Finding(task="ads", kind="break", span=TimeSpan(start_s, end_s), score=0.9, label="ad break", id=finding_id)


def word(found: TimeSpan, **changes: object) -> Correction:
    plain = Correction(ad(found.start_s, found.end_s), "v", "s", revision=1, made_at="2026-01-01T00:00:00+00:00")
    return replace(plain, **changes)


def test_a_correction_moves_the_edges_and_counts_a_revision():
    [now] = corrected([ad(10, 40)], [word(TimeSpan(10, 40), span=TimeSpan(11, 41), label="brand spot")])

    assert (now.span, now.label, now.state, now.revision) == (TimeSpan(11, 41), "brand spot", "corrected", 1)


def test_a_correction_finds_its_finding_again_when_edges_and_ids_moved():
    [first, second] = corrected([ad(1, 9, "new0"), ad(10.5, 40, "new1")], [word(TimeSpan(10, 40), span=TimeSpan(12, 40))])

    assert (first.state, second.state, second.span.start_s) == ("found", "corrected", 12)


def test_a_corrected_finding_stays_although_the_run_lost_it_and_a_rejected_one_does_not_come_back():
    assert [f.span for f in corrected([], [word(TimeSpan(10, 40), span=TimeSpan(11, 41))])] == [TimeSpan(11, 41)]
    assert corrected([], [word(TimeSpan(10, 40), rejected=True)]) == ()


def test_the_last_word_counts():
    words = [word(TimeSpan(10, 40), rejected=True), word(TimeSpan(10, 40), revision=2, label="promo")]

    [now] = corrected([ad(10, 40)], words)

    assert (now.state, now.label, now.revision) == ("corrected", "promo", 2)


def test_a_far_finding_is_left_alone():
    [now] = corrected([ad(100, 130)], [word(TimeSpan(10, 40), rejected=True)])

    assert now.state == "found"
