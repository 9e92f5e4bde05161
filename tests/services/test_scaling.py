"""Replicas by how many messages wait."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.scaling import QUIET_S, by_lag


def context(lag: float, running: int, *, at_s: float = 0.0, state: dict[str, Any] | None = None, most: int = 8) -> Any:
    return SimpleNamespace(
        aggregated_metrics={"lag": {"a": lag, "b": lag}, "slots": {"a": 2.0, "b": 2.0}},
        capacity_adjusted_min_replicas=1, capacity_adjusted_max_replicas=most, target_num_replicas=running,
        policy_state=state or {}, current_time=at_s,
    )  # fmt: skip


@pytest.mark.parametrize(("lag", "replicas"), [(0, 1), (4, 1), (5, 2), (12, 3), (1000, 8)])
def test_there_are_as_many_as_there_is_work_for(lag: float, replicas: int):
    assert by_lag(context(lag, 1)) == (replicas, {})


def test_before_anything_is_measured_the_least_run():
    bare = context(0, 1)
    bare.aggregated_metrics = None

    assert by_lag(bare) == (1, {})


def test_one_goes_after_a_while_with_less_to_do():
    running, state = by_lag(context(0, 3, at_s=1000.0))
    assert (running, state) == (3, {"quiet_since": 1000.0})
    assert by_lag(context(0, 3, at_s=1000.0 + QUIET_S / 2, state=state))[0] == 3
    assert by_lag(context(0, 3, at_s=1000.0 + QUIET_S, state=state))[0] == 2
    assert by_lag(context(12, 3, at_s=1000.0 + QUIET_S / 2, state=state)) == (3, {})  # work came: the quiet begins anew
