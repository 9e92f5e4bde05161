"""Writes what a person asked for into a folder: report.json, report.html, exports, and a proxy where browsers cannot play the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.exports.page import report_page
from pipelines.exports.proxy import needs_proxy, write_proxy
from pipelines.exports.registry import EXPORTS
from pipelines.exports.report_json import write_report
from pipelines.findings import Report
from pipelines.interfaces import StoreUnavailable

Progress = Callable[[str, float, float], None]


def write_outputs(report: Report, video: Path, folder: Path, formats: Sequence[str], progress: Progress) -> None:
    """Write all outputs of one report. Raises StoreUnavailable where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        proxy = _proxy(report, video, folder, progress)
        write_report(report, folder)
        page = report_page(report, relative_link(video, folder), proxy.name if proxy else None)
        (folder / "report.html").write_text(page, encoding="utf-8")
        for name in formats:
            EXPORTS[name].path(folder, video.name).write_text(EXPORTS[name].write(report), encoding="utf-8", newline="")
    except OSError as error:
        raise StoreUnavailable(f"cannot write to {folder}: {error.strerror or error}") from error


def relative_link(video: Path, folder: Path) -> str:
    """The way from the page to the film, as a path (the page escapes it)."""
    return Path(os.path.relpath(video.resolve(), folder.resolve())).as_posix()


def _proxy(report: Report, video: Path, folder: Path, progress: Progress) -> Path | None:
    """A small H.264 copy beside the page, made once, where browsers cannot play the film itself."""
    proxy = folder / f"{video.stem}-{report.video_id[:8]}.proxy.mp4"  # of these very bytes
    if needs_proxy(report.media, video.name) and not proxy.exists():
        write_proxy(video, proxy, lambda share: progress("making a copy that browsers play", share, 1.0))
    return proxy if proxy.exists() else None
