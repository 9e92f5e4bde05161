"""`longtake spots`: names for spots, and where they air. Measures what was not yet measured, prints, and writes as-run lists."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.video import TimeSpan
from pipelines.exports.markers import one_line
from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.profiles import Wanted
from pipelines.series import Measured
from pipelines.spots import Airing, Spot, alike, known_airings, spot_of
from pipelines.stores.spots import SpotShelf
from pipelines.watching import Run, Senses, Store, identify, measure
from pipelines.watching import Video as Identified
from services.looking import print_json
from services.opening import open_store
from services.progress import progress_bars
from services.tables import clock

LOG_COLUMNS = ("video", "start", "wall_clock", "start_s", "length_s", "spot", "advertiser", "product", "score", "share", "reason")
FORMATS = ("csv", "json")


@dataclass(frozen=True, slots=True)
class Words:
    """What a person says about a spot."""

    name: str
    advertiser: str = ""
    product: str = ""
    note: str = ""


def add_spot(store: str | None, words: Words, file: Path, from_s: float | None, to_s: float | None, *, as_json: bool) -> None:
    """Raises WrongRequest where the stretch cannot be recognised again, or is known already."""
    if not words.name.strip():
        raise WrongRequest("a spot needs a name")
    opened = open_store(store)
    shelf = SpotShelf(opened.results)
    known = shelf.all()
    if any(spot.name == words.name for spot in known):
        raise WrongRequest(f"a spot called {words.name!r} is there; choose another name, or `longtake spots remove {words.name!r}` first")
    measured = measured_video(file, opened)[1]
    spot = _taken(measured, words, file, from_s, to_s)
    if (there := alike(spot, known)) is not None:
        raise WrongRequest(f"this spot is there already, as {there.name!r}; `longtake spots list` shows them")
    shelf.add(spot)
    if as_json:
        print_json(_told(spot))
    else:
        Console().print(f"{spot.name}: {spot.length_s:.2f} s, id {spot.id[:12]}", markup=False, highlight=False)


def _taken(measured: Measured, words: Words, file: Path, from_s: float | None, to_s: float | None) -> Spot:
    try:
        whole = from_s is None and to_s is None
        span = None if whole else TimeSpan(from_s or 0.0, math.inf if to_s is None else to_s)
    except ValueError as error:
        raise WrongRequest(str(error)) from error
    part = "" if span is None else f" {span.start_s:.3f}-{min(span.end_s, measured.duration_s):.3f} s"
    said = {"advertiser": words.advertiser, "product": words.product, "note": words.note, "origin": f"{file.name}{part}"}
    try:
        return spot_of(measured, words.name, span, **said)
    except WrongRequest as error:
        raise WrongRequest(f"{file.name}{part} cannot be a spot: {error}") from error


def list_spots(store: str | None, *, as_json: bool) -> None:
    spots = SpotShelf(open_store(store).results).all()
    if as_json:
        print_json({"spots": [_told(spot) for spot in spots]})
    elif spots:
        rows = [(s.name, s.advertiser, s.product, f"{s.length_s:.2f}", "+".join(s.cues), s.origin, s.note, s.id[:12]) for s in spots]
        Console().print(_table(("name", "advertiser", "product", "length", "known by", "from", "note", "id"), rows))
    else:
        Console().print("no spots yet; `longtake spots add NAME FILE` names one, `longtake spots suggest` finds some")


def remove_spot(store: str | None, name_or_id: str, *, as_json: bool) -> None:
    spot = SpotShelf(open_store(store).results).remove(name_or_id)
    if as_json:
        print_json({"removed": _told(spot)})
    else:
        Console().print(f"{spot.name} ({spot.id[:12]}) is removed", markup=False, highlight=False)


def match_spots(store: str | None, videos: Sequence[Path], least_score: float, *, as_json: bool) -> int:
    """Print where spots are on air; returns the exit code: 0, or 3 where a video could not be read."""
    rows, bad = _airings(store, videos, least_score)
    if as_json:
        print_json({"airings": [_row(video, airing) for video, airing in rows], "unreadable": bad})
    elif rows:
        cells = [
            (v.name, clock(a.span.start_s), clock(a.span.end_s), f"{a.span.duration_s:.2f}", a.spot.name, f"{a.score:.2f}", a.reason)
            for v, a in rows
        ]
        Console().print(_table(("video", "start", "end", "length", "spot", "score", "reason"), cells))
    elif not bad:
        Console().print("no known spot is on air there; `longtake spots list` shows which are known")
    return 3 if bad else 0


def log_spots(store: str | None, videos: Sequence[Path], form: str, start_time: str | None, out: Path | None, least_score: float) -> int:
    """The as-run list. start_time: ISO 8601, the wall clock at the video's begin."""
    if form not in FORMATS:
        raise WrongRequest(f"no format is called {form!r}; there are {', '.join(FORMATS)}")
    began = _wall_clock(start_time)
    if began is not None and len(videos) > 1:
        raise WrongRequest("--start-time is the begin of one video; give one video with it")
    rows, bad = _airings(store, videos, least_score)
    told = [_log_row(video, airing, began) for video, airing in rows]
    text = as_csv(told) if form == "csv" else None
    if out is not None:
        out.write_text(text if text is not None else _as_json(told), encoding="utf-8", newline="")
    elif text is not None:
        sys.stdout.write(text)
    else:
        print_json({"airings": told})
    return 3 if bad else 0


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """RFC 4180: CRLF, quotes where needed. What a spreadsheet would run as a formula gets a quote before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(LOG_COLUMNS)
    writer.writerows([_cell(row[column]) for column in LOG_COLUMNS] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = one_line(str(value))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _as_json(rows: Sequence[dict[str, Any]]) -> str:
    import json

    return json.dumps({"airings": rows}, ensure_ascii=False) + "\n"


def _airings(store: str | None, videos: Sequence[Path], least_score: float) -> tuple[list[tuple[Path, Airing]], list[str]]:
    """Airings of every readable video, and the names of those that are not."""
    opened = open_store(store)
    spots = SpotShelf(opened.results).all()
    if not spots:
        raise WrongRequest("no spot is known yet; `longtake spots add NAME FILE` names one, `longtake spots suggest` finds some")
    rows: list[tuple[Path, Airing]] = []
    bad: list[str] = []
    for video in videos:
        try:
            rows += [(video, airing) for airing in known_airings(measured_video(video, opened)[1], spots) if airing.score >= least_score]
        except UnreadableVideo as error:
            bad.append(video.name)
            Console(stderr=True).print(f"longtake: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
    return rows, bad


def measured_video(path: Path, store: Store) -> tuple[Identified, Measured]:
    """A video by its bytes, and its series: measured now, or answered from the store."""
    video = identify(path)
    with progress_bars() as progress:
        measured = measure(video, Wanted(), store, Senses(), Run(progress=progress))
    SpotShelf(store.results).met(video.id, str(path))
    return video, measured


def _wall_clock(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise WrongRequest(f"--start-time is a time like 2026-03-01T20:15:00, got {text!r}") from error


def _log_row(video: Path, airing: Airing, began: datetime | None) -> dict[str, Any]:
    wall = (began + timedelta(seconds=airing.span.start_s)).isoformat(timespec="milliseconds") if began else ""
    spot, span = airing.spot, airing.span
    return {
        "video": video.name, "start": clock(span.start_s), "wall_clock": wall, "start_s": round(span.start_s, 3),
        "length_s": round(span.duration_s, 3), "spot": spot.name, "advertiser": spot.advertiser, "product": spot.product,
        "score": airing.score, "share": airing.share, "reason": airing.reason,
    }  # fmt: skip


def _row(video: Path, airing: Airing) -> dict[str, Any]:
    spot = airing.spot
    place = {"video": str(video), "start_s": airing.span.start_s, "end_s": airing.span.end_s}
    name = {"spot": spot.name, "spot_id": spot.id, "advertiser": spot.advertiser, "product": spot.product}
    how = {"score": airing.score, "share": airing.share, "speed": round(1 / airing.rate, 4), "reason": airing.reason}
    cues = [{"name": cue.name, "score": round(cue.score, 4), "detail": cue.detail} for cue in airing.evidence]
    return place | name | how | {"evidence": cues}


def _told(spot: Spot) -> dict[str, Any]:
    words = {name: getattr(spot, name) for name in ("id", "name", "advertiser", "product", "note", "origin")}
    return words | {"length_s": round(spot.length_s, 3), "known_by": list(spot.cues)}


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in columns:
        table.add_column(name, justify="right" if name in ("start", "end", "length", "score") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
