"""`longtake train` as a person uses it: a tiny system, a real film, a damaged one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("accelerate")

from model.preprocess import fit
from model.systems.tiny import write_tiny
from model.training.conversations import BadExample
from model.training.stages import STAGES
from pipelines.media import index_video
from pipelines.sampling import Instants, sample_frames
from services.cli import app
from services.training import training_frames
from tests.model.learning import record

Longtake = Callable[..., Result]


@pytest.fixture
def closed(film: Callable[[str], Path]) -> Path:
    return film("closed.mp4")


@pytest.fixture
def folder(tmp_path: Path, closed: Path) -> Path:
    write_tiny(tmp_path / "tiny")
    (tmp_path / "media").mkdir()
    shutil.copyfile(closed, tmp_path / "media" / "film.mp4")
    (tmp_path / "media" / "torn.mp4").write_bytes(closed.read_bytes()[:200])
    talks = [record("a", "<video>\nWhat?", "A film.", video="film.mp4"), record("b", "<video>\nWhat?", "Nothing.", video="torn.mp4")]
    (tmp_path / "talks.json").write_text(json.dumps([*talks, {"id": "c"}]))
    return tmp_path


@pytest.fixture
def longtake(folder: Path) -> Longtake:
    def train(*words: object, stage: str = "full", data: str = "talks.json") -> Result:
        places = {"--checkpoint": folder / "tiny", "--data": folder / data, "--media": folder / "media", "--out": folder / "out"}
        options = [str(word) for pair in places.items() for word in pair]
        return CliRunner().invoke(app, ["train", "--stage", stage, *options, "--device", "cpu", *map(str, words)])

    return train


def test_what_was_trained_can_be_checked_and_gone_on_with(longtake: Longtake, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = longtake("--steps", 1, "--learning-rate", 1e-3)

    assert first.exit_code == 0, first.output
    assert "step 1/1: loss " in first.output
    assert "(steps: 1; examples refused: 4)" in first.output  # half of the 8 that were read, again and again the same
    assert "record 2 (c) has no list of conversations" in caplog.text
    assert "torn.mp4" in caplog.text
    assert CliRunner().invoke(app, ["models", "check", str(folder / "out" / "checkpoint")]).exit_code == 0
    again = longtake("--steps", 1, "--learning-rate", 1e-3, "--resume", "--json")
    assert json.loads(again.stdout) == {"checkpoint": str(folder / "out" / "checkpoint"), "steps": 1, "refused": 4}


def test_wrong_requests_are_told_in_a_sentence(longtake: Longtake, folder: Path) -> None:
    (folder / "other.json").write_text("[{")
    for words, sentence, code in (
        ({"stage": "fun"}, "there is no stage 'fun'; there is projector, images, full", 2),
        ({"data": "none.json"}, "there is no file", 2),
        ({"data": "other.json"}, "neither a JSON list nor JSON lines", 3),
    ):
        result = longtake(**words)
        assert (result.exit_code, sentence in result.output) == (code, True), result.output
    assert "LoRA is for the language model" in longtake("--lora", 2, stage="projector").output
    assert "holds no state to go on from" in longtake("--resume").output
    (folder / "out" / "state").mkdir(parents=True)
    assert "holds a run already; --resume goes on with it" in longtake().output


def test_training_looks_at_a_picture_a_second_by_the_films_own_times(closed: Path) -> None:
    index = index_video(closed)
    assert index is not None
    wanted = Instants(tuple(index.times_s[[0, 25, 50, 75]].tolist()))
    expected = [fit(picture, 56) for frames in sample_frames(closed, wanted) for picture in frames.pixels]
    assert np.array_equal(training_frames(closed, STAGES["full"], 56), np.stack(expected))


def test_a_film_without_pictures_or_with_damage_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.mp4").write_bytes(b"ftyp")
    with pytest.raises(BadExample, match=r"torn\.mp4 cannot be learned from"):
        training_frames(tmp_path / "torn.mp4", STAGES["full"], 56)
