"""Everything on one machine, as a person starts it: real servers, Ray Serve, films put into the bucket."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from tests.hostile.making import Film, write_film

ROOT = Path(__file__).resolve().parents[2]
SOON_S = 600.0  # on two crowded cores; a quarter of a minute where there is room
FILMS = {
    "first.mp4": Film(70, 4, width_px=96, height_px=64, codec_options={"g": "24"}, sound="aac"),
    "zweiter Film é.mkv": Film(20, 8, width_px=64, height_px=48, codec_options={"g": "24"}),
    "sub/folder/third.ts": Film(15, 10, width_px=64, height_px=48, codec="mpeg2video", codec_options={"g": "12"}, sound="mp2"),
}


def longtake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("LONGTAKE_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "services.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=SOON_S, check=False)


def told(folder: Path, *arguments: str) -> Any:
    done = longtake(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=["servers", "embedded"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("up")
    folder.chmod(0o755)
    try:
        done = longtake(folder, "up", *(["--embedded"] if request.param == "embedded" else []))
        assert done.returncode == 0, done.stderr + _log(folder)
        yield folder
    finally:
        down = longtake(folder, "down")
    assert down.returncode == 0, down.stderr
    assert not (folder / ".longtake" / "endpoints.json").exists()
    until(lambda: not _processes(folder), folder)  # Ray's own helpers go a moment after it


def _log(folder: Path) -> str:
    log = folder / ".longtake" / "longtake.log"
    return log.read_text("utf-8", errors="replace")[-4000:] if log.exists() else ""


def _processes(folder: Path) -> list[str]:
    """Command lines of processes whose working folder lies below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def endpoints(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / ".longtake" / "endpoints.json").read_text("utf-8"))
    return found


def put(folder: Path, path: Path, name: str) -> None:
    """As any S3 client does it; embedded, as a person copies a file."""
    at = endpoints(folder)
    if at["s3"]:
        client = Minio(at["s3"].removeprefix("http://"), at["s3_access_key"], at["s3_secret_key"], secure=False)
        client.fput_object(at["bucket"], at["prefix"] + name, str(path))
    else:
        goal = Path(at["folder"], at["prefix"], name)
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_bytes(path.read_bytes())


def until(condition: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, _log(folder)
        time.sleep(1.0)


def rows(found: Any) -> list[dict[str, Any]]:
    return sorted(found["findings"], key=lambda row: (row["video_id"], row["id"]))


@pytest.mark.servers
def test_films_put_into_the_bucket_have_the_findings_of_analyze(place: Path, tmp_path: Path):
    for name, recipe in FILMS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        put(place, write_film(path, recipe), name)
        alone = longtake(tmp_path, "analyze", str(path), "--store", str(tmp_path / "alone"), "--out", str(tmp_path / "out"))
        assert alone.returncode == 0, alone.stderr
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((tmp_path / "first.mp4").read_bytes()[:5000])
    put(place, broken, "broken.mp4")

    def settled() -> bool:
        requests = told(place, "status")["requests"]
        return sum(requests.values()) == 4 and not {"queued", "working"} & set(requests)

    until(settled, place)

    assert told(place, "status")["requests"] == {"ok": 3, "failed": 1}
    database = endpoints(place)["database"]
    assert rows(told(place, "findings", "--store", database)) == rows(told(tmp_path, "findings", "--store", str(tmp_path / "alone")))
    if endpoints(place)["kafka"]:
        [letter] = told(place, "dead-letters", "list")["dead_letters"]
        assert letter["key"] == "s3://longtake/incoming/broken.mp4"
        assert "broken.mp4" in letter["reason"]


@pytest.mark.servers
def test_endpoints_are_for_their_owner_alone_and_up_can_be_repeated(place: Path):
    document = place / ".longtake" / "endpoints.json"
    before = endpoints(place)
    again = longtake(place, "up", *([] if before["kafka"] else ["--embedded"]))

    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert again.returncode == 0, again.stderr
    assert "run already" in again.stderr
    assert endpoints(place) == before
    if before["kafka"]:
        assert {"kafka", "s3", "s3_access_key", "s3_secret_key", "bucket", "prefix", "database"} <= set(before)
        assert before["s3_secret_key"] not in _log(place)
        assert before["database"] not in _log(place)
