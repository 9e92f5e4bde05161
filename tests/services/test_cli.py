"""The command line as a person uses it: real files in, outputs and exit codes out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipelines.exports.report_json import read_report
from services.analyzing import output_folders
from services.cli import app

Longtake = Callable[..., Result]
SCENES = ((200, 40, 40), (30, 160, 60), (40, 60, 210))  # four seconds of each


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of three scenes by hard cuts, with noise, at 10 frames a second."""
    path = tmp_path_factory.mktemp("films") / "three scenes, one's 100% odd #1.mp4"
    rng = np.random.default_rng(5)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(10), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(120):
            scene = np.full((96, 160, 3), SCENES[number // 40], np.int16)
            scene[20:70, 10 + number % 40 : 50 + number % 40] += 35
            pixels = np.clip(scene + rng.integers(-6, 7, scene.shape), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def longtake(store: Path) -> Longtake:
    def run(*arguments: object) -> Result:
        words = [str(a) for a in arguments]
        return CliRunner().invoke(app, [*words, "--store", str(store)] if words[0] not in ("probe", "export") else words)

    return run


def test_analyze_writes_a_report_a_page_and_the_exports(longtake: Longtake, film: Path, tmp_path: Path):
    result = longtake("analyze", film, "--out", tmp_path, "--export", "edl", "--export", "csv", "--export", "scores")

    assert result.exit_code == 0, result.output
    report = read_report(tmp_path / "report.json")
    assert [round(shot.span.start_s, 3) for shot in report.shots] == [0, 4, 8]
    assert (report.status.value, report.coverage.ratio, report.system) == ("ok", 1.0, "signals")
    assert (tmp_path / f"{film.stem}.edl").read_text() == ""
    rows = list(csv.DictReader((tmp_path / f"{film.stem}.csv").open()))
    assert [row["start_s"] for row in rows if row["task"] == "shots"] == ["0.000000", "4.000000", "8.000000"]
    scores = list(csv.DictReader((tmp_path / f"{film.stem}.scores.csv").open()))  # a row a second
    assert (set(scores[0]), len(scores)) == ({"time_s", "score"}, 12)
    assert "<video" in (tmp_path / "report.html").read_text()


def test_the_second_run_is_answered_from_the_store(longtake: Longtake, film: Path, tmp_path: Path):
    first = json.loads(longtake("analyze", film, "--task", "shots", "--out", tmp_path, "--json").stdout)["reports"][0]
    second = json.loads(longtake("analyze", film, "--task", "shots", "--out", tmp_path, "--json").stdout)["reports"][0]
    anew = json.loads(longtake("analyze", film, "--task", "shots", "--out", tmp_path, "--json", "--again").stdout)["reports"][0]

    assert second["timings_s"] == first["timings_s"]  # the very same answer
    assert anew["timings_s"] != first["timings_s"]
    assert anew["tasks"] == first["tasks"]


def test_a_correction_is_still_there_after_analysing_again(longtake: Longtake, film: Path, tmp_path: Path):
    longtake("analyze", film, "--task", "shots", "--out", tmp_path)
    rows = json.loads(longtake("findings", "--task", "shots", "--json").stdout)["findings"]
    second = next(row for row in rows if abs(row["start_s"] - 4) < 0.01)

    corrected = longtake("correct", second["id"][:12], "--start", 4.5, "--label", "the green room", "--json")
    longtake("analyze", film, "--task", "shots", "--out", tmp_path, "--again")

    assert json.loads(corrected.stdout)["state"] == "corrected"
    report = read_report(tmp_path / "report.json")
    told = {f.label: (f.span.start_s, f.state, f.revision) for f in report.findings}
    assert told["the green room"] == (4.5, "corrected", 1)
    listed = json.loads(longtake("findings", "--from", 4.4, "--to", 5, "--json").stdout)["findings"]
    assert [row["label"] for row in listed if row["task"] == "shots"] == ["the green room"]


def test_one_bad_file_stops_nobody_else(longtake: Longtake, film: Path, tmp_path: Path):
    bad = tmp_path / "notes.mp4"
    bad.write_text("not a film")

    result = longtake("analyze", bad, film, tmp_path / "nowhere.mp4", "--task", "shots", "--out", tmp_path / "out", "--json")

    assert result.exit_code == 3
    outcomes = json.loads(result.stdout)["reports"]
    assert [o["status"] for o in outcomes] == ["failed", "ok", "failed"]
    assert "notes.mp4" in outcomes[0]["reason"] and "does not exist" in outcomes[2]["reason"]
    assert "Traceback" not in result.output
    assert (tmp_path / "out" / film.stem / "report.html").exists()


def test_wrong_usage_is_told_before_any_work(longtake: Longtake, film: Path, tmp_path: Path):
    for words in (["--task", "adz"], ["--export", "docx"], ["--profile", "opera"]):
        result = longtake("analyze", film, "--out", tmp_path / "out", *words)

        assert (result.exit_code, words[1] in result.stderr) == (2, True), result.output
    assert not (tmp_path / "out").exists()
    assert longtake("correct", "ffffffff", "--reject").exit_code == 2
    assert longtake("correct", "ffffffff").exit_code == 2


def test_a_store_that_does_not_answer_is_exit_code_4(film: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")

    result = CliRunner().invoke(app, ["analyze", str(film), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "file" / "store")])

    assert (result.exit_code, "cannot be made" in result.stderr) == (4, True)


def test_clip_writes_the_finding_and_refuses_another_film(longtake: Longtake, film: Path, tmp_path: Path):
    longtake("analyze", film, "--task", "shots", "--out", tmp_path, "--again")
    rows = json.loads(longtake("findings", "--task", "shots", "--json").stdout)["findings"]
    last = max(rows, key=lambda row: row["start_s"])
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes() + b"\0")

    assert longtake("clip", film, last["id"], "--out", tmp_path / "clip.mp4").exit_code == 0
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 40
    assert longtake("clip", other, last["id"], "--out", tmp_path / "no.mp4").exit_code == 2


def test_export_reads_a_finished_report(longtake: Longtake, film: Path, tmp_path: Path):
    longtake("analyze", film, "--task", "shots", "--out", tmp_path)

    result = longtake("export", tmp_path, "--format", "csv")

    assert result.stdout.splitlines()[0] == "task,kind,start_s,end_s,score,label,evidence"
    assert longtake("export", tmp_path / "none.json", "--format", "csv").exit_code == 2


def test_probe_tells_what_was_measured(longtake: Longtake, film: Path):
    facts = json.loads(longtake("probe", film, "--json").stdout)

    assert (facts["duration_s"], facts["frame_count"], facts["frame_rate"], facts["width_px"]) == (12.0, 120, "10", 160)


def test_equal_stems_get_folders_of_their_own():
    videos = [Path("a/film.mp4"), Path("b/film.mkv"), Path("c/Film.ts"), Path("d/other.mp4")]

    assert [folder.name for folder in output_folders(videos, Path("out"))] == ["film", "film-2", "Film-3", "other"]
    assert output_folders(videos[:1], Path("out")) == [Path("out")]
