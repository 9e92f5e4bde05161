"""Fades, dissolves and wipes: pictures that give way to others over a while. Judges tiny pictures; decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from model.video import TimeSpan
from pipelines.series import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionSettings:
    """When a gradual change of picture counts as a transition between shots."""


@dataclass(frozen=True, slots=True)
class Transition:
    kind: str  # dissolve | fade | wipe
    span: TimeSpan
    quality: float  # 0..1: how well it fits


def find_transitions(measured: Measured, cuts_s: list[float], settings: TransitionSettings) -> list[Transition]:
    return []
