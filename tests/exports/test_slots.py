"""Slots as VMAP and WebVTT, read back by other parsers."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import webvtt

from model.video import TimeSpan
from pipelines.exports.markers import film_parts
from pipelines.exports.registry import EXPORTS
from pipelines.exports.slots import vmap, vtt_slots
from pipelines.findings import Coverage, Cue, Finding, Report, Status, TaskResult
from tests.exports import reports

SPACE = {"vmap": "http://www.iab.net/videosuite/vmap"}


def made_of(*slots: Finding) -> Report:
    return replace(reports.empty(), tasks=(TaskResult("slots", Status.OK, slots),))


def slot(start_s: float, end_s: float, at_s: float, **more: str) -> Finding:
    cues = (Cue("black", 1.5, "black --> for 0.50 s"), Cue("speech", -0.2, "near speech"))
    return Finding("slots", "slot", TimeSpan(start_s, end_s), 0.9, "Slot", "", cues, {"at_s": at_s, "rank": 1}, **more)


def breaks(text: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "{http://www.iab.net/videosuite/vmap}VMAP" and root.attrib == {"version": "1.0"}
    return root.findall("vmap:AdBreak", SPACE)


def test_vmap_has_a_linear_break_with_an_empty_source_for_every_slot() -> None:
    first, second = breaks(vmap(made_of(slot(10.0, 10.5, 10.25, id='a"<b>&'), slot(3725.0, 3726.0, 3725.9996))))

    assert first.attrib == {"timeOffset": "00:00:10.250", "breakType": "linear", "breakId": 'a"<b>&'}
    assert second.attrib == {"timeOffset": "01:02:06.000", "breakType": "linear", "breakId": "slot-2"}
    assert [source.attrib["id"] for source in (*first, *second)] == ["1", "2"]


def test_no_slot_is_a_valid_empty_list() -> None:
    assert breaks(vmap(made_of())) == []
    assert vtt_slots(made_of()) == "WEBVTT\n"


def test_a_rejected_slot_is_in_neither_and_a_moved_one_is_where_it_was_put() -> None:
    report = made_of(slot(10, 11, 10.5, state="rejected"), slot(20, 21, 10.5, state="corrected"))

    assert [b.attrib["timeOffset"] for b in breaks(vmap(report))] == ["00:00:20.000"]


def test_webvtt_covers_the_pause_and_tells_the_instant_and_why() -> None:
    (cue,) = webvtt.from_buffer(io.StringIO(EXPORTS["slots"].write(made_of(slot(10.0, 10.5, 10.25)))))

    assert (cue.start, cue.end) == ("00:00:10.000", "00:00:10.500")
    assert json.loads(cue.text) == {"at_s": 10.25, "rank": 1, "score": 0.9, "reasons": ["black --> for 0.50 s"]}


def test_intro_and_credits_are_chapters_of_their_own_that_no_ad_is_part_of() -> None:
    def part(kind: str, start_s: float, end_s: float) -> Finding:
        return Finding("parts", kind, TimeSpan(start_s, end_s), 0.9, f"{kind}, long")

    chapters = (
        Finding("chapters", "chapter", TimeSpan(0, 60), 0.9, "Harbour"),
        Finding("chapters", "chapter", TimeSpan(60, 100), 0.9, "Sea"),
    )
    ads = (Finding("ads", "break", TimeSpan(25, 40), 0.9, "Break"),)
    tasks = tuple(
        TaskResult(found[0].task, Status.OK, found) for found in (ads, chapters, (part("intro", 10, 30), part("credits", 90, 100)))
    )

    parts = film_parts(replace(reports.empty(), tasks=tasks, coverage=Coverage(100, 100)))

    assert [(p.title, p.span.start_s, p.span.end_s) for p in parts] == [
        ("Harbour", 0, 10), ("Intro", 10, 25), ("Break", 25, 40), ("Harbour", 40, 60), ("Sea", 60, 90), ("Credits", 90, 100),
    ]  # fmt: skip
