"""`longtake analyze`: several videos one after the other, each with its folder of outputs. One bad file stops nobody else."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.analyze import analyze_video
from pipelines.exports.registry import export_named
from pipelines.exports.report_json import report_to_json
from pipelines.findings import Report
from pipelines.grounds import MOST_EPISODES, Beside
from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.profiles import Wanted, wanted
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Run, Senses, Store
from services.models import open_senses
from services.opening import open_store
from services.outputs import write_outputs
from services.progress import progress_bars
from services.pruning import prune
from services.tables import report_table
from services.transcription import with_ears


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asked for."""

    videos: tuple[Path, ...]
    out: Path | None = None
    tasks: tuple[str, ...] = ()
    profile: str = "auto"
    normals: tuple[Path, ...] = ()
    source: str = ""
    exports: tuple[str, ...] = ()
    again: bool = False
    workers: int | None = None
    store: str | None = None
    providers: tuple[str, ...] = ("cpu",)
    shots: str = "fast"
    speech: str = ""  # an engine's name or a service's URL; empty: no transcript
    speech_model: str = ""
    read: int | None = None  # pictures read for text in 20 minutes; the profile's where None
    slots_per_hour: float | None = None
    series: str = ""


def analyze_all(order: Order, *, as_json: bool) -> int:
    """Analyse every video; returns the exit code: 0, or 3 where an input could not be read."""
    settings = _checked(order)
    store = open_store(order.store)
    senses = with_ears(open_senses(order.providers, accurate_shots=order.shots == "accurate"), order.speech, order.speech_model)
    folders = output_folders(order.videos, order.out)
    outcomes: list[dict[str, Any]] = []
    for video, folder in zip(order.videos, folders, strict=True):
        try:
            report = _analyze_one(video, folder, order, settings, store, senses)
        except UnreadableVideo as error:
            outcomes.append({"name": video.name, "status": "failed", "reason": str(error)})
            _complain(error)
            continue
        outcomes.append(report_to_json(report) | {"ext": {"folder": str(folder)}})
        if not as_json:
            Console().print(report_table(report, folder))
    if isinstance(store.blobs, FolderBlobs):
        prune(store.blobs.root)
    if as_json:
        json.dump({"reports": outcomes}, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    return 3 if any(outcome["status"] == "failed" for outcome in outcomes) else 0


def _analyze_one(video: Path, folder: Path, order: Order, settings: Wanted, store: Store, senses: Senses) -> Report:
    with progress_bars() as progress:
        run = Run(workers=order.workers, again=order.again, progress=progress)
        beside = Beside(order.normals, others_near(video, order.videos), order.series)
        report = analyze_video(video, settings, store, senses, beside=beside, source=order.source, run=run)
        write_outputs(report, video, folder, order.exports, progress)
    return report


def _checked(order: Order) -> Wanted:
    """The settings, or WrongRequest before any work is done."""
    for name in order.exports:
        export_named(name)
    if order.shots not in ("fast", "accurate"):
        raise WrongRequest(f"shots are told fast or accurate, not {order.shots!r}")
    try:
        settings = wanted(order.profile, order.tasks)
        if order.read is not None:
            settings = replace(settings, reading=settings.reading.reading_most(order.read))
    except ValueError as error:
        raise WrongRequest(str(error)) from error
    if order.slots_per_hour is not None:
        settings = replace(settings, slots=replace(settings.slots, per_hour=order.slots_per_hour))
    if (asked := {"vmap", "slots"} & set(order.exports)) and "slots" not in settings.tasks:
        raise WrongRequest(f"the export {min(asked)} needs the task slots, which is not among the tasks asked for")
    if "scores" in order.exports and "anomalies" not in settings.tasks:
        raise WrongRequest("the export scores needs the task anomalies, which is not among the tasks asked for")
    if order.out and any(part.exists() and not part.is_dir() for part in (order.out, *order.out.parents)):
        raise WrongRequest(f"{order.out} is not a folder, nor can it be made one")
    return settings


def others_near(video: Path, videos: Sequence[Path]) -> list[Path]:
    """Up to MOST_EPISODES of the others, those named nearest to it: more of them tell little more, and all are read."""
    own = videos.index(video)
    nearest = sorted((k for k, other in enumerate(videos) if other != video), key=lambda k: (abs(k - own), k))
    return [videos[k] for k in nearest[:MOST_EPISODES]]


def output_folders(videos: Sequence[Path], out: Path | None) -> list[Path]:
    """One folder a video. With one video it is `out` itself; with several, `out/<stem>`, equal stems told apart by a number."""
    if len(videos) == 1:
        return [out or Path(f"{videos[0].stem or 'video'}-longtake")]
    base, taken, folders = out or Path("longtake-reports"), set[str](), []
    for video in videos:
        stem, number = video.stem or "video", 2
        name = stem
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name.casefold())
        folders.append(base / name)
    return folders


def _complain(error: Exception) -> None:
    Console(stderr=True).print(f"longtake: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
