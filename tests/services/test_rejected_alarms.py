"""A false alarm, once a person has said so: gone from the next look at the same recording."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli import app
from tests.tasks.test_anomalies import RATE_HZ, box, camera, during


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def film(path: Path, seed: int) -> Path:
    """A minute and a half of the made camera at twice its size; a bag lies there from second 70 on."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE_HZ, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE_HZ)
        for n, grey in enumerate(camera(110, during(75, 108, box(70, 70, 20, 6, 5)), seed)):
            rgb = np.repeat(grey.repeat(2, axis=0).repeat(2, axis=1)[..., None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def test_a_rejected_alarm_is_raised_by_no_later_look_at_its_recording(store: Path, tmp_path: Path):
    def longtake(*words: object) -> str:
        result = CliRunner().invoke(app, [*map(str, words), "--store", str(store)])
        assert result.exit_code == 0, result.output
        return result.stdout

    def alarms() -> list[str]:
        rows = json.loads(longtake("findings", "--task", "anomalies", "--json"))["findings"]
        return [row["id"] for row in rows if row["state"] == "found"]

    first = film(tmp_path / "monday.mp4", 1)
    analyze = ("analyze", "--task", "anomalies", "--source", "gate", "--out", tmp_path / "out")
    longtake(*analyze, first)
    raised = alarms()
    for alarm in raised:
        longtake("correct", alarm, "--reject")

    longtake(*analyze, first)

    assert len(raised) == 1
    assert alarms() == []
