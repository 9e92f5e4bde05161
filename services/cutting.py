"""`longtake clip` and `longtake cut`: findings become files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from model.video import TimeSpan
from pipelines.analyze import analyze_video
from pipelines.exports.cut import clip, cut
from pipelines.interfaces import WrongRequest
from pipelines.profiles import wanted
from pipelines.watching import Run, identify
from services.models import open_senses
from services.opening import open_store
from services.progress import progress_bars

SUFFIXES = (".mp4", ".m4v", ".mov")


def write_clip(video: Path, finding: str, out: Path | None, margin_s: float, store: str | None) -> None:
    row = open_store(store).results.finding(finding)
    known = identify(video)
    if row.video_id != known.id:
        raise WrongRequest(f"finding {row.id[:8]} belongs to {row.name} (id {row.video_id[:12]}), not to {video.name} (id {known.id[:12]})")
    target = _writable(out or Path(f"{video.stem}-{row.id[:8]}.mp4"), video)
    with progress_bars() as progress:
        span = TimeSpan(max(0.0, row.start_s - margin_s), row.end_s + margin_s)
        clip(video, span, target, lambda share: progress(f"writing {target.name}", share, 1.0))
    Console().print(f"{target}: {row.label}, {span.duration_s:.1f} s", markup=False)


def write_without_ads(video: Path, out: Path | None, min_score: float, store: str | None) -> None:
    target = _writable(out or Path(f"{video.stem}-without-ads.mp4"), video)
    with progress_bars() as progress:
        report = analyze_video(video, wanted(tasks=("ads",)), open_store(store), open_senses(), run=Run(progress=progress))
        ads = report.task("ads")
        assert ads is not None
        removed = [
            f.span for f in ads.findings if f.kind == "break" and f.state != "rejected" and (f.state == "corrected" or f.score >= min_score)
        ]
        cut(video, removed, target, lambda share: progress(f"writing {target.name}", share, 1.0))
    lost_s = sum(span.duration_s for span in removed)
    Console().print(f"{target}: {len(removed)} breaks, {lost_s:.1f} s removed of {report.coverage.seconds_total:.1f} s", markup=False)


def _writable(target: Path, video: Path) -> Path:
    if target.suffix.lower() not in SUFFIXES:
        raise WrongRequest(f"films are written as MP4: call it {target.with_suffix('.mp4').name}")
    if target.is_dir():
        raise WrongRequest(f"{target} is a folder; --out is the name of the file")
    if target.exists() and target.samefile(video):
        raise WrongRequest(f"{target} is the film itself; choose another name with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
