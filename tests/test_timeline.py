"""Raw stamps become one ascending line, and what was repaired is said."""

from __future__ import annotations

import numpy as np

from pipelines.timeline import DECODING_TIMES, LONGEST_GAP_S, NO_TIMES, UNKNOWN, DisplayOrder, Stamps, Timeline, lay_out

FRAME = 40  # ticks a picture lasts, 1000 ticks a second


def laid_out(pts: list[int], dts: list[int] | None = None, order: list[int] | None = None, held_back: int = 0) -> Timeline:
    stamps = Stamps(np.array(pts), np.array(dts if dts is not None else pts), FRAME, 1000.0)
    return lay_out(stamps, lambda: DisplayOrder(np.array(order if order is not None else range(len(pts)), np.intp), held_back))


def steady(count: int, first: int = 0) -> list[int]:
    return [first + FRAME * n for n in range(count)]


def never() -> DisplayOrder:
    raise AssertionError("stamps alone tell; nothing needs decoding")


def test_good_stamps_are_left_alone() -> None:
    reordered = [0, 120, 40, 80, 240, 160, 200]
    stamps = Stamps(np.array(reordered), np.array(steady(7, -80)), FRAME, 1000.0)
    timeline = lay_out(stamps, never)
    assert timeline.ticks.tolist() == reordered
    assert timeline.warnings == []


def test_an_honest_gap_stays() -> None:
    pts = steady(10) + steady(10, 3_600_000)
    assert laid_out(pts).ticks.tolist() == pts


def test_a_lasting_jump_back_is_laid_end_to_end() -> None:
    timeline = laid_out(steady(20, 5000) + steady(20))
    assert timeline.ticks.tolist() == steady(40, 5000)
    assert timeline.warnings == ["time stamps jump once; what follows was laid end to end"]


def test_an_absurd_jump_forward_is_closed() -> None:
    timeline = laid_out(steady(20) + steady(20, int(LONGEST_GAP_S * 1000) * 5) + steady(20, 100))
    assert timeline.ticks.tolist() == steady(60)
    assert timeline.warnings == ["time stamps jump 2 times; what follows was laid end to end"]


def test_a_single_slip_is_bridged() -> None:
    for wrong in (0, 10**12, 7 * FRAME):
        pts = steady(30)
        pts[12] = wrong
        timeline = laid_out(pts)
        assert timeline.ticks.tolist() == steady(30)
        assert timeline.warnings == ["time stamps do not ascend; slips were replaced by even steps between their neighbours"]


def test_missing_stamps_are_spaced_between_their_neighbours() -> None:
    pts = steady(10)
    pts[0] = pts[4] = pts[5] = pts[9] = UNKNOWN
    timeline = laid_out(pts, steady(10))
    assert timeline.ticks.tolist() == steady(10)
    assert timeline.warnings == ["4 of 10 pictures have no time stamp; they are spaced evenly between their neighbours"]


def test_without_display_times_pictures_are_shown_when_they_are_ready() -> None:
    timeline = laid_out([UNKNOWN] * 4, steady(4), order=[0, 2, 3, 1], held_back=1)
    assert timeline.ticks.tolist() == [40, 160, 80, 120]
    assert timeline.warnings == [DECODING_TIMES]


def test_without_any_stamps_pictures_are_counted() -> None:
    timeline = laid_out([UNKNOWN] * 4, [UNKNOWN] * 4, order=[0, 2, 3, 1])
    assert timeline.ticks.tolist() == [0, 120, 40, 80]
    assert timeline.warnings == [NO_TIMES]


def test_packets_that_give_no_picture_have_no_time() -> None:
    timeline = laid_out([UNKNOWN] * 4, [UNKNOWN] * 4, order=[0, 2])
    assert timeline.ticks.tolist() == [0, UNKNOWN, 40, UNKNOWN]
    assert laid_out([UNKNOWN] * 2, [UNKNOWN] * 2, order=[]).ticks.tolist() == [UNKNOWN] * 2
