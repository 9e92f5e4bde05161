"""What a file is, found out under limits: the first reading of a stranger's bytes happens in a worker. Measures nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from pipelines.interfaces import FilmFile, UnreadableVideo
from pipelines.limits import STANDARD, Limits
from pipelines.media import VideoFacts, VideoIndex, examine
from pipelines.series import BLOCK_S, OVERLAP_S
from pipelines.workers import Crew, WorkerDied, crew

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """What reading the file's packets told."""

    facts: VideoFacts
    index: VideoIndex | None

    @property
    def has_sound(self) -> bool:
        return any(s.kind == "audio" for s in self.facts.streams)

    def lead_in_s(self, block: int) -> float:
        """Seconds of video decoded in vain when a segment begins with this block."""
        if self.index is None or not len(self.index.key_ticks):
            return 0.0
        start_s = max(0.0, block * BLOCK_S - OVERLAP_S)
        keys = self.index.key_ticks
        earlier = keys[: np.searchsorted(keys, self.index.clock.tick(start_s), side="right")]
        return max(0.0, start_s - self.index.clock.seconds(int(earlier[-1] if len(earlier) else self.index.ticks[0])))


def regular_file(path: FilmFile) -> FilmFile:
    """The absolute path of a readable ordinary file; opening anything else could wait for ever. Raises UnreadableVideo."""
    name = path.name.encode("unicode_escape").decode() if not path.name.isprintable() else path.name
    try:
        if not path.exists():
            raise UnreadableVideo(f"{name} does not exist; check the name and the folder")
        if not path.is_file():
            what = "a folder" if isinstance(path, Path) and path.is_dir() else "a device or a pipe"
            raise UnreadableVideo(f"{name} is {what}, not a file; give the video file itself")
        if path.stat().st_size == 0:
            raise UnreadableVideo(f"{name} is empty (0 bytes); copy or download it again")
        with path.open("rb"):
            return path.absolute()
    except OSError as error:
        raise UnreadableVideo(f"{name} cannot be opened: {error.strerror or error}; check its permissions") from error
    except ValueError as error:
        raise UnreadableVideo(f"{name!r} is not a file name: {error}") from error


def probe_video(path: FilmFile, limits: Limits = STANDARD) -> dict[str, Any]:
    """What a file is, as JSON values (see VideoFacts), read under limits. Raises UnreadableVideo."""
    path = regular_file(path)
    with crew(1, limits) as hands:
        return plain_facts(looked_at(path, hands, limits).facts)


def in_worker(function: Callable[..., T], *arguments: object, limits: Limits = STANDARD) -> T:
    """`function(*arguments)` under limits, for small work on a film beside its measuring. Raises WorkerDied, and what it raises."""
    with crew(1, limits) as hands:
        value = hands.ask(function, *arguments, computing_s=limits.block_s, waiting_s=limits.block_s, reason="it took too long")
    return cast(T, value)


def looked_at(path: FilmFile, hands: Crew, limits: Limits) -> Look:
    """Probe and index in a worker, for a hostile file attacks the demuxer first."""
    allowance_s = limits.look_allowance_s(path.stat().st_size)
    try:
        waiting_s = max(allowance_s, limits.patience_s)
        look = hands.ask(look_at, path, computing_s=allowance_s, waiting_s=waiting_s, reason="reading it took too long")
        assert isinstance(look, Look)
    except WorkerDied as error:
        raise UnreadableVideo(f"{path.name} cannot be read: {error}; the file is damaged or not a video") from error
    if look.facts.duration_s <= 0:
        raise UnreadableVideo(f"{path.name} holds neither pictures nor sound; is it the right file?")
    if look.facts.duration_s > limits.duration_s:
        raise UnreadableVideo(f"the time stamps of {path.name} speak of {look.facts.duration_s / 86_400:.0f} days; they are damaged")
    return look


def look_at(path: FilmFile) -> Look:
    """Runs in a worker: read every packet, decode nothing."""
    return Look(*examine(path))


def plain_facts(facts: VideoFacts) -> dict[str, Any]:
    """The facts as JSON values: a Fraction is written as "25" or "30000/1001"."""
    return {k: str(v) if isinstance(v, Fraction) else v for k, v in asdict(facts).items()}
