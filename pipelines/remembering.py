"""A film watched into a memory by a video-language model: decoded, encoded, folded, and kept block by block. Knows no model and no tensor.

Whoever stops half-way loses the window that was being folded, nothing else: the next run goes on behind the last block kept.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.systems.manifest import Manifest, Recipe
from model.video import Frames
from pipelines.viewing import Viewing

logger = logging.getLogger(__name__)
MOST_WAITING = 4  # blocks folded and not kept yet
Progress = Callable[[float, float], None]  # seconds of video watched, and in all


class Watching(Protocol):
    """A video while it is being watched."""

    @property
    def memory(self) -> Any:
        """All windows folded so far; may be asked while watching goes on."""
        ...

    def add(self, visual_VD: Any) -> Sequence[Any]:
        """Take visual tokens in; returns the blocks that became full."""
        ...

    def finish(self) -> Any:
        """No more tokens come; the last window is folded too. Returns the memory."""
        ...


class WatchingSystem(Protocol):
    """A video-language model that watches."""

    @property
    def tokens_per_frame(self) -> int: ...

    @property
    def window(self) -> int:
        """Visual tokens folded together."""
        ...

    @property
    def bits(self) -> int:
        """Of a number that it keeps."""
        ...

    def encode(self, pictures: NDArray[np.uint8]) -> Any:
        """(N, S, S, 3) to visual tokens, (N * tokens_per_frame, D)."""
        ...

    def watch(self, recipe: Recipe, *, frames: int | None = None, known: Any = None) -> Watching: ...


class Memories(Protocol):
    """Where memories are kept."""

    def resume(self, recipe: Recipe) -> tuple[Any, Manifest] | None:
        """As much as can be gone on with; its manifest is complete only where all of it is there."""
        ...

    def put_sink(self, manifest: Manifest, sink: Any) -> None: ...

    def put_block(self, manifest: Manifest, memory: Any, number: int) -> None: ...

    def seal(self, manifest: Manifest, memory: Any) -> None: ...


def remember(viewing: Viewing, system: WatchingSystem, recipe: Recipe, memories: Memories, progress: Progress, *, workers: int = 1) -> Kept:
    """The film's memory, watched now, gone on with, or kept from an earlier run."""
    kept = memories.resume(recipe)
    if kept and kept[1].is_complete:
        return _told_whole(Kept(*kept, (), was_there=True), viewing)
    with _Writing(memories) as writing:
        film = _Film(viewing, system, recipe, writing, kept)
        for frames in viewing.pictures(skip=film.seen, workers=workers):
            film.watch(frames)
            progress(float(frames.times_s[-1]), viewing.duration_s or 0.0)
        return _told_whole(film.kept(), viewing)


@dataclass(frozen=True, slots=True)
class Kept:
    """A memory and what it is of. lost: sentences on pictures that could not be decoded; damaged: how many of them others stand in for."""

    memory: Any
    manifest: Manifest
    lost: tuple[str, ...]
    damaged: int = 0
    was_there: bool = False  # whole from an earlier run


def _told_whole(kept: Kept, viewing: Viewing) -> Kept:
    """With what the memory lacks, found by comparing its pictures with the film's: an earlier run's damage is told again."""
    lacking = viewing.stood_in_for(kept.manifest.ticks)
    damaged = len(lacking) - (len(viewing.instants) - len(kept.manifest.ticks))
    if damaged <= 0:
        return kept
    sentence = (
        f"{damaged} pictures between {lacking[0]:.1f} and {lacking[-1]:.1f} s are damaged; the last whole one before stands in for each"
    )
    return replace(kept, lost=(*kept.lost, sentence), damaged=damaged)


class _Writing:
    """Keeps blocks one after the other beside watching, which need not wait for a GPU's copy, a digest and a disk."""

    def __init__(self, memories: Memories) -> None:
        self.memories = memories
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writing")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()  # what was folded is kept, whatever ended the watch

    def put_block(self, manifest: Manifest, memory: Any, number: int) -> None:
        """Raises what an earlier one raised."""
        self._waiting.append(self._thread.submit(self.memories.put_block, manifest, memory, number))
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def seal(self, manifest: Manifest, memory: Any) -> None:
        while self._waiting:
            self._waiting.popleft().result()
        self.memories.seal(manifest, memory)


@dataclass(slots=True)
class _Film:
    """A film on its way into memory."""

    viewing: Viewing
    system: WatchingSystem
    recipe: Recipe
    writing: _Writing
    before: tuple[Any, Manifest] | None
    seen: int = field(init=False)  # instants that need not be looked at again
    manifest: Manifest = field(init=False)
    _watching: Watching = field(init=False)
    _cut_tokens: int = field(init=False)  # of the next frame, which stand in a block already

    def __post_init__(self) -> None:
        memory, manifest = self.before or (None, self._begun())
        tokens = memory.visual_tokens if memory else 0
        frames, self._cut_tokens = divmod(tokens, self.system.tokens_per_frame)
        self.manifest = replace(manifest, times_s=manifest.times_s[:frames], ticks=manifest.ticks[:frames])
        self.seen = self._instants_before(frames)
        self._watching = self.system.watch(self.recipe, frames=len(self.viewing.instants), known=memory)
        if memory is None:
            self.writing.memories.put_sink(self.manifest, self._watching.memory.sink)
        else:
            logger.info("watching goes on key=%s frames=%d", self.recipe.key, frames)

    def _begun(self) -> Manifest:
        system = self.system
        duration_s = self.viewing.duration_s
        return Manifest(
            recipe=self.recipe, tokens_per_frame=system.tokens_per_frame, duration_s=duration_s, bits=system.bits, window=system.window
        )

    def _instants_before(self, frames: int) -> int:
        """How many instants the kept frames stand for: more than frames where some could not be decoded."""
        if not frames:
            return 0
        shown = self.viewing.shown_at()
        last = self.manifest.ticks[-1]
        repeats = int((self.manifest.ticks == last).sum())
        return int(np.searchsorted(shown, last, "left")) + repeats

    def watch(self, frames: Frames) -> None:
        """Encode, fold, keep."""
        ticks, times_s = np.append(self.manifest.ticks, frames.ticks), np.append(self.manifest.times_s, frames.times_s)
        self.manifest = replace(self.manifest, times_s=times_s, ticks=ticks)
        tokens = self.system.encode(frames.pixels)
        blocks = self._watching.add(tokens[self._cut_tokens :])
        self._cut_tokens = 0
        self._keep(len(blocks))

    def kept(self) -> Kept:
        """The last window folded, the whole sealed."""
        before = len(self._watching.memory.blocks)
        memory = self._watching.finish()
        self._keep(len(memory.blocks) - before)
        self.manifest = replace(self.manifest, is_complete=True)
        self.writing.seal(self.manifest, memory)
        return Kept(memory, self.manifest, tuple(self.viewing.lost))

    def _keep(self, new: int) -> None:
        memory = self._watching.memory
        for number in range(len(memory.blocks) - new, len(memory.blocks)):
            self.writing.put_block(self.manifest, memory, number)
