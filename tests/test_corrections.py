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


def test_what_a_run_no_longer_finds_stays_as_it_was_said():
    assert [f.span for f in corrected([], [word(TimeSpan(10, 40), span=TimeSpan(11, 41))])] == [TimeSpan(11, 41)]
    assert [f.state for f in corrected([], [word(TimeSpan(10, 40), rejected=True)])] == ["rejected"]  # so that it can be taken back


def test_the_last_word_counts():
    words = [word(TimeSpan(10, 40), rejected=True), word(TimeSpan(10, 40), revision=2, label="promo")]

    [now] = corrected([ad(10, 40)], words)

    assert (now.state, now.label, now.revision) == ("corrected", "promo", 2)


def test_a_far_finding_is_left_alone():
    found = corrected([ad(100, 130)], [word(TimeSpan(10, 40), rejected=True)])

    assert [(f.span.start_s, f.state) for f in found] == [(10, "rejected"), (100, "found")]


def spot(start_s: float, end_s: float) -> Finding:
    return replace(ad(start_s, end_s, f"spot{start_s}"), kind="spot")


def test_spots_go_with_their_break():
    found = [ad(10, 40), spot(10, 20), spot(20, 30), spot(30, 40), spot(50, 60)]

    moved = corrected(found, [word(TimeSpan(10, 40), span=TimeSpan(18, 28))])
    gone = corrected(found, [word(TimeSpan(10, 40), rejected=True)])

    assert [(f.span, f.state) for f in moved if f.kind == "spot"] == [
        (TimeSpan(10, 20), "rejected"),
        (TimeSpan(20, 28), "corrected"),
        (TimeSpan(30, 40), "rejected"),
        (TimeSpan(50, 60), "found"),
    ]
    assert [f.state for f in gone] == ["rejected", "rejected", "rejected", "rejected", "found"]


def on_spot(start_s: float, end_s: float, **changes: object) -> Correction:
    return replace(word(TimeSpan(start_s, end_s)), finding=spot(start_s, end_s), **changes)


FOUND = [ad(10, 40), spot(10, 20), spot(20, 30), spot(30, 40)]


def breaks(corrections: list[Correction]) -> list[tuple[float, float, str, str]]:
    return [(f.span.start_s, f.span.end_s, f.state, f.label) for f in corrected(FOUND, corrections) if f.kind == "break"]


def test_a_rejected_spot_is_no_longer_part_of_its_break():
    assert breaks([on_spot(30, 40, rejected=True)]) == [(10, 30, "corrected", "Ad break, 2 spots, 20.0 s")]
    assert breaks([on_spot(20, 30, rejected=True)]) == [
        (10, 20, "corrected", "Ad break, 1 spot, 10.0 s"),
        (30, 40, "corrected", "Ad break, 1 spot, 10.0 s"),
    ]
    assert [state for *_, state, _ in breaks([on_spot(a, a + 10, rejected=True) for a in (10, 20, 30)])] == ["rejected"]


def test_a_break_reaches_as_far_as_its_spots_were_said_to():
    assert breaks([on_spot(10, 20, span=TimeSpan(9.5, 20))]) == [(9.5, 40, "corrected", "Ad break, 3 spots, 30.5 s")]
    assert breaks([]) == [(10, 40, "found", "ad break")]


def test_parts_of_a_parted_break_have_ids_of_their_own():
    ids = [f.id for f in corrected(FOUND, [on_spot(20, 30, rejected=True)]) if f.kind == "break"]

    assert ids[0] == "a"
    assert len(set(ids)) == 2
