"""`longtake watch`: a film watched once into a memory, kept in the store and, where wanted, in a file."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from model.compression.summary_tokens import Ratios
from model.systems.manifest import Manifest, Recipe
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_plan import plan_tokens, size_told
from pipelines.interfaces import WrongRequest
from pipelines.looking import regular_file
from pipelines.remembering import Kept, remember
from pipelines.viewing import PREPROCESSING, Sampling, Viewing, view
from pipelines.watching import identify
from services.looking import print_json
from services.opening import open_store
from services.progress import progress_bars
from services.systems import SystemChoice, open_system

if TYPE_CHECKING:
    from model.systems.video_xl_folder import OpenVideoXL


@dataclass(frozen=True, slots=True)
class WatchOrder:
    """How a film is to be watched."""

    choice: SystemChoice
    sampling: Sampling
    ratio: str = "16"
    store: str | None = None
    workers: int | None = None
    beyond: bool = False  # go on although the memory will not fit the model's context
    look_back: int | None = None  # windows that a window sees; all of them, as published, where None
    so_far: bool = False  # ask what was watched up to now, perhaps by another process that is still at it

    @property
    def ratios(self) -> Ratios:
        return Ratios.parse(self.ratio)


@dataclass(frozen=True, slots=True)
class Watched:
    """A film's memory, and how it came about."""

    kept: Kept
    seconds: float  # of watching; 0 where it was there already
    path: Path | None = None  # of the file it was written to

    def told(self) -> dict[str, Any]:
        manifest, blocks = self.kept.manifest, self.kept.memory.blocks
        return {
            "status": status(self.kept),
            "key": manifest.recipe.key,
            "coverage": coverage(self.kept),
            "frames": len(manifest.times_s),
            "summary_tokens": sum(map(len, blocks)),
            "size_bytes": sum(block.size_bytes for block in (self.kept.memory.sink, *blocks)),
            "settings": settings(manifest.recipe),
            "lost": list(self.kept.lost),
            "seconds": round(self.seconds, 3),
            "file": None if self.path is None else str(self.path),
        }


def watch_to_file(video: Path, order: WatchOrder, out: Path | None, bits: int | None, *, as_json: bool) -> None:
    """Watch, and write the memory where it is wanted as a file."""
    if bits not in (None, 8, 4):
        raise WrongRequest(f"--bits: numbers are written as they are, or in 8 or 4 bits, not in {bits}")
    if out is not None and not is_memory_file(out):
        raise WrongRequest(f"--memory: a memory's file ends in .safetensors, {out} does not")
    if bits is not None and out is None:
        raise WrongRequest("--bits says how the memory's FILE is written; say which with --memory FILE")
    if out is not None and not out.absolute().parent.is_dir():
        raise WrongRequest(f"--memory: there is no folder {out.parent}; make it, or name another")
    system = opened(order, video)
    watched = watched_film(video, order, system)
    if out:
        from model.systems.memory_file import save_memory

        manifest = save_memory(out, watched.kept.memory, watched.kept.manifest, bits)
        watched = Watched(replace(watched.kept, manifest=manifest), watched.seconds, out)
    if as_json:
        print_json(watched.told())
    else:
        _show_watched(watched, video.name)


def is_memory_file(path: Path) -> bool:
    return path.suffix == ".safetensors"


def opened(order: WatchOrder, target: Path) -> OpenVideoXL:
    """The system, once what can be checked without its 17 GB is in order."""
    Ratios.parse(order.ratio)  # or WrongRatio
    regular_file(target)
    return open_system(order.choice)


