"""What a published system keeps of films: made by the stage `watch`, reloaded by any replica, asked in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.language.generate import Generation
from model.systems.memory_store import MemoryStore
from model.systems.shelf import Shelf
from model.systems.video_xl_folder import OpenVideoXL, Question
from model.systems.video_xl_plan import plan_tokens
from pipelines.interfaces import Blobs, WrongRequest
from pipelines.remembering import remember
from pipelines.viewing import PREPROCESSING, Sampling, view
from pipelines.watching import Video
from services.settings import Settings
from services.systems import SystemChoice, open_system

HOST_SHARE = 4  # as many bytes on the host as on the device: memories move down, and up again


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. looked_at: (start_s, end_s) of the video, where not all of its memory was looked at."""

    question: str
    text: str
    mean_token_share: float
    memory: str
    looked_at: tuple[tuple[float, float], ...] = ()

    @property
    def status(self) -> str:
        return "ok" if self.text.strip() else "empty"


class FilmMemories:
    """One opened system, and the memories that were asked last."""

    def __init__(self, system: OpenVideoXL, blobs: Blobs, ratio: str, fps: float, device_bytes: int) -> None:
        from model.compression.summary_tokens import Ratios

        self.system, self.store = system, MemoryStore(blobs)
        self.ratios, self.sampling = Ratios.parse(ratio), Sampling(rate_hz=fps)
        self.shelf = Shelf(system.net, self.store, device_bytes, HOST_SHARE * device_bytes)

    def watch(self, video: Video) -> str:
        """The key of the video's memory, made where it is not there yet; one that was broken off is gone on with.

        Raises UnreadableVideo, WrongRequest where it does not fit the system.
        """
        vision = self.system.config.vision
        viewing = view(video.path, self.sampling, vision.image_px, grid_px=vision.grid_px)
        plan = plan_tokens(self.system.config, len(viewing.instants), self.ratios)
        if not plan.summary_tokens or not plan.fits:
            raise WrongRequest(f"{plan.told()}; {plan.advice}")
        recipe = self.system.recipe(video.id, viewing.sampling, PREPROCESSING, self.ratios)
        remember(viewing, self.system, recipe, self.store, lambda done_s, all_s: None, workers=1)
        return recipe.key

    def load(self, key: str) -> None:
        """Have it ready on the device. Raises KeyError where the store has none."""
        with self.shelf.open(key):
            pass

    def ask(self, key: str, questions: Sequence[str], most_tokens: int = 512) -> list[Said]:
        """Answer all at once. Raises KeyError where the store has no such memory, WrongPrompt."""
        texts, shares = [""] * len(questions), [0.0] * len(questions)
        tokens = [0] * len(questions)
        with self.shelf.open(key) as memory:
            for said in self.system.ask(memory, [Question(text) for text in questions], Generation(max_new_tokens=most_tokens)):
                texts[said.question] += said.text
                shares[said.question] += said.log_share
                tokens[said.question] += 1
        means = [round(math.exp(share / max(1, count)), 4) for share, count in zip(shares, tokens, strict=True)]
        return [Said(question, text, mean, key) for question, text, mean in zip(questions, texts, means, strict=True)]


def open_memories(settings: Settings, blobs: Blobs) -> FilmMemories:
    """Raises WrongRequest where no checkpoint is named, and what opening one raises."""
    choice: dict[str, Any] = {"checkpoint": settings.video_xl, "device": settings.device}
    system = open_system(SystemChoice(**choice))
    return FilmMemories(system, blobs, settings.ratio, settings.fps, settings.device_bytes)
