"""Every format a report can be exported to, by the name that --export takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.exports.captions import srt, vtt_chapters, vtt_metadata
from pipelines.exports.editors import otio
from pipelines.exports.players import edl, ffmetadata
from pipelines.exports.report_json import report_text
from pipelines.exports.slots import vmap, vtt_slots
from pipelines.exports.tables import findings_csv, scores_csv
from pipelines.findings import Report
from pipelines.interfaces import WrongRequest


@dataclass(frozen=True, slots=True)
class Export:
    """A format. suffix: what follows the video's stem, with its dot. write: raises WrongRequest where the report lacks what it needs."""

    suffix: str
    write: Callable[[Report], str]
    what: str  # for --help

    def path(self, folder: Path, name: str) -> Path:
        """Where the export of the video called `name` goes."""
        return folder / (Path(name).stem + self.suffix)


EXPORTS: Mapping[str, Export] = {
    "edl": Export(".edl", edl, "ad breaks for Kodi and MPlayer (type 3: commercial break)"),
    "ffmetadata": Export(".ffmetadata", ffmetadata, "chapters and ads for ffmpeg -map_chapters"),
    "vtt": Export(".chapters.vtt", vtt_chapters, "WebVTT chapters for web players"),
    "metadata": Export(".metadata.vtt", vtt_metadata, "WebVTT metadata cues, a JSON object per finding"),
    "srt": Export(".findings.srt", srt, "findings as SubRip captions; never the name of the film's own subtitles"),
    "csv": Export(".csv", findings_csv, "a row per finding"),
    "scores": Export(".scores.csv", scores_csv, "the anomaly score over time"),
    "otio": Export(".otio", otio, "an OpenTimelineIO timeline with markers for editing programs"),
    "vmap": Export(".vmap.xml", vmap, "slots for breaks as IAB VMAP 1.0, for ad servers and players"),
    "slots": Export(".slots.vtt", vtt_slots, "slots for breaks as WebVTT metadata cues, a JSON object per slot"),
    "json": Export(".json", report_text, "the whole report, as in report.json"),
}


def export_named(name: str) -> Export:
    if name not in EXPORTS:
        raise WrongRequest(f"there is no export called {name!r}; known are {', '.join(EXPORTS)}")
    return EXPORTS[name]
