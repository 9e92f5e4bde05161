"""A small copy of a film for browsers that cannot play the film itself. Its times are the film's own: 0 stays 0, no frame moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from model.video import TimeSpan
from pipelines.exports.cut import write_stretches
from pipelines.exports.movie import Quality
from pipelines.interfaces import UnreadableVideo
from pipelines.media import probe

QUALITY = Quality(longer_side_px=640, crf=27, sound_bits_per_s=96_000)
EIGHT_BIT = ("yuv420p", "yuvj420p", "nv12", "")  # browsers show no other H.264
# What Chromium, Firefox and Safari all play, by the name of the file: browsers go by it, not by the bytes.
PLAYABLE: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    ".mp4": (frozenset({"h264", "av1", "vp9"}), frozenset({"aac", "mp3", "opus", "flac"})),
    ".m4v": (frozenset({"h264"}), frozenset({"aac", "mp3"})),
    ".webm": (frozenset({"vp8", "vp9", "av1"}), frozenset({"opus", "vorbis"})),
    ".mp3": (frozenset(), frozenset({"mp3", "mp3float"})),
    ".m4a": (frozenset(), frozenset({"aac"})),
    ".ogg": (frozenset(), frozenset({"vorbis", "opus"})),
    ".wav": (frozenset(), frozenset({"pcm_s16le", "pcm_u8"})),
    ".flac": (frozenset(), frozenset({"flac"})),
}


def needs_proxy(media: Mapping[str, Any], name: str) -> bool:
    """Whether some browser cannot play the file called `name`, of which probing said `media` (a report's `media`)."""
    pictures, sounds = PLAYABLE.get(Path(name).suffix.lower(), (frozenset(), frozenset()))
    codecs = {kind: [s["codec"] for s in media.get("streams", ()) if s["kind"] == kind] for kind in ("video", "audio")}
    if not any(codecs.values()):
        return False  # nothing that a copy could show
    decoders = {"libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8", "mp3float": "mp3", "libopus": "opus"}
    seen, heard = ({decoders.get(c, c) for c in codecs[kind][:1]} for kind in ("video", "audio"))
    deep = "h264" in seen and media.get("pixel_format", "") not in EIGHT_BIT
    return deep or not (seen <= pictures and heard <= sounds)


def write_proxy(path: Path, out: Path, progress: Callable[[float], None] = lambda share: None) -> None:
    """Write a copy of at most 640 pixels, H.264 and AAC in MP4 with its index in front. Raises UnreadableVideo."""
    duration_s = probe(path).duration_s
    if duration_s <= 0:
        raise UnreadableVideo(f"{path.name} has no length, so there is nothing to copy")
    write_stretches(path, [TimeSpan(0.0, duration_s)], out, QUALITY, progress)
