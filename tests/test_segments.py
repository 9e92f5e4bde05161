"""The same values whatever the cutting, and nothing lost in silence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.decode_plan import DecodePlan
from pipelines.limits import Limits
from pipelines.looking import Look, look_at
from pipelines.segments import Work, measure_segment, measure_video, open_measured, segments
from pipelines.series import Missing, Series, unpack
from pipelines.stores.folder import FolderBlobs
from tests.hostile.making import Film, write_film

LENGTH_S = 124.0  # three blocks, the last one short
UNEVEN = tuple(int(k) for k in np.cumsum(np.random.default_rng(3).integers(60, 440, 492)))
SMALL = {"width_px": 96, "height_px": 64}
FILMS = {
    "open groups, sound.mkv": Film(
        LENGTH_S, 4, **SMALL, codec_options={"preset": "veryfast", "g": "37", "x264-params": "open-gop=1:bframes=3"}, sound="aac"
    ),
    "closed groups, uneven times.mp4": Film(LENGTH_S, 4, **SMALL, pts=UNEVEN, codec_options={"preset": "veryfast", "g": "24"}),
    "one key frame.ts": Film(
        LENGTH_S, 4, **SMALL, codec="mpeg2video", codec_options={"g": "600", "sc_threshold": "1000000000"}, sound="mp2"
    ),
}
WHOLE, SINGLE, UNEQUAL = [range(3)], [range(k, k + 1) for k in range(3)], [range(1, 3), range(1)]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {name: write_film(folder / name, film) for name, film in FILMS.items()}


def looked(path: Path) -> Look:
    told: list[Look] = []
    told.append(look_at(path))
    return told[0]


def cut_and_measured(path: Path, cutting: list[range], folder: Path) -> list[dict[str, Series]]:
    blobs = FolderBlobs(folder)
    work = Work(path, looked(path), DecodePlan(), blobs, "m")
    for blocks in cutting:
        measure_segment(lambda message: None, work, blocks)
    return [unpack(blobs.get(key)) for key in blobs.keys("m")]  # the encoder's pictures too, under "m-pictures/"


def assert_equal_series(found: list[dict[str, Series]], expected: list[dict[str, Series]]) -> None:
    assert len(found) == len(expected)
    for block, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name].times_s, theirs[name].times_s, f"times of {name} in block {block}")
            np.testing.assert_array_equal(ours[name].values, theirs[name].values, f"{name} in block {block}")


@pytest.mark.parametrize("name", FILMS)
def test_series_are_equal_value_for_value_for_every_cutting(name: str, films: dict[str, Path], tmp_path: Path):
    whole, single, unequal = [cut_and_measured(films[name], cuts, tmp_path / str(n)) for n, cuts in enumerate([WHOLE, SINGLE, UNEQUAL])]

    assert_equal_series(single, whole)
    assert_equal_series(unequal, whole)


def test_workers_give_the_same_as_this_process(films: dict[str, Path], tmp_path: Path):
    path = films["open groups, sound.mkv"]
    blobs = FolderBlobs(tmp_path / "workers")
    heard: list[tuple[float, float]] = []

    measured = measure_video(path, blobs, "m", DecodePlan(), workers=2, on_progress=lambda done, total: heard.append((done, total)))

    series = [unpack(blobs.get(key)) for key in blobs.keys("m") if key.endswith(".npz")]
    assert_equal_series(series, cut_and_measured(path, WHOLE, tmp_path / "here"))
    assert measured.missing == ()
    assert len(measured["frame.luma"]) == LENGTH_S * 4
    assert heard[-1] == (measured.duration_s, measured.duration_s)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


class FatalBlobs(FolderBlobs):
    """A store in which one block cannot be written: whoever tries is killed, as by a decoder's crash."""

    def put(self, key: str, data: bytes) -> None:
        if key.endswith("000001.npz"):
            os.kill(os.getpid(), signal.SIGSEGV)
        super().put(key, data)


