"""A film's memory in the services: made by the stage, asked from any replica, the same as on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from pipelines.interfaces import WrongRequest
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Video, identify
from services.memories import FilmMemories, open_memories
from services.messages import Features, Memories, Request, encode
from services.settings import Settings
from services.stages import Watch
from services.topics.base import Delivery
from tests.hostile.making import Film, write_film
from tests.services.test_stages import Services

QUESTION = "What happens?"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from services.systems import make_tiny

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    make_tiny(folder, 0)
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Video:
    return identify(write_film(tmp_path_factory.mktemp("memories") / "film.mp4", Film(12, 4, width_px=96, height_px=64)))


def opened(checkpoint: Path, folder: Path) -> FilmMemories:
    return open_memories(Settings(video_xl=str(checkpoint), folder=folder, device_bytes=1 << 20, ratio="4"), FolderBlobs(folder))


def test_a_memory_is_made_once_and_any_replica_answers_from_the_store_alike(checkpoint: Path, film: Video, tmp_path: Path):
    one, other = opened(checkpoint, tmp_path), opened(checkpoint, tmp_path)

    key = one.watch(film)
    blocks = list(FolderBlobs(tmp_path).keys(""))
    [said] = one.ask(key, [QUESTION], most_tokens=8)
    [also] = other.ask(key, [QUESTION], most_tokens=8)

    assert other.watch(film) == key
    assert list(FolderBlobs(tmp_path).keys("")) == blocks
    assert (said, said.memory) == (also, key)
    assert 0 < said.mean_token_share <= 1
    with pytest.raises(KeyError):
        one.ask("0" * 64, [QUESTION])


def test_the_stage_tells_the_memory_where_one_is_wanted(checkpoint: Path, film: Video, tmp_path: Path):
    from pipelines.watching import Senses

    services = Services(tmp_path / "services", Senses())
    path = services.films / "film.mp4"
    path.write_bytes(Path(str(film.path)).read_bytes())
    memories = opened(checkpoint, tmp_path / "memories")

    def through(stage: Watch, **asked: str) -> Memories:
        record = encode(Features(Request(path.as_uri(), **asked), film.id), "test")  # type: ignore[arg-type]
        [out] = stage(Delivery(stage.topic, 0, 0, 0, record))
        assert isinstance(out.message, Memories)
        return out.message

    with_memory = Watch(services.parts, memories.watch)
    assert through(with_memory).memory == ""
    key = through(with_memory, system="video-xl").memory
    assert memories.ask(key, [QUESTION], most_tokens=2)
    with pytest.raises(WrongRequest, match="LONGTAKE_VIDEO_XL"):
        through(Watch(services.parts), system="video-xl")
