"""Episodes of a series on the command line: files of one command, and those that the store keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.exports.report_json import read_report
from pipelines.findings import Report
from services.cli import app
from tests.soundtracks import busy, write

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three radio plays of 45 s that share 12 s of music: from 6, 10 and 3 s on."""
    folder, tune = tmp_path_factory.mktemp("plays"), busy(12, 99, RATE_HZ)
    return [
        write(folder / f"play{n}.wav", [(0, np.hstack([busy(at, n, RATE_HZ), tune, busy(33 - at, 10 + n, RATE_HZ)]))], RATE_HZ)
        for n, at in enumerate((6, 10, 3), 1)
    ]


def analyze(out: Path, *words: object) -> list[Report]:
    result = CliRunner().invoke(app, ["analyze", *map(str, words), "--out", str(out), "--task", "parts"])
    assert result.exit_code == 0, result.output
    return [read_report(path) for path in sorted(out.glob("**/report.json"))]


def intros(report: Report) -> list[tuple[float, float]]:
    return [(f.span.start_s, f.span.end_s) for f in report.findings if f.kind == "intro"]


def test_files_of_one_command_tell_each_others_intro(episodes: list[Path], tmp_path: Path):
    first, second = analyze(tmp_path / "out", *episodes[:2], "--store", tmp_path / "store")

    assert intros(first) == [pytest.approx((6, 18), abs=0.8)]
    assert intros(second) == [pytest.approx((10, 22), abs=0.8)]
    assert first.settings["episodes"] == [second.video_id]


def test_episodes_of_a_named_series_are_taken_from_the_store(episodes: list[Path], tmp_path: Path):
    store = ("--store", tmp_path / "store")
    (alone,) = analyze(tmp_path / "one", episodes[0], "--series", "Plays", *store)
    (later,) = analyze(tmp_path / "three", episodes[2], "--series", "Plays", *store)
    (stranger,) = analyze(tmp_path / "two", episodes[1], "--series", "Other", *store)

    assert intros(alone) == [] and "Judged without other episodes" in alone.tasks[0].reason
    assert intros(later) == [pytest.approx((3, 15), abs=0.8)]
    assert later.settings["episodes"] == [alone.video_id]
    assert intros(stranger) == [] and "episodes" not in stranger.settings


def test_an_episode_that_cannot_be_read_costs_only_itself(episodes: list[Path], tmp_path: Path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")

    result = CliRunner().invoke(
        app,
        [
            "analyze",
            *map(str, [*episodes[:2], broken]),
            "--out",
            str(tmp_path / "out"),
            "--task",
            "parts",
            "--store",
            str(tmp_path / "store"),
        ],
    )

    assert result.exit_code == 3
    assert intros(read_report(tmp_path / "out" / "play1" / "report.json")) == [pytest.approx((6, 18), abs=0.8)]