def watched_film(video: Path, order: WatchOrder, system: OpenVideoXL) -> Watched:
    """The film's memory from the store, or watched now. Raises UnreadableVideo, WrongRequest where it does not fit."""
    from model.systems.memory_store import MemoryStore

    film = identify(video)
    vision = system.config.vision
    viewing = view(film.path, order.sampling, vision.image_px, grid_px=vision.grid_px)
    _check_fit(system.config, viewing, order)
    recipe = system.recipe(film.id, viewing.sampling, PREPROCESSING, order.ratios, order.look_back)
    memories = MemoryStore(open_store(order.store).blobs)
    if order.so_far:
        return Watched(_so_far(memories.resume(recipe), video), 0.0)
    began = time.monotonic()
    with progress_bars() as progress:
        kept = remember(
            viewing, system, recipe, memories, lambda done_s, all_s: progress(f"watching {video.name}", done_s, all_s),
            workers=order.workers or 1,
        )  # fmt: skip
    return Watched(kept, 0.0 if kept.was_there else time.monotonic() - began)


def _so_far(found: tuple[Any, Manifest] | None, video: Path) -> Kept:
    if found is None or not found[0].blocks:
        raise WrongRequest(f"no window of {video.name} was watched yet with these settings; ask without --so-far to watch it")
    return Kept(*found, ())


def _check_fit(config: VideoXLConfig, viewing: Viewing, order: WatchOrder) -> None:
    plan = plan_tokens(config, len(viewing.instants), order.ratios)
    if not plan.summary_tokens:
        raise WrongRequest(f"{plan.told()}: nothing would be kept of the film; take a smaller --ratio")
    if not plan.fits and not order.beyond and order.look_back is None:
        raise WrongRequest(f"{plan.told()}; {plan.advice}; --beyond watches as it is, past what the model was trained for")


def status(kept: Kept) -> str:
    return "degraded" if kept.lost or seen_share(kept) < 0.99 else "ok"


def seen_share(kept: Kept) -> float:
    """Of the pictures wanted, how many were seen."""
    manifest = kept.manifest
    if not manifest.duration_s:
        return 1.0
    wanted = Sampling.parse(manifest.recipe.sampling).frames_in(manifest.duration_s)
    return min(1.0, (len(manifest.times_s) - kept.damaged) / max(1, wanted))


def coverage(kept: Kept) -> dict[str, float | None]:
    """Seconds seen of seconds in the file."""
    duration_s = kept.manifest.duration_s
    seen_s = kept.manifest.covered_s if duration_s is None else seen_share(kept) * duration_s
    return {"seen_s": round(seen_s, 3), "duration_s": duration_s}


def settings(recipe: Recipe) -> dict[str, Any]:
    told = recipe.to_json()
    return {name: value for name, value in told.items() if name not in ("prompt_ids", "format_version")}


def _show_watched(watched: Watched, name: str) -> None:
    told = watched.told()
    seen, tokens = told["coverage"], told["summary_tokens"]
    how = f"watched in {watched.seconds:.1f} s" if watched.seconds else "was watched before"
    tell = partial(Console().print, highlight=False, markup=False, soft_wrap=True)
    length = f" of {seen['duration_s']:.1f}" if seen["duration_s"] is not None else ""
    tell(f"{printable(name)}: {how}; {seen['seen_s']:.1f}{length} s seen in {told['frames']} frames")
    tell(f"  {tokens:,} summary tokens, {size_told(told['size_bytes'])}; memory {told['key'][:16]}")
    if watched.path:
        manifest = watched.kept.manifest
        loss = (
            f", {manifest.bits} bits lost {manifest.key_loss:.2%} of keys, {manifest.value_loss:.2%} of values"
            if manifest.bits < 16
            else ""
        )
        tell(f"  written to {watched.path} ({size_told(watched.path.stat().st_size)}{loss})")
    for sentence in watched.kept.lost:
        say(sentence, "yellow")


def printable(text: str) -> str:
    """Without characters that a terminal would obey: a model's words are not to be trusted."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in text)


def say(sentence: str, style: str) -> None:
    Console(stderr=True).print(f"longtake: {sentence}", style=style, highlight=False, markup=False, soft_wrap=True)
