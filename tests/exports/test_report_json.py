"""report.json: round trip, the published schema, and what it refuses."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from model.video import TimeSpan
from pipelines.exports.report_json import (
    checked,
    read_report,
    report_from_json,
    report_schema,
    report_text,
    report_to_json,
    storyboard_files,
    write_report,
)
from pipelines.findings import Curve, Report, Shot
from pipelines.interfaces import WrongRequest
from pipelines.texts import ScreenText, Spoken, Word
from tests.exports import reports

REPORTS = (reports.broadcast(shots=60), reports.clip(), reports.empty(), reports.broken(), reports.hostile())


def comparable(report: Report) -> Report:
    """Silence (minus infinity) reads back as NaN, which equals nothing."""
    curves = {
        name: Curve(curve.times_s, tuple(v if math.isfinite(v) else -99.0 for v in curve.values)) for name, curve in report.curves.items()
    }
    return replace(report, curves=curves)


def test_a_store_that_lost_a_part_says_so() -> None:
    data = report_to_json(reports.clip())
    del data["tasks"][0]["status"]

    with pytest.raises(WrongRequest, match="lacks something: 'status'"):
        report_from_json(data)


@pytest.mark.parametrize("report", REPORTS, ids=lambda r: r.name[:12])
def test_a_report_survives_the_way_to_json_and_back(report: Report) -> None:
    data = json.loads(json.dumps(report_to_json(report, with_pictures=True)))

    assert comparable(report_from_json(data)) == comparable(report)


@pytest.mark.parametrize("report", REPORTS, ids=lambda r: r.name[:12])
def test_pictures_lie_beside_the_report_and_come_back(report: Report, tmp_path: Path) -> None:
    path = write_report(report, tmp_path / "out")

    assert comparable(read_report(path)) == comparable(report)
    assert {str(p.relative_to(path.parent)) for p in path.parent.rglob("*.jpg")} == set(storyboard_files(report))
    assert "base64" not in path.read_text("utf-8")


def test_a_report_without_its_pictures_is_still_a_report(tmp_path: Path) -> None:
    path = write_report(reports.clip(), tmp_path)
    (tmp_path / "storyboard" / "0002.jpg").unlink()

    sizes = [len(frame.jpeg) for frame in read_report(path).storyboard]
    assert sizes[1] == 0 and min(sizes[0], sizes[2]) > 0


def test_a_report_never_reads_a_file_that_it_names_itself(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    path = write_report(reports.clip(), tmp_path / "out")
    path.write_text(path.read_text("utf-8").replace("storyboard/0001.jpg", "../secret"), "utf-8")

    assert read_report(path).storyboard[0].jpeg == b""


def test_the_schema_is_a_schema_and_every_report_keeps_it() -> None:
    Draft202012Validator.check_schema(report_schema())
    for report in (reports.clip(), reports.empty(), reports.broken(), reports.hostile()):
        Draft202012Validator(report_schema()).validate(
            json.loads(json.dumps(report_to_json(report, with_pictures=report.name != "tape 7.ts")))
        )


def changed(**values: Any) -> dict[str, Any]:
    return {**report_to_json(reports.clip()), **values}


def with_finding(**values: Any) -> dict[str, Any]:
    data = deepcopy(report_to_json(reports.clip()))
    data["tasks"][1]["findings"][0] |= values
    return data


def with_curve(**values: Any) -> dict[str, Any]:
    return changed(curves={"loudness_lufs": {"times_s": [0.0, 1.0], "values": [-20.0, None], **values}})


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({}, r"\$"),
        ([], r"\$"),
        ("report", r"\$"),
        (changed(version="2.0"), "version"),
        (changed(status="fine"), "status"),
        (changed(verdict="guilty"), "verdict"),
        (changed(coverage={"seconds_seen": -1, "seconds_total": 3, "ratio": 0}), "seconds_seen"),
        (changed(ext={"mine": {}}), "ext"),
        (changed(clock={"time_base": "1/0", "origin_s": "0"}), "time_base"),
        (changed(missing=[{"start_s": 0, "end_s": 1}]), "reason"),
        (with_finding(score=1.4), "score"),
        (with_finding(score=True), "score"),
        (with_finding(ticks=[1]), "ticks"),
        (with_finding(state="perhaps"), "state"),
        (with_finding(start_s="0"), "start_s"),
        (with_finding(start_s=9.5), "runs forward"),
        (with_curve(values=[1.0, "2"]), "values"),
        (with_curve(times_s=[1.0, None]), "times_s"),
        (with_curve(values=[1.0, True]), "values"),
        (with_curve(times_s=[0.0]), "a value per time"),
    ],
)
def test_nonsense_is_refused_by_saying_where_it_is(data: Any, where: str) -> None:
    with pytest.raises(WrongRequest, match=where):
        report_from_json(checked(data))


def test_others_have_room_under_a_name_of_their_own() -> None:
    assert report_from_json(checked(changed(ext={"org.example": {"reviewed": True}}))).name == "skate #1?.mp4"


def test_what_is_no_json_is_refused_too(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b"[1,"):
        (tmp_path / "report.json").write_bytes(content)
        with pytest.raises(WrongRequest, match=r"report\.json cannot be read as JSON"):
            read_report(tmp_path / "report.json")
    with pytest.raises(WrongRequest):
        read_report(tmp_path / "none.json")


def test_equal_reports_give_equal_bytes_and_a_finding_a_line() -> None:
    text = report_text(reports.broadcast(shots=60))

    assert text == report_text(reports.broadcast.__wrapped__(shots=60))
    assert json.loads(text) == report_to_json(reports.broadcast(shots=60))
    assert '\n  {"start_s": 0.0, "end_s": ' in text  # the first shot
    assert max(len(line) for line in text.splitlines() if '"values"' not in line and '"times_s"' not in line) < 400


def test_times_are_rounded_to_microseconds_and_fractions_stay_exact() -> None:
    report = replace(reports.clip(), media={"frame_rate": Fraction(30_000, 1001), "chapters": ((0.1 + 0.2, 1.0, "a"),)})
    data = report_to_json(report)

    assert data["media"] == {"chapters": [[0.3, 1.0, "a"]], "frame_rate": "30000/1001"}
    assert data["clock"] == {"time_base": "1/90000", "origin_s": "0"}
    finding = data["tasks"][1]["findings"][0]
    assert (finding["start_s"], finding["ticks"]) == (6.2, [558_000, 813_600])


def test_a_name_that_is_no_text_becomes_text() -> None:
    assert report_to_json(replace(reports.empty(), name="caf\udce9.mp4"))["name"] == "caf\ufffd.mp4"


def test_a_shot_keeps_how_surely_and_over_which_stretch_it_began() -> None:
    shots = (Shot(TimeSpan(0, 4), "start"), Shot(TimeSpan(4, 9), "dissolve", TimeSpan(3.5, 4.5), 0.75))

    assert report_from_json(checked(report_to_json(replace(reports.clip(), shots=shots)))).shots == shots


def test_words_seen_and_heard_come_back_and_reports_without_them_open() -> None:
    texts = (ScreenText(TimeSpan(1, 3.5), "STORK\nfresh", 0.97, (0.1, 0.3, 0.9, 0.6), "card"),)
    spoken = (Spoken(TimeSpan(2, 3), "good evening", 0.8, "pocketsphinx 5.1.1", (Word(TimeSpan(2, 2.4), "good", None),)),)
    report = replace(reports.clip(), texts=texts, spoken=spoken)

    data = json.loads(json.dumps(checked(report_to_json(report))))

    assert (report_from_json(data).texts, report_from_json(data).spoken) == (texts, spoken)
    del data["texts"], data["spoken"]
    assert report_from_json(checked(data)).texts == ()
