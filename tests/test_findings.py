from fractions import Fraction

import pytest

from model.video import Clock, TimeSpan
from pipelines.findings import Curve, Finding, numbered


def ad(start_s: float, end_s: float) -> Finding:
    return Finding("ads", "break", TimeSpan(start_s, end_s), 1.0, "x")


def test_ids_come_from_the_order_in_time_never_from_the_edges():
    before = numbered([ad(60, 80), ad(10, 40)], "v", "d")
    after = numbered([ad(10.2, 40), ad(61, 80)], "v", "d")

    assert [f.id for f in before] == [f.id for f in after]
    assert [f.span.start_s for f in before] == [10, 60]
    assert numbered([ad(10, 40)], "v", "other settings")[0].id != before[0].id


def test_ticks_count_in_the_streams_own_time_from_its_own_origin():
    [finding] = numbered([ad(1, 2)], "v", "d", Clock(Fraction(1, 90_000), Fraction(14, 10)))

    assert finding.ticks == (216_000, 306_000)


def test_nonsense_is_refused_at_birth():
    with pytest.raises(ValueError, match="score"):
        Finding("ads", "break", TimeSpan(0, 1), 1.5, "x")
    with pytest.raises(ValueError, match="runs forward"):
        TimeSpan(2, 1)
    with pytest.raises(ValueError, match="2 times and 1 values"):
        Curve((0.0, 1.0), (0.5,))
