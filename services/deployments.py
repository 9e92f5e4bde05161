"""The stages as deployments of Ray Serve. Thin: a replica is a process that works, and says how it is.

In a Serve config, each application is one deployment of some stages:

    import_path: services.deployments:stages
    args: {stages: [cut, decode, encode]}

Settings come from the environment of the replica.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from ray import serve
from ray.serve import Application

from services.logs import log_to_stderr
from services.settings import Settings
from services.stages import STAGES
from services.working import Working

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
        return {"stages": list(self.working.names), "lag": self.working.lag(), **asdict(self.working.worker.tally)}

    def __del__(self) -> None:
        if hasattr(self, "working"):
            self.working.stop()


def stages(args: dict[str, Any]) -> Application:
    """The builder that a Serve config names."""
    wanted = Wanted.model_validate(args)
    application: Application = Stages.bind(wanted.stages)  # type: ignore[attr-defined]
    return application
