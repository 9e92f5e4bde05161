"""What is told of findings that come, grow, waver, go and leave the stretch that is judged."""

from __future__ import annotations

from dataclasses import replace

from model.video import TimeSpan
from pipelines.findings import Finding
from pipelines.live.rolling import Change, Rolling


def found(start_s: float, end_s: float, kind: str = "break", score: float = 0.9, task: str = "ads") -> Finding:
    return Finding(task, kind, TimeSpan(start_s, end_s), score, f"{kind} of {end_s - start_s:.0f} s")


def said(changes: list[Change]) -> list[tuple[str, int, float, float, str]]:
    return [(c.type, c.revision, c.finding.span.start_s, c.finding.span.end_s, c.finding.state) for c in changes]


def follow(rolling: Rolling, findings: list[Finding], end_s: float, start_s: float = 0.0) -> list[tuple[str, int, float, float, str]]:
    return said(rolling.follow(findings, TimeSpan(start_s, end_s), 100.0))


def ads() -> Rolling:
    return Rolling("ads", "channel", "settings")


def test_a_finding_is_new_then_refined_then_ended_under_one_id() -> None:
    rolling = ads()
    changes = rolling.follow([found(10, 20)], TimeSpan(0, 20), 100.0)
    changes += rolling.follow([found(10, 31)], TimeSpan(0, 40), 100.0)
    changes += rolling.follow([found(10, 31)], TimeSpan(0, 60), 100.0)
    changes += rolling.follow([found(10, 31)], TimeSpan(0, 140), 100.0)

    assert said(changes) == [("new", 1, 10, 20, "found"), ("update", 2, 10, 31, "found"), ("end", 3, 10, 31, "found")]
    assert len({c.finding.id for c in changes}) == 1
    assert [c.finding.data["open"] for c in changes] == [True, False, False]


def test_what_is_still_going_on_is_told_again_only_when_it_has_grown_much() -> None:
    rolling = ads()
    follow(rolling, [found(10, 20)], 20)

    assert follow(rolling, [found(10, 26)], 26) == []
    assert follow(rolling, [found(10, 32)], 32) == [("update", 2, 10, 32, "found")]


def test_what_wavers_stays_and_what_is_gone_is_withdrawn() -> None:
    rolling = ads()
    follow(rolling, [found(10, 20)], 30)

    assert follow(rolling, [], 33) == []
    assert follow(rolling, [found(10, 20)], 36) == []
    assert follow(rolling, [], 39) == []
    assert follow(rolling, [], 42) == [("end", 2, 10, 20, "withdrawn")]


def test_an_id_is_never_used_again() -> None:
    rolling = ads()
    (first,) = rolling.follow([found(10, 20)], TimeSpan(0, 30), 100.0)
    follow(rolling, [], 33)
    follow(rolling, [], 36)
    (second,) = rolling.follow([found(10, 20)], TimeSpan(0, 39), 100.0)

    assert first.finding.id != second.finding.id


def test_what_is_sealed_is_not_told_again_while_it_is_still_seen() -> None:
    rolling = ads()
    follow(rolling, [found(10, 20)], 30)

    assert follow(rolling, [found(10, 20)], 125) == [("end", 2, 10, 20, "found")]
    assert follow(rolling, [found(10, 21)], 130) == []
    assert follow(rolling, [found(1, 9)], 130) == []  # out of reach: never told


def test_a_finding_keeps_its_beginning_when_the_window_leaves_it_behind() -> None:
    rolling = Rolling("technical", "channel", "settings")
    black = found(10, 200, "black", 1.0, "technical")
    follow(rolling, [black], 200)

    assert follow(rolling, [replace(black, span=TimeSpan(150, 260))], 260, 150) == [("update", 2, 10, 260, "found")]


def test_a_break_and_its_spots_are_different_things_and_an_alarm_may_change_its_name() -> None:
    rolling = ads()
    assert len(follow(rolling, [found(10, 20), found(10, 20, "spot")], 30)) == 2

    camera = Rolling("anomalies", "door", "settings")
    camera.follow([found(10, 20, "fast", task="anomalies")], TimeSpan(0, 30), 100.0)
    (change,) = camera.follow([found(10, 22, "intrusion", task="anomalies")], TimeSpan(0, 33), 100.0)
    assert (change.type, change.revision, change.finding.kind) == ("update", 2, "intrusion")
