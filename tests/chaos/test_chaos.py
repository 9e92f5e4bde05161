"""Whatever falls, every good film is done exactly once, every bad one is a dead letter, and there is nothing else.

A small version of each fault; `benchmarks/chaos.py` runs the whole of it. All faults hit the same processes, one after the other, and
after each everything that was ever put is checked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.servers import Servers
from services.app import open_parts
from services.models import open_senses
from tests.chaos.faults import FAULTS, Scene
from tests.chaos.field import Field
from tests.chaos.films import Films
from tests.chaos.full_disk import full_disk

SEED = 6
FEW = {  # films, broken ones among them, how often or how long
    "kill -9 of any stage": (6, 1, 4),
    "broker restart": (2, 0, 1),
    "MinIO restart": (2, 0, 1),
    "MinIO outage": (2, 0, 0),
    "PostgreSQL restart": (2, 0, 1),
    "slow consumer": (2, 0, 8),
    "a film that kills its process": (4, 1, 5),  # the product's own number: with two, one crash shared and one more bury a neighbour
    "poison messages": (3, 2, 1),
    "duplicate delivery": (3, 1, 1),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Servers of its own: topics and groups are the product's, and nobody else's messages may be on them."""
    folder = tmp_path_factory.mktemp("chaos")
    (folder / "films").mkdir()
    with Servers.started() as servers:
        field = Field(servers, folder)
        films = Films(folder / "films", open_parts(field.settings).senses, SEED)
        with field.fleet() as fleet:
            yield Scene(field, fleet, films, random.Random(SEED))
        field.check_leftovers(fleet)


@pytest.mark.servers
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_done_twice_or_left_over(scene: Scene, fault: str):
    FAULTS[fault](scene, *FEW[fault])
    scene.field.settled()
    scene.field.check()


@pytest.mark.servers  # it needs none, but the time that they take
def test_a_full_disk_costs_time_only(tmp_path: Path):
    (tmp_path / "films").mkdir()
    films = Films(tmp_path / "films", open_senses(("cpu",)), SEED)

    line = full_disk(films, tmp_path)

    if line[1].startswith("not tried"):
        pytest.skip(line[1])
    assert line[2:5] == ["3", "1", "yes"]
