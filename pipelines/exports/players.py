"""What players and muxers read: Kodi's and MPlayer's EDL, and ffmpeg's metadata chapters."""

from __future__ import annotations

import re

from pipelines.exports.markers import ad_breaks, film_parts, milliseconds
from pipelines.findings import Report

COMMERCIAL_BREAK = 3  # Kodi: 0 would cut the stretch away, 3 offers to skip it


def edl(report: Report) -> str:
    """Ad time, one `start<TAB>end<TAB>3` a line, seconds."""
    return "".join(f"{ad.span.start_s:.3f}\t{ad.span.end_s:.3f}\t{COMMERCIAL_BREAK}\n" for ad in ad_breaks(report))


def ffmetadata(report: Report) -> str:
    """Chapters and ads for `ffmpeg -i film -i this -map_chapters 1 -codec copy`."""
    blocks = [";FFMETADATA1\n"]
    for part in film_parts(report):
        start, end = milliseconds(part.span)
        blocks.append(f"\n[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={_escaped(part.title)}\n")
    return "".join(blocks)


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\])", r"\\\1", text)
