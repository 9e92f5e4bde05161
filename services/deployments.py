"""The stages as deployments of Ray Serve. Thin: a replica is a process that works, and says how it is.

In a Serve config, each application is one deployment of some stages:

    import_path: services.deployments:stages
    args: {stages: [cut, decode, encode]}

Settings come from the environment of the replica.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, field_validator
from ray import serve
from ray.serve import Application

from services.logs import log_to_stderr
from services.settings import Settings
from services.stages import STAGES
from services.working import Working

if TYPE_CHECKING:
    from services.memories import FilmMemories

LEAVE_S = 90.0  # Serve kills a replica that takes longer to go; what it had in hand is then done again elsewhere


class Wanted(BaseModel):
    """What the config says of one application."""

    model_config = ConfigDict(extra="forbid")
    stages: list[str]

    @field_validator("stages")
    @classmethod
    def known(cls, names: list[str]) -> list[str]:
        unknown = sorted(set(names) - set(STAGES))
        if unknown or not names:
            raise ValueError(f"no stage is called {', '.join(unknown) or '(nothing)'}; there are {', '.join(STAGES)}")
        return names


@serve.deployment(max_ongoing_requests=100, graceful_shutdown_timeout_s=LEAVE_S, health_check_period_s=5, health_check_timeout_s=30)
class Stages:
    """Some stages in one replica: messages come from topics, not from calls; calls ask how it is."""

    def __init__(self, names: list[str]) -> None:
        log_to_stderr()
        self.working = Working(Settings.from_env(), names)
        self.working.start()

    def check_health(self) -> None:
        self.working.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """For `services.scaling:by_lag`."""
        return {"lag": float(await asyncio.to_thread(self.working.lag)), "slots": float(self.working.worker.rules.slots)}

    def status(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "stages": list(self.working.names), "lag": self.working.lag(), **asdict(self.working.worker.tally)}

    def __del__(self) -> None:
        if hasattr(self, "working"):
            self.working.stop()


class _Ready:
    """A memory on the device; when Serve drops it for one asked more, so does the shelf."""

    def __init__(self, memories: FilmMemories, key: str) -> None:
        self.key, self._memories = key, memories
        memories.load(key)

    def __del__(self) -> None:
        self._memories.shelf.forget(self.key)


@serve.deployment(max_ongoing_requests=16, graceful_shutdown_timeout_s=LEAVE_S, health_check_period_s=5, health_check_timeout_s=30)
class Answers:
    """Questions to memories. Any replica loads any memory from the store; calls with a `multiplexed_model_id`, the memory's key, go to
    one that has it at hand:

        serve.get_app_handle("answers").options(multiplexed_model_id=key).ask.remote(["Who is at the door?"])
    """

    def __init__(self) -> None:
        from services.app import open_measured
        from services.memories import open_memories

        log_to_stderr()
        settings = Settings.from_env()
        self.memories = open_memories(settings, open_measured(settings))

    @serve.multiplexed(max_num_models_per_replica=32)  # type: ignore[untyped-decorator]
    async def ready(self, key: str) -> _Ready:
        return await asyncio.to_thread(_Ready, self.memories, key)

    async def ask(self, questions: list[str], most_tokens: int = 512) -> list[dict[str, Any]]:
        """Raises KeyError where there is no such memory."""
        ready = await self.ready(serve.get_multiplexed_model_id())
        said = await asyncio.to_thread(self.memories.ask, ready.key, questions, most_tokens)
        return [asdict(one) | {"status": one.status} for one in said]


def answers(args: dict[str, Any]) -> Application:
    """The builder of `Answers`."""
    application: Application = Answers.bind()  # type: ignore[attr-defined]
    return application


def stages(args: dict[str, Any]) -> Application:
    """The builder that a Serve config names."""
    wanted = Wanted.model_validate(args)
    application: Application = Stages.bind(wanted.stages)  # type: ignore[attr-defined]
    return application
