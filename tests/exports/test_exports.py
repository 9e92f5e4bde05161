"""Every format is read back by somebody else's parser."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import av
import opentimelineio
import pytest
import webvtt

from model.video import TimeSpan
from pipelines.exports.captions import srt, vtt_chapters, vtt_metadata
from pipelines.exports.editors import otio
from pipelines.exports.markers import ad_breaks, film_parts
from pipelines.exports.players import edl, ffmetadata
from pipelines.exports.registry import EXPORTS, export_named
from pipelines.exports.tables import findings_csv, scores_csv
from pipelines.findings import Coverage, Finding, Report, Status, TaskResult
from pipelines.interfaces import WrongRequest
from tests.exports import reports

FILM, HOSTILE = reports.broadcast(shots=60), reports.hostile()


def made_of(*findings: Finding, total_s: float = 100.0) -> Report:
    tasks = tuple(TaskResult(task, Status.OK, tuple(f for f in findings if f.task == task)) for task in ("ads", "chapters"))
    return replace(reports.empty(), tasks=tasks, coverage=Coverage(total_s, total_s))


def ad(start_s: float, end_s: float, kind: str = "break", **more: str) -> Finding:
    return Finding("ads", kind, TimeSpan(start_s, end_s), 0.9, f"{kind} at {start_s:g}", **more)


def chapter(start_s: float, end_s: float, title: str) -> Finding:
    return Finding("chapters", "chapter", TimeSpan(start_s, end_s), 0.9, title)


def test_kodi_gets_each_ad_once_as_a_commercial_break() -> None:
    report = made_of(ad(10, 40), ad(10, 25, "spot"), ad(25, 40, "spot"), ad(60.5, 75.52, "spot"))

    assert edl(report) == "10.000\t40.000\t3\n60.500\t75.520\t3\n"
    assert edl(FILM).splitlines()[0] == "1218.440\t1398.440\t3"
    assert len(edl(FILM).splitlines()) == 4


def test_what_a_person_rejected_is_in_no_marker_file() -> None:
    report = made_of(ad(10, 40, state="rejected"), ad(60, 70))

    assert edl(report) == "60.000\t70.000\t3\n"
    for write in (vtt_chapters, vtt_metadata, srt, findings_csv, otio, ffmetadata):
        assert "break at 60" in write(report) and "break at 10" not in write(report), write.__name__
    assert "break at 10" in EXPORTS["json"].write(report)


def test_the_film_is_parted_by_chapters_and_ads_that_never_overlap() -> None:
    report = made_of(chapter(0, 30, "one"), chapter(28, 70, "two"), chapter(70, 100, "three"), ad(20, 25), ad(69.8, 80))

    parts = [(m.span.start_s, m.span.end_s, m.title) for m in film_parts(report)]
    assert parts == [
        (0, 20, "one"), (20, 25, "break at 20"), (25, 28, "one"), (28, 69.8, "two"), (69.8, 80, "break at 69.8"), (80, 100, "three"),
    ]  # fmt: skip


def test_without_chapters_the_programme_between_ads_is_numbered() -> None:
    parts = [(m.span.start_s, m.span.end_s, m.title) for m in film_parts(made_of(ad(20, 25), ad(90, 100)))]

    assert parts == [(0, 20, "Part 1"), (20, 25, "break at 20"), (25, 90, "Part 2"), (90, 100, "break at 90")]
    assert film_parts(made_of()) == []


def test_no_sliver_is_left_between_an_ad_and_a_chapter_near_its_edge() -> None:
    report = made_of(chapter(0, 20.2, "one"), chapter(20.2, 39.7, "two"), chapter(39.7, 100, "three"), ad(20, 40))
    early = made_of(chapter(0, 19.8, "one"), chapter(19.8, 100, "two"), ad(20, 40))

    assert [(m.span.start_s, m.span.end_s) for m in film_parts(report)] == [(0, 20), (20, 40), (40, 100)]
    assert [(m.span.start_s, m.span.end_s, m.title) for m in film_parts(early)] == [
        (0, 20, "one"),
        (20, 40, "break at 20"),
        (40, 100, "two"),
    ]


def test_shots_are_markers_but_no_captions() -> None:
    shot = Finding("shots", "cut", TimeSpan(3, 4), 1.0, "Shot 1")
    report = replace(reports.empty(), tasks=(TaskResult("shots", Status.OK, (shot,)),))

    assert srt(report) == "" and "Shot 1" in findings_csv(report)


def test_breaks_and_spots_that_touch_are_one_stretch_named_by_the_widest() -> None:
    stretches = ad_breaks(made_of(ad(10, 25, "spot"), ad(10, 40), ad(40, 55, "spot")))

    assert [(m.span, m.title) for m in stretches] == [(TimeSpan(10, 55), "break at 10")]


@pytest.mark.parametrize("report", [FILM, HOSTILE], ids=["film", "hostile"])
def test_ffmpeg_reads_our_chapters(report: Report, tmp_path: Path) -> None:
    (tmp_path / "chapters").write_text(ffmetadata(report), "utf-8")

    with av.open(str(tmp_path / "chapters"), format="ffmetadata") as container:
        read = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"]) for c in container.chapters()
        ]
    assert read == [(round(m.span.start_s, 3), round(m.span.end_s, 3), m.title) for m in film_parts(report)]


def clock(seconds: float) -> str:
    return f"{seconds // 3600:02.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:06.3f}"


@pytest.mark.parametrize("report", [FILM, HOSTILE, reports.empty()], ids=["film", "hostile", "empty"])
def test_a_webvtt_parser_reads_our_chapters(report: Report) -> None:
    cues = webvtt.from_string(vtt_chapters(report)).captions

    assert [cue.start for cue in cues] == [clock(m.span.start_s) for m in film_parts(report)]
    assert [cue.end for cue in cues] == [clock(m.span.end_s) for m in film_parts(report)]
    texts = [c.raw_text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for c in cues]
    assert texts == [m.title for m in film_parts(report)]


@pytest.mark.parametrize("report", [FILM, HOSTILE], ids=["film", "hostile"])
def test_a_metadata_cue_is_one_json_object(report: Report) -> None:
    cues = webvtt.from_string(vtt_metadata(report)).captions

    kept = [f for f in report.findings if f.state != "rejected"]
    payloads = [json.loads(c.raw_text) for c in cues]
    assert [(p["id"], p["label"], p["explanation"]) for p in payloads] == [(f.id, f.label, f.explanation) for f in kept]
    assert all("-->" not in c.raw_text for c in cues)


@pytest.mark.parametrize(("name", "report"), [("srt", FILM), ("srt", HOSTILE), ("vtt", FILM), ("vtt", HOSTILE)])
def test_ffmpeg_reads_our_captions(name: str, report: Report, tmp_path: Path) -> None:
    path = tmp_path / f"x.{name}"
    path.write_text(export_named(name).write(report), "utf-8")

    with av.open(str(path)) as container:
        packets = [p for p in container.demux() if p.size]
    starts = [float(p.pts * p.time_base) for p in packets if p.pts is not None and p.time_base]
    expected = [m.span for m in film_parts(report)] if name == "vtt" else [f.span for f in report.findings if f.state != "rejected"]
    assert starts == [round(span.start_s, 3) for span in expected]


def test_captions_hold_no_mark_up_and_titles_are_cards_of_a_few_seconds() -> None:
    text = srt(HOSTILE)

    assert "<" not in text and "{" not in text and text.count("-->") == 3
    assert "00:00:00,000 --> 00:00:06,000" in text  # the chapter of 10 s
    assert "00:00:04,000 --> 00:00:08,000" in text  # the break, whole


def test_a_spreadsheet_gets_a_row_a_finding_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(findings_csv(HOSTILE))))

    assert list(rows[0]) == ["task", "kind", "start_s", "end_s", "score", "label", "evidence"]
    assert [row["label"][:12] for row in rows] == ['a=b;c#d\\e, "', "'=HYPERLINK(", "'@SUM(1)"]
    assert (rows[1]["start_s"], rows[1]["end_s"], rows[1]["score"]) == ("4.000000", "8.000000", "0.900000")
    assert rows[1]["evidence"].startswith("black=-1.5 (")
    film = list(csv.DictReader(io.StringIO(findings_csv(FILM))))
    assert len(film) == len(FILM.findings) - 1
    assert film[2]["evidence"] == "" or "=" in film[2]["evidence"]


def test_scores_are_the_anomaly_curve() -> None:
    lines = scores_csv(FILM).splitlines()

    curve = FILM.tasks[1].curves["anomaly"]
    assert lines[0] == "time_s,score"
    assert lines[1:] == [f"{t:.6f},{v:.6f}" for t, v in zip(curve.times_s, curve.values, strict=True)]
    with pytest.raises(WrongRequest, match="--task anomalies"):
        scores_csv(made_of())
    assert scores_csv(reports.empty()) == "time_s,score\n"


@pytest.mark.parametrize("report", [FILM, HOSTILE, replace(FILM, media={})], ids=["film", "hostile", "no rate"])
def test_an_editor_reads_our_timeline(report: Report) -> None:
    timeline = opentimelineio.adapters.read_from_string(otio(report), "otio_json")

    [clip] = list(timeline.find_clips())
    rate = 25.0 if report.media else 1000.0
    kept = [f for f in report.findings if f.state != "rejected"]
    read = [(m.marked_range.start_time.to_seconds(), m.marked_range.end_time_exclusive().to_seconds()) for m in clip.markers]
    assert read == [pytest.approx((f.span.start_s, f.span.end_s), abs=0.5 / rate + 1e-6) for f in kept]
    assert [m.metadata["longtake"]["id"] for m in clip.markers] == [f.id for f in kept]
    assert clip.duration().rate == rate
    assert clip.duration().to_seconds() == report.coverage.seconds_total


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_writes_an_empty_report(name: str) -> None:
    assert isinstance(export_named(name).write(reports.empty()), str)


def test_names_of_files_follow_the_video() -> None:
    paths = {name: export.path(Path("out"), "a.film.mp4").name for name, export in EXPORTS.items()}

    assert paths == {
        "edl": "a.film.edl", "ffmetadata": "a.film.ffmetadata", "vtt": "a.film.chapters.vtt", "metadata": "a.film.metadata.vtt",
        "srt": "a.film.findings.srt", "csv": "a.film.csv", "scores": "a.film.scores.csv", "otio": "a.film.otio", "json": "a.film.json",
        "vmap": "a.film.vmap.xml", "slots": "a.film.slots.vtt",
    }  # fmt: skip
    with pytest.raises(WrongRequest, match="known are edl, ffmetadata"):
        export_named("avi")
