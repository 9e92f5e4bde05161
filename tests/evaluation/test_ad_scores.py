from __future__ import annotations

import pytest

from model.video import TimeSpan
from pipelines.evaluation.ad_scores import Verdict, edge_errors_s, false_s_per_hour, overlap, reliability, scored_breaks

FILM = Verdict("classic", 3660.0, ((TimeSpan(100, 160), 0.9), (TimeSpan(500, 510), 0.6)), (TimeSpan(101, 161),))


def test_overlap_counts_seconds() -> None:
    result = overlap([FILM])

    assert (result.shared_s, result.false_s, result.missed_s) == (59, 11, 1)
    assert result.f1 == pytest.approx(118 / 130)


def test_nothing_found_where_nothing_is_counts_as_right() -> None:
    assert overlap([Verdict("clean", 600.0, (), ())]).f1 == 1.0


def test_false_time_is_per_hour_of_programme() -> None:
    assert false_s_per_hour([FILM]) == pytest.approx(11.0)


def test_edges_are_compared_where_breaks_match() -> None:
    assert edge_errors_s([FILM]) == [1.0, 1.0]


def test_a_bin_says_what_its_scores_are_worth() -> None:
    rows = reliability(scored_breaks([FILM]), edges=(0.0, 0.5, 0.7, 1.0))

    assert [(b.count, b.mean_score, b.right) for b in rows] == [(1, 0.6, 0.0), (1, 0.9, 1.0)]
