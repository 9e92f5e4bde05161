"""The benchmark that a GPU runs at full size runs here at its smallest, so that it is there when a GPU is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")


def lines(*options: str) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.video_xl", "--repeats", "1", "--threads", "1", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]).stdout.splitlines()


def test_it_tells_the_machine_and_both_ways() -> None:
    machine, ours, *rest = lines("--tokens", "1440")

    assert "torch" in machine
    assert [line.split()[0] for line in (ours, *rest)] == ["ours", "plain", "plain"]
    assert {"watched_s", "second_token_s", "tokens_per_s", "peak_mib"} <= set(ours.split())


def test_it_goes_from_pixels_and_from_a_file(film: Callable[[str], Path]) -> None:
    pixels, filmed = lines("--frames", "12")[1], lines("--film", str(film("closed.mp4")))[1]

    assert {"frames_per_s", "tokens_per_s"} <= set(pixels.split())
    assert "frames 4.000" in filmed