def test_a_crash_loses_its_block_only_and_a_second_run_does_only_the_rest(films: dict[str, Path], tmp_path: Path):
    path = films["closed groups, uneven times.mp4"]

    broken = measure_video(path, FatalBlobs(tmp_path), "m", DecodePlan(), workers=2)

    assert broken.missing == (Missing(60.0, 120.0, "the decoder crashed (SIGSEGV)"),)
    assert broken.seen_s == pytest.approx(broken.duration_s - 60)
    assert list(FolderBlobs(tmp_path).keys("m/")) == ["m/000000.npz", "m/000002.npz", "m/manifest.json"]
    before = {k: (tmp_path / k).stat().st_mtime_ns for k in ("m/000000.npz", "m/000002.npz")}
    mended = measure_video(path, FolderBlobs(tmp_path), "m", DecodePlan(), workers=1)
    assert mended.missing == ()
    assert {k: (tmp_path / k).stat().st_mtime_ns for k in before} == before


class StuckBlobs(FolderBlobs):
    """A store in which writing the last block never ends, as in a decoder's endless loop."""

    def put(self, key: str, data: bytes) -> None:
        while key.endswith("000002.npz"):
            pass
        super().put(key, data)


def test_a_hang_is_ended_by_the_watch(films: dict[str, Path], tmp_path: Path):
    measured = measure_video(
        films["closed groups, uneven times.mp4"], StuckBlobs(tmp_path), "m", DecodePlan(), workers=2, limits=Limits(stall_s=4)
    )

    assert [(m.start_s, m.end_s) for m in measured.missing] == [(120.0, measured.duration_s)]
    assert measured.missing[0].reason == "the decoder came no further"


def test_what_was_measured_opens_again_without_the_file(films: dict[str, Path], tmp_path: Path):
    measured = measure_video(films["closed groups, uneven times.mp4"], FolderBlobs(tmp_path), "m", DecodePlan(), workers=1)
    again = open_measured(FolderBlobs(tmp_path), "m")

    assert again is not None
    assert (again.duration_s, again.clock, again.missing) == (measured.duration_s, measured.clock, measured.missing)
    assert json.loads(json.dumps(again.facts)) == json.loads(json.dumps(measured.facts))
    np.testing.assert_array_equal(again["frame.tick"].values, measured["frame.tick"].values)
    assert open_measured(FolderBlobs(tmp_path), "other") is None


def test_segments_are_balanced_and_cut_where_little_is_wasted():
    assert [*segments([0, 1], 2, lambda block: 0.0)] == [range(1), range(1, 2)]
    assert [len(s) for s in segments([*range(100)], 2, lambda block: 0.0)][:3] == [10, 10, 10]
    assert [len(s) for s in segments([*range(100)], 2, lambda block: 0.0)][-3:] == [1, 1, 1]
    assert [*segments([3, 7, 8], 1, lambda block: 0.0)] == [range(3, 4), range(7, 8), range(8, 9)]
    assert [*segments([*range(30)], 2, lambda block: block * 60.0)] == [range(30)]


def test_ctrl_c_ends_all_workers_and_leaves_what_is_done(films: dict[str, Path], tmp_path: Path):
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from pipelines.decode_plan import DecodePlan; from pipelines.segments import measure_video\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a test run in the background hands down that it is ignored
        "from tests.test_segments import StuckBlobs\n"
        "measure_video(Path(sys.argv[1]), StuckBlobs(Path(sys.argv[2])), 'm', DecodePlan(), workers=1)\n"
    )
    arguments = [sys.executable, "-c", code, str(films["closed groups, uneven times.mp4"]), str(tmp_path)]
    program = subprocess.Popen(arguments, start_new_session=True, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    while not (tmp_path / "m" / "000001.npz").exists():
        time.sleep(0.1)
    workers = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()

    os.killpg(program.pid, signal.SIGINT)  # as a terminal does: to the workers too
    told = program.communicate(timeout=60)[1].decode()

    assert told.count("Traceback") == 1
    assert told.strip().endswith("KeyboardInterrupt")
    assert workers and not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert sorted(p.name for p in (tmp_path / "m").glob("*.npz")) == ["000000.npz", "000001.npz"]
