"""`longtake search`: videos that are not remembered yet are looked at first, then hits, best first, each with its reason."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.registry import CLASS_NAMES
from model.shipped import WeightsMissing, locate
from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.profiles import wanted
from pipelines.search import ClassTexts, Hit, search_like, search_text, words_of
from pipelines.stores.seen import SeenShelf
from pipelines.watching import Run, Senses, Store, identify, look_up
from services.models import open_meaning, open_senses
from services.opening import open_store
from services.progress import progress_bars
from services.tables import clock

NOTES = "imagenet1k_gpt_names_descriptions.json"  # beside the names
MOST_WORDS = 100
LARGEST_PIXELS = 100_000_000  # of a query picture: more than any camera's, less than a bomb's


@dataclass(frozen=True, slots=True)
class Query:
    """What the command line asked for."""

    videos: tuple[Path, ...]
    text: str | None
    like: Path | None
    limit: int
    min_score: float
    providers: tuple[str, ...]
    store: str | None


def show_hits(query: Query, *, as_json: bool) -> None:
    if (query.text is None) == (query.like is None):
        raise WrongRequest("search for words (--text) or by a picture (--like), one of them")
    senses, store = open_senses(query.providers), open_store(query.store)
    picture = read_picture(query.like, senses) if query.like else None
    for sentence in senses.missing:  # also for machines: a search with less than everything is told as one
        Console(stderr=True).print(f"longtake: {sentence}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    shelf = SeenShelf(store.results, store.blobs, senses.encoder_key)
    only = _looked_up(query, shelf, senses, store) if query.videos else None
    hits = _by_picture(picture, shelf, senses, only) if picture is not None else _by_text(query.text or "", shelf, senses, only)
    kept = [hit for hit in hits if hit.score >= query.min_score][: query.limit]
    _print_json(kept) if as_json else _print_table(kept, _nothing(query, shelf, only))


def _nothing(query: Query, shelf: SeenShelf, only: Collection[str] | None) -> str:
    """What was looked through in vain."""
    codes = shelf.codes(only)
    if not codes:
        return "Nothing found: the store holds no video yet that could be searched. Name some: longtake search VIDEO... --text WORDS"
    unseen = sum(not len(rows) for rows in codes.values())
    blind = f" {unseen} of them no encoder has seen; `longtake analyze --again` looks." if unseen else ""
    if query.like:
        return f"Nothing found: no moment of {len(codes)} videos looks like {query.like.name}.{blind}"
    where = "their subtitles, screen texts, transcripts and file names, and (in English) what they mean and show"
    return f"Nothing found in {len(codes)} videos: {where}, were looked through.{blind}"


def _looked_up(query: Query, shelf: SeenShelf, senses: Senses, store: Store) -> list[str]:
    """Ids of the videos, each looked at where it is not remembered; one that cannot be read stops nobody else."""
    ids, errors = [], []
    with progress_bars() as progress:
        for path in query.videos:
            try:
                video = identify(path)
                if not shelf.has(video.id):
                    look_up(video, wanted(), store, senses, Run(progress=progress))
                ids.append(video.id)
            except UnreadableVideo as error:
                errors.append(str(error))
    for sentence in errors:
        Console(stderr=True).print(f"longtake: {sentence}", style="red", highlight=False, markup=False, soft_wrap=True)
    if not ids:
        raise UnreadableVideo("none of the videos can be read")
    return ids


def read_picture(path: Path, senses: Senses) -> NDArray[np.uint8]:
    """(1, size, size, 3) RGB for the encoder, upright. Raises WrongRequest where it is no picture, or no encoder is here to look at it."""
    if senses.encoder is None:
        raise WrongRequest(f"searching by a picture needs the visual encoder: {'; '.join(senses.missing)}")
    size = senses.encoder.size_px
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                if picture.width * picture.height > LARGEST_PIXELS:
                    raise WrongRequest(f"{path.name} has {picture.width} x {picture.height} pixels; make it smaller")
                upright = ImageOps.exif_transpose(picture).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    except FileNotFoundError as error:
        raise WrongRequest(f"there is no file {path}") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise WrongRequest(f"{path.name} is not a picture that can be read ({error})") from error
    return np.asarray(upright, np.uint8)[None]


def _by_picture(picture: NDArray[np.uint8], shelf: SeenShelf, senses: Senses, only: Collection[str] | None) -> list[Hit]:
    assert senses.encoder is not None
    return search_like(senses.encoder.encode(picture).embeddings[0], shelf, only)


def _by_text(text: str, shelf: SeenShelf, senses: Senses, only: Collection[str] | None) -> list[Hit]:
    count = len(words_of(text))
    if not count or count > MOST_WORDS:
        raise WrongRequest(f"{count} words to search for; a search takes 1 to {MOST_WORDS}")
    names = senses.encoder.class_names if senses.encoder else ()
    return search_text(text, shelf, ClassTexts(names, class_notes(len(names))), open_meaning(), only)


def class_notes(count: int) -> tuple[str, ...]:
    """A sentence or more about each class; none where they are not installed."""
    try:
        told = json.loads(locate(CLASS_NAMES).with_name(NOTES).read_text("utf-8"))
    except WeightsMissing:
        return ()
    rows = (told.get(str(k), {}) for k in range(count))
    return tuple(". ".join([", ".join(row.get("name", ())), row.get("description", "")]).strip(". ") for row in rows)


def _print_json(hits: list[Hit]) -> None:
    rows = [
        {"video": h.video, "video_id": h.video_id, "start_s": h.span.start_s, "end_s": h.span.end_s, "score": round(h.score, 3),
         "reason": h.reason, "kind": h.kind}
        for h in hits
    ]  # fmt: skip
    json.dump(rows, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def _print_table(hits: list[Hit], nothing: str) -> None:
    console = Console()
    if not hits:
        console.print(nothing, highlight=False)
        return
    console.print(hits_table(hits))


def hits_table(hits: Sequence[Hit]) -> Table:
    table = Table("score", "video", "start", "end", "why", box=None, pad_edge=False, header_style="dim")
    for hit in hits:
        cells = (f"{hit.score:.2f}", hit.video, clock(hit.span.start_s), clock(hit.span.end_s), hit.reason)
        table.add_row(*map(Text, cells))  # Text: what films and files say is no markup
    return table
