"""A watched camera as bytes and back: arrays in an npz, the rest as JSON inside it. Runs no code from what it reads."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.signals.cells import Background, Tint
from pipelines.tasks.anomalies_colours import Colours
from pipelines.tasks.anomalies_looks import Bank, Gaze
from pipelines.tasks.anomalies_normal import Habits, Normal
from pipelines.tasks.anomalies_tracks import Track, Tracks
from pipelines.tasks.anomalies_watch import Watch

PARTS: dict[str, type] = {
    "normal": Normal, "normal.background": Background, "tracks": Tracks, "known": Habits, "colours": Colours, "colours.tint": Tint,
    "normal.bank": Bank, "gaze": Gaze,
}  # fmt: skip


def watch_to_bytes(watch: Watch) -> bytes:
    """All of a watch's state; `watch_from_bytes` of it goes on exactly as `watch` would."""
    return _pack(watch)


def watch_from_bytes(data: bytes) -> Watch:
    return Watch(**_unpack(data, PARTS))


def normal_to_bytes(normal: Normal) -> bytes:
    return _pack(normal)


def normal_from_bytes(data: bytes) -> Normal:
    return Normal(**_unpack(data, {"background": Background, "bank": Bank}))


def _pack(state: Any) -> bytes:
    arrays: dict[str, NDArray[Any]] = {}
    plain: dict[str, Any] = {}
    _put(state, "", arrays, plain)
    arrays["json"] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def _put(value: Any, path: str, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> None:
    if is_dataclass(value):
        for field in fields(value):
            if field.init:
                _put(getattr(value, field.name), f"{path}.{field.name}".strip("."), arrays, plain)
    elif isinstance(value, np.ndarray):
        arrays[path] = value
    elif isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        arrays[path + "[]"] = np.stack(value)
    elif isinstance(value, list) and value and isinstance(value[0], Track):
        plain[path] = [asdict(track) for track in value]
    else:
        plain[path] = value


def _unpack(data: bytes, parts: dict[str, type]) -> dict[str, Any]:
    """Arguments of the whole, its parts already made."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        flat: dict[str, Any] = json.loads(archive["json"].tobytes())
        flat |= {path: archive[path] for path in archive.files if path != "json" and not path.endswith("[]")}
        flat |= {path[:-2]: list(archive[path]) for path in archive.files if path.endswith("[]")}
    if "tracks.active" in flat:
        flat["tracks.active"] = [Track(**track) for track in flat["tracks.active"]]
    for path in sorted(parts, key=len, reverse=True):
        inner = {p: flat.pop(p) for p in [p for p in flat if p.startswith(path + ".")]}
        if inner:
            flat[path] = parts[path](**{p[len(path) + 1 :]: v for p, v in inner.items()})
    return flat
