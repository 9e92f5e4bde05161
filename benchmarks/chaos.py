"""What the services survive: faults, one after the other, and after each whether every film was done exactly once.

    python -m benchmarks.chaos --seed 6                     # all faults: 50 kills while 30 films run, an outage of 30 s, ...
    python -m benchmarks.chaos --seed 6 --only kill --kills 10 --films 8

Starts Kafka, MinIO and PostgreSQL and the product's processes between them. Prints a table in Markdown; ends with 1 where a fault was not
survived.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.machine import machine
from deploy.local.servers import Servers
from services.app import open_parts
from tests.chaos.faults import FAULTS, Scene
from tests.chaos.field import Field
from tests.chaos.films import Films
from tests.chaos.full_disk import full_disk

OUTAGE_S, SLOW_S, RESTARTS = 30, 20, 3
HEADINGS = ("fault", "moments", "films good", "films bad", "exactly once", "dead letters", "processes that died", "seconds")


def amounts(films: int, kills: int) -> dict[str, tuple[int, int, int]]:
    """Films, broken ones among them, and how often or how long, by fault."""
    few = max(3, films // 5)
    return {
        "kill -9 of any stage": (films, films // 10, kills),
        "broker restart": (few, 1, RESTARTS),
        "MinIO restart": (few, 1, RESTARTS),
        "MinIO outage": (few, 1, OUTAGE_S),
        "PostgreSQL restart": (few, 1, RESTARTS),
        "slow consumer": (few, 1, SLOW_S),
        "a film that kills its process": (few, 1, 5),
        "poison messages": (few, 3, 1),
        "duplicate delivery": (films // 3, 1, 1),
    }


def thrown(scene: Scene, fault: str, wanted: tuple[int, int, int]) -> list[str]:
    """One line of the table."""
    began, before, letters, deaths = time.monotonic(), len(scene.field.films), len(scene.field.letters()), scene.fleet.deaths
    verdict = "yes"
    moments = FAULTS[fault](scene, *wanted)
    scene.field.settled()
    try:
        scene.field.check()
    except AssertionError as error:
        verdict = f"no: {error}"
    put = Counter(bool(film.reason) for film in scene.field.films[before:])
    counts = put[False], put[True], verdict, len(scene.field.letters()) - letters, scene.fleet.deaths - deaths
    return [fault, moments, *map(str, counts), f"{time.monotonic() - began:.0f}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--films", type=int, default=30)
    parser.add_argument("--only", default="", help="a word of the faults' names")
    parser.add_argument("--folder", type=Path, help="for films, logs and the servers' data; a temporary one where none is named")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="longtake-chaos-", dir=given.folder))
    (folder / "films").mkdir()
    print(machine(), f"seed {given.seed}, logs in {folder}", sep="\n", flush=True)
    print("", *_rows([HEADINGS, ["---"] * len(HEADINGS)]), sep="\n", flush=True)
    lines = []
    with Servers.started() as servers:
        field = Field(servers, folder)
        films = Films(folder / "films", open_parts(field.settings).senses, given.seed)
        with field.fleet() as fleet:
            scene = Scene(field, fleet, films, random.Random(given.seed))
            for fault, wanted in amounts(given.films, given.kills).items():
                if given.only in fault:
                    lines.append(thrown(scene, fault, wanted))
                    print(*_rows(lines[-1:]), flush=True)
        field.check_leftovers(fleet)
    if given.only in "full disk":
        lines.append(full_disk(films, folder))
        print(*_rows(lines[-1:]), flush=True)
    print("\nno process is left over, and nothing waits in the scratch folder")
    return int(any(line[4] != "yes" for line in lines))


def _rows(lines: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    sys.exit(main())
