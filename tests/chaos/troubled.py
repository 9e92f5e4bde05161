"""A program of the tests: the product's worker, with stages in front that end their process on some films, or take their time.

python -m tests.chaos.troubled DEADLY SLOW_S STAGE...
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.logs import log_to_stderr
from services.settings import Settings
from services.topics.base import Delivery
from services.worker import Out, Stage
from services.working import Working, work_until_told


@dataclass(frozen=True)
class Troubled:
    """A stage in front of another. deadly: a text in the messages on which the process ends; slow_s: added to each of the others."""

    stage: Stage
    deadly: str
    slow_s: float

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def topic(self) -> str:
        return self.stage.topic

    def __call__(self, delivery: Delivery) -> Iterable[Out]:
        if self.deadly and self.deadly.encode() in delivery.record.value:
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait(self.slow_s)
        return self.stage(delivery)


def troubled(stages: Sequence[str], *, deadly: str = "", slow_s: float = 0.0, attempts: int = 5) -> list[str]:
    return ["env", f"LONGTAKE_MAX_ATTEMPTS={attempts}", sys.executable, "-m", "tests.chaos.troubled", deadly, str(slow_s), *stages]


def main(deadly: str, slow_s: str, *stages: str) -> None:
    log_to_stderr()
    working = Working(Settings.from_env(), stages)
    worker = working.worker
    worker.stages = {topic: Troubled(stage, deadly, float(slow_s)) for topic, stage in worker.stages.items()}
    work_until_told(working)


if __name__ == "__main__":
    main(*sys.argv[1:])
