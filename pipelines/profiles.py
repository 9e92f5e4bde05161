"""What is asked of a video: which tasks, judged how. Profiles are presets of it. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pipelines.decode_plan import DecodePlan
from pipelines.reading import ReadSettings
from pipelines.tasks.ads import AdSettings
from pipelines.tasks.anomalies import AnomalySettings
from pipelines.tasks.chapters import ChapterSettings
from pipelines.tasks.parts import PartSettings
from pipelines.tasks.slots import SlotSettings

JUDGE_VERSION = "2"  # raise it whenever the same series and settings would be judged differently
TASKS = ("shots", "ads", "anomalies", "chapters", "summary", "parts", "slots")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request's settings: everything that changes the answer, nothing else (no paths, no number of workers)."""

    tasks: tuple[str, ...] = TASKS
    profile: str = "auto"
    plan: DecodePlan = field(default_factory=DecodePlan)
    reading: ReadSettings = field(default_factory=ReadSettings)
    ads: AdSettings = field(default_factory=AdSettings)
    anomalies: AnomalySettings = field(default_factory=AnomalySettings)
    chapters: ChapterSettings = field(default_factory=ChapterSettings)
    parts: PartSettings = field(default_factory=PartSettings)
    slots: SlotSettings = field(default_factory=SlotSettings)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.tasks) - set(TASKS))
        if unknown or not self.tasks:
            raise ValueError(f"no task is called {', '.join(unknown) or '(nothing)'}; there are {', '.join(TASKS)}")

    def settings(self) -> dict[str, Any]:
        """What the report prints and the digest covers."""
        own: dict[str, Any] = {
            name: asdict(getattr(self, name)) for name in ("ads", "anomalies", "chapters", "parts", "slots") if name in self.tasks
        }
        same = {"measured": self.plan.digest, "reading": asdict(self.reading), "version": JUDGE_VERSION}
        return {"tasks": list(self.tasks), "profile": self.profile, **same, **own}


PROFILES: Mapping[str, Wanted] = MappingProxyType(
    {
        "auto": Wanted(),
        "broadcast": Wanted(profile="broadcast", tasks=("shots", "ads", "anomalies", "chapters", "summary", "parts", "slots")),
        "film": Wanted(profile="film", tasks=("shots", "ads", "chapters", "summary", "parts", "slots")),
        "camera": Wanted(profile="camera", tasks=("anomalies", "summary")),
        "sport": Wanted(profile="sport", tasks=("shots", "ads", "chapters", "summary")),
    }
)


def wanted(profile: str = "auto", tasks: tuple[str, ...] = ()) -> Wanted:
    """A profile, narrowed to `tasks` where some are named."""
    if profile not in PROFILES:
        raise ValueError(f"no profile is called {profile!r}; there are {', '.join(PROFILES)}")
    preset = PROFILES[profile]
    unknown_last = (*TASKS, *sorted(set(tasks) - set(TASKS)))  # Wanted names them
    return replace(preset, tasks=tuple(t for t in unknown_last if t in tasks) or preset.tasks)
