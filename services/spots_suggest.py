"""`longtake spots suggest`: unknown repeats over the store's videos, each with the line that names it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.profiles import Wanted
from pipelines.segments import open_measured
from pipelines.series import Measured
from pipelines.spots import known_airings
from pipelines.spots_suggest import Repeated, unknown_repeats
from pipelines.stores.spots import SpotShelf
from pipelines.watching import Store, series_prefix
from services.looking import print_json
from services.opening import open_store
from services.spots import measured_video
from services.tables import clock

MOST_TOLD = 6  # airings of one repeat on the screen; --json tells all


@dataclass(frozen=True, slots=True)
class _Film:
    """A measured video and what a person calls it: where it lies, or its name, or the beginning of its id."""

    name: str
    measured: Measured


def suggest_spots(store: str | None, videos: Sequence[Path], *, as_json: bool) -> int:
    """Print unknown repeats; returns the exit code: 0, or 3 where a video could not be read."""
    opened = open_store(store)
    films, bad = _given(videos, opened) if videos else (_stored(opened), 0)
    if not films and not bad:
        raise WrongRequest("the store has measured no video yet; give some: `longtake spots suggest VIDEO...`")
    spots = SpotShelf(opened.results).all()
    known = [[airing.span for airing in known_airings(film.measured, spots)] for film in films]
    repeats = unknown_repeats([film.measured for film in films], known)
    told = [_told(number, one, films) for number, one in enumerate(repeats, 1)]
    if as_json:
        print_json({"suggestions": told})
    elif told:
        for one in told:
            head = f"{len(one['airings'])} airings of {one['length_s']:.2f} s, known by {' and '.join(one['known_by'])}: {_places(one)}"
            where = f" --store {shlex.quote(store)}" if store else ""
            Console().print(Text(f"{head}\n    {one['command']}{where}"), soft_wrap=True)  # a line that is folded cannot be pasted
    else:
        Console().print(f"nothing unknown comes again in {len(films)} videos")
    return 3 if bad else 0


def _given(videos: Sequence[Path], store: Store) -> tuple[list[_Film], int]:
    films, seen, bad = list[_Film](), set[str](), 0
    for path in videos:
        try:
            video, measured = measured_video(path, store)
        except UnreadableVideo as error:
            Console(stderr=True).print(f"longtake: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
            bad += 1
            continue
        if video.id not in seen:  # the same file twice is one film, not a repeat
            films.append(_Film(str(path), measured))
            seen.add(video.id)
    return films, bad


def _stored(store: Store) -> list[_Film]:
    """Every video whose measuring came to its end under today's plan."""
    paths = SpotShelf(store.results).paths()
    ids = dict.fromkeys(key.split("/")[1] for key in store.blobs.keys("series/") if key.endswith("/manifest.json"))
    found = [(video_id, open_measured(store.blobs, series_prefix(video_id, Wanted()))) for video_id in ids]
    return [_Film(paths.get(video_id, video_id[:12]), measured) for video_id, measured in found if measured is not None]


def _told(number: int, one: Repeated, films: Sequence[_Film]) -> dict[str, Any]:
    first = one.places[0]
    file, begin, end = films[first.video].name, f"{first.span.start_s:.3f}", f"{first.span.end_s:.3f}"
    airings = [{"video": films[p.video].name, "start_s": round(p.span.start_s, 3), "end_s": round(p.span.end_s, 3)} for p in one.places]
    command = shlex.join(["longtake", "spots", "add", f"unknown {number}", file, "--from", begin, "--to", end])
    return {"length_s": round(one.length_s, 3), "airings": airings, "known_by": list(one.cues), "command": command}


def _places(told: dict[str, Any]) -> str:
    shown = [f"{Path(a['video']).name} {clock(a['start_s'])}" for a in told["airings"][:MOST_TOLD]]
    more = len(told["airings"]) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
