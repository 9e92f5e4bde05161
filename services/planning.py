"""`longtake plan`: what watching a film would take, told before a picture is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from model.compression.summary_tokens import Ratios
from model.systems.video_xl_config import VideoXLConfig, released_7b
from model.systems.video_xl_plan import RATIOS, TokenPlan, plan_tokens, size_told
from pipelines.interfaces import WrongRequest
from pipelines.looking import regular_file
from pipelines.viewing import Sampling, view
from services.looking import print_json
from services.systems import SystemChoice


def show_plan(
    video: Path | None, duration_s: float | None, sampling: Sampling, ratio: str, checkpoint: str | None, *, as_json: bool
) -> None:
    """What watching would take, before a picture is decoded; of every published ratio, for comparison."""
    if (video is None) == (duration_s is None):
        raise WrongRequest("give a VIDEO, or how long one would be (--duration SECONDS)")
    if video is not None:
        regular_file(video)
    config = VideoXLConfig.from_folder(SystemChoice(checkpoint=checkpoint).folder) if checkpoint else released_7b()
    frames = (
        len(view(video, sampling, config.vision.image_px, grid_px=config.vision.grid_px).instants)
        if video
        else sampling.frames_in(duration_s or 0.0)
    )
    plan = plan_tokens(config, frames, Ratios.parse(ratio))
    others = [plan_tokens(config, frames, Ratios((r,))) for r in RATIOS if config.summary.window % r == 0]
    if as_json:
        print_json({"plan": _plain(plan), "ratios": [_plain(other) for other in others]})
        return
    _show_plan(plan, others)


def _plain(plan: TokenPlan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in TokenPlan.__slots__} | {"told": plan.told()}


def _show_plan(plan: TokenPlan, others: Sequence[TokenPlan]) -> None:
    console = Console()
    console.print(f"{plan.told()}: {'fits' if plan.fits else 'does not fit'}", highlight=False)
    if plan.advice:
        console.print(plan.advice, style="yellow", highlight=False)
    table = Table("ratio", "summary tokens", "positions", "memory", "fits", box=None, padding=(0, 2))
    for other in others:
        memory = size_told(other.memory_bytes)
        table.add_row(other.ratio, f"{other.summary_tokens:,}", f"{other.context_used:,}", memory, "yes" if other.fits else "no")
    console.print(table)
    without, weights = size_told(plan.raw_bytes), size_told(plan.weight_bytes)
    console.print(f"without compression the memory would take {without}; the weights take {weights} (16 bits a number)", highlight=False)
