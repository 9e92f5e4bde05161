"""The deployments in a real Ray Serve: questions answered by any replica, and a replica that dies comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.stores.folder import FolderBlobs
from pipelines.watching import identify
from services.serving import start_ray
from services.settings import Settings
from tests.hostile.making import Film, write_film

pytestmark = pytest.mark.servers
SOON_S = 300.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    from services.systems import make_tiny

    folder = tmp_path_factory.mktemp("serve")
    make_tiny(folder / "tiny", 0)
    return Settings(video_xl=str(folder / "tiny"), folder=folder / "store", scratch=folder / "scratch", device_bytes=1 << 20, ratio="4")


@pytest.fixture(scope="module")
def serve(settings: Settings) -> Iterator[Any]:
    """Ray Serve on this machine; its replicas have the settings in their environment."""
    import ray
    from ray import serve

    before = dict(os.environ)
    os.environ |= settings.to_env() | {"RAY_USAGE_STATS_ENABLED": "0"}
    try:
        start_ray(cpus=4)
        serve.start(proxy_location="Disabled")
        yield serve
    finally:
        serve.shutdown()
        ray.shutdown()
        os.environ.clear()
        os.environ |= before


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_any_replica_answers_from_a_memory_in_the_store(serve: Any, settings: Settings, tmp_path: Path):
    from services.deployments import Answers
    from services.memories import open_memories

    film = identify(write_film(tmp_path / "film.mp4", Film(12, 4, width_px=96, height_px=64)))
    here = open_memories(settings, FolderBlobs(settings.folder.resolve() / "measured"))
    key = here.watch(film)
    expected = [said.text for said in here.ask(key, ["What happens?", "Who?"], most_tokens=6)]

    handle = serve.run(Answers.options(num_replicas=2).bind(), name="answers", route_prefix=None)
    told = [handle.options(multiplexed_model_id=key).ask.remote(["What happens?", "Who?"], 6).result() for _ in range(4)]

    assert [[one["text"] for one in answers] for answers in told] == [expected] * 4
    with pytest.raises(Exception, match="0000"):
        handle.options(multiplexed_model_id="0" * 64).ask.remote(["Who?"], 6).result()
    serve.delete("answers")


def test_a_replica_that_is_killed_comes_back_and_works(serve: Any):
    from services.deployments import stages

    handle = serve.run(stages({"stages": ["record"]}), name="stages", route_prefix=None)
    before = handle.status.remote().result()
    os.kill(before["pid"], signal.SIGKILL)

    def is_back() -> bool:
        try:
            return bool(handle.status.remote().result(timeout_s=5)["pid"] != before["pid"])
        except Exception:  # whatever Serve raises while there is no replica
            return False

    until(is_back)
    now = handle.status.remote().result()
    assert (now["stages"], now["lag"], now["dead"]) == (["record"], 0, 0)


def test_a_config_that_names_no_stage_of_ours_is_refused():
    from services.deployments import stages

    with pytest.raises(ValueError, match="no stage is called encod"):
        stages({"stages": ["encod"]})
