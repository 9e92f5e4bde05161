"""`longtake spots` as a person uses it: small real files in, rows and exit codes out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.cli import app
from services.spots import as_csv
from tests.soundtracks import busy, write
from tests.test_spots import SPOT_S, around, pictures

Longtake = Callable[..., Result]
RATE_HZ = 16_000


def film(path: Path, frames: np.ndarray, wave: np.ndarray | None) -> Path:
    """The tiny pictures at 160 x 90, luma only, 25 a second, and sound beside them."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        audio = out.add_stream("aac", rate=RATE_HZ, layout="mono") if wave is not None else None
        for number, tiny in enumerate(frames):
            luma = np.kron(tiny[0], np.ones((10, 10), np.uint8))
            planes = np.concatenate([luma, np.full((45, 160), 128, np.uint8)])
            picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        if audio is not None and wave is not None:
            for first in range(0, len(wave), 1024):
                sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[None, first : first + 1024]), "fltp", "mono")
                sound.sample_rate, sound.pts, sound.time_base = RATE_HZ, first, Fraction(1, RATE_HZ)
                out.mux(audio.encode(sound))
            out.mux(audio.encode(None))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fizz.mp4: a spot; show.mp4: five seconds of something else, the spot, five more."""
    folder = tmp_path_factory.mktemp("spots")
    spot = pictures(SPOT_S, 1), busy(SPOT_S, 1, RATE_HZ)[0]
    film(folder / "fizz.mp4", *spot)
    show = around(spot[0], pictures(5, 2), pictures(5, 3)), around(spot[1], busy(5, 2, RATE_HZ)[0], busy(5, 3, RATE_HZ)[0])
    film(folder / "show.mp4", *show)
    (folder / "notes.mp4").write_text("not a film")
    write(folder / "hush.wav", [(0, np.zeros((1, 6 * RATE_HZ), np.float32))], RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def spots(store: Path) -> Longtake:
    return lambda *words: CliRunner().invoke(app, ["spots", *map(str, words), "--store", str(store)])


def test_a_spot_is_named_found_logged_and_forgotten(spots: Longtake, files: Path, tmp_path: Path):
    assert spots("match", files / "show.mp4").exit_code == 2  # nothing is known yet
    (offer,) = json.loads(spots("suggest", files / "fizz.mp4", files / "show.mp4", "--json").stdout)["suggestions"]
    added = spots("add", "Fizz", files / "fizz.mp4", "--advertiser", "Fizz, Inc", "--json")
    assert added.exit_code == 0, added.output

    (row,) = json.loads(spots("match", files / "show.mp4", "--json").stdout)["airings"]
    log = spots("log", files / "show.mp4", "--start-time", "2026-03-01T20:15:00", "--out", tmp_path / "log.csv")

    assert (row["spot"], row["start_s"], row["end_s"]) == ("Fizz", 5.0, 13.0)
    assert row["score"] > 0.99
    assert [(Path(a["video"]).name, round(a["start_s"])) for a in offer["airings"]] == [("fizz.mp4", 0), ("show.mp4", 5)]
    assert offer["command"].startswith("longtake spots add 'unknown 1' ")
    assert log.exit_code == 0
    (told,) = csv.DictReader(io.StringIO((tmp_path / "log.csv").read_bytes().decode()))
    assert (told["start"], told["wall_clock"], told["length_s"]) == ("0:05.000", "2026-03-01T20:15:05.000", "8.000")
    assert (told["spot"], told["advertiser"]) == ("Fizz", "Fizz, Inc")
    again = spots("add", "Fizz again", files / "show.mp4", "--from", 5.2, "--to", 13)
    assert (again.exit_code, "there already, as 'Fizz'" in again.stderr) == (2, True)
    assert json.loads(spots("suggest", "--json").stdout)["suggestions"] == []  # it has a name now
    assert [s["name"] for s in json.loads(spots("list", "--json").stdout)["spots"]] == ["Fizz"]
    assert spots("remove", added.stdout and json.loads(added.stdout)["id"][:10]).exit_code == 0
    assert "no spots yet" in spots("list").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("hush.wav",), 2, "neither sound nor pictures"),
        (("fizz.mp4", "--to", "2"), 2, "too short"),
        (("fizz.mp4", "--from", "6", "--to", "3"), 2, "runs forward"),
        (("fizz.mp4", "--from", "60"), 2, "ends at 8.00 s"),
        (("notes.mp4",), 3, "notes.mp4"),
        (("missing.mp4",), 3, "missing.mp4"),
    ],
    ids=["silent", "short", "backwards", "behind the end", "no video", "no file"],
)
def test_what_cannot_be_a_spot_is_refused_in_a_sentence(spots: Longtake, files: Path, words: tuple[str, ...], code: int, said: str):
    result = spots("add", "name", files / words[0], *words[1:])

    assert (result.exit_code, said in result.stderr) == (code, True), result.output


def test_wrong_usage_of_the_log_is_told(spots: Longtake, files: Path):
    assert spots("log", files / "show.mp4", "--format", "xml").exit_code == 2
    assert spots("log", files / "show.mp4", "--start-time", "yesterday").exit_code == 2
    assert spots("log", files / "show.mp4", files / "fizz.mp4", "--start-time", "2026-03-01").exit_code == 2


def test_the_log_is_what_rfc_4180_asks_for_and_runs_no_formula():
    row = {
        "video": "a.ts",
        "start": "0:01.000",
        "wall_clock": "",
        "start_s": 1.0,
        "length_s": 9.96,
        "spot": 'the "big" one',
        "product": "x",
    }
    text = as_csv([row | {"advertiser": "=1+1, Inc", "score": 0.5, "share": 1.0, "reason": "sound"}])

    assert text.splitlines(keepends=True)[1] == 'a.ts,0:01.000,,1.000,9.960,"the ""big"" one","\'=1+1, Inc",x,0.500,1.000,sound\r\n'
