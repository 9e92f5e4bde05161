"""Conversations about pictures and videos as LLaVA writes them, and the tokens and labels that Video-XL learns from. Opens no media.

A file is a JSON list, or one record a line: {"id": ..., "image" | "video": "a file" | ["several"], "conversations":
[{"from": "human" | "gpt" | "system", "value": "..."}]}. `<image>` or `<video>` says where in the text the picture stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.language.prompts import END, START, SYSTEM, Tokenizer
from model.training.forward import UNLABELLED

TAG = re.compile(r"<image>|<video>")
ROLES = {"system": "system", "human": "user", "gpt": "assistant"}


class BadExample(Exception):
    """One cannot learn from this record. The sentence names it and says why; the others are not concerned."""


class BadData(Exception):
    """The file as a whole is no training data."""


@dataclass(frozen=True, slots=True)
class Record:
    """kind: `image`, `video` or `text`; media: files below the media folder, several pictures are seen as a video of them;
    turns: (role in ChatML, text), with one TAG where the pictures stand, if there are any."""

    id: str
    kind: str
    media: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Tokens before the pictures and behind them, each with its label: itself, or UNLABELLED. Without pictures all are behind."""

    prompt: tuple[int, ...]
    prompt_labels: tuple[int, ...]
    text: tuple[int, ...]
    text_labels: tuple[int, ...]


def read_records(path: Path) -> tuple[list[Record], list[str]]:
    """All records that can be used, and a sentence for each of the others. Raises BadData."""
    found, refused = [], []
    for number, told in enumerate(_entries(path)):
        try:
            found.append(_record(told, number))
        except BadExample as error:
            refused.append(str(error))
    if not found:
        raise BadData(f"{path} holds nothing to learn from; {refused[0] if refused else 'it is empty'}")
    return found, refused


def _entries(path: Path) -> Iterator[Any]:
    text = path.read_text("utf-8")
    if not text.lstrip().startswith("["):
        yield from (_parsed(path, line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip())
        return
    yield from _parsed(path, text, 1)


def _parsed(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadData(f"{path} is neither a JSON list nor JSON lines: line {line}: {error}") from error


def _record(told: Any, number: int) -> Record:
    name = f"record {number}"
    if not isinstance(told, dict):
        raise BadExample(f"{name} is no table of settings")
    name += f" ({told['id']})" if "id" in told else ""
    kinds = [kind for kind in ("image", "video") if told.get(kind)]
    if len(kinds) > 1:
        raise BadExample(f"{name} has both an image and a video; Video-XL sees one of them at a time")
    kind = kinds[0] if kinds else "text"
    media = told.get(kind, [])
    media = [media] if isinstance(media, str) else media
    if not isinstance(media, list) or not all(isinstance(file, str) for file in media) or (kind == "video" and len(media) > 1):
        raise BadExample(f"{name} names its {kind} wrongly: expected a file, or a list of image files")
    return Record(str(told.get("id", number)), kind, tuple(media), tuple(_turns(name, told.get("conversations"), has_media=bool(media))))


def _turns(name: str, told: Any, *, has_media: bool) -> Iterable[tuple[str, str]]:
    try:
        turns = [(ROLES[turn["from"]], str(turn["value"])) for turn in told]
    except (KeyError, TypeError) as error:
        raise BadExample(f"{name} has no list of conversations from {', '.join(ROLES)}, each with a value ({error!r})") from error
    talk = [role for role, _ in turns if role != "system"]
    if not talk or talk != ["user", "assistant"] * (len(talk) // 2) or "system" in [role for role, _ in turns[1:]]:
        raise BadExample(f"{name} is no exchange of human and gpt in turn: {', '.join(role for role, _ in turns) or 'nobody speaks'}")
    tagged = [place for place, (_, text) in enumerate(turns) if TAG.search(text)]
    if tagged and not has_media:
        raise BadExample(f"{name} speaks of a picture or video but names none")
    if any(turns[place][0] != "user" for place in tagged) or len(tagged) > 1:
        raise BadExample(f"{name} shows pictures in several turns, or not in the human's; Video-XL sees them once, in one")
    if has_media:
        place = tagged[0] if tagged else len(turns) - len(talk)  # the first of the human
        turns[place] = ("user", _tag_first(turns[place][1]))
    return turns


def _tag_first(text: str) -> str:
    """One tag, at the very beginning, on a line of its own: as the authors' preparation leaves it."""
    if len(TAG.findall(text)) == 1 and TAG.match(text):
        return TAG.sub("<image>", text)
    return "<image>\n" + TAG.sub("", text).strip()


def chat(record: Record, tokenizer: Tokenizer) -> Words:
    """The whole exchange in ChatML. Answers are learned, and of every turn the tokens around it: START, END and the newline behind END.

    Behind the pictures stands a newline of its own, before the one that the text begins with; at inference there is one (the authors'
    preparation does this, and their model has learned it).
    """
    turns = record.turns if record.turns[0][0] == "system" else (("system", SYSTEM), *record.turns)
    write = _Writer(record, tokenizer)
    for role, text in turns:
        write.learned(START)
        write.given(f"{role}\n")
        before, tag, behind = text.partition("<image>") if role == "user" and record.media else (text, "", "")
        (write.learned if role == "assistant" else write.given)(before, checked=True)
        if tag:
            write.pictures()
            write.given("\n")
            write.given(behind, checked=True)
        write.learned(END)
        write.learned("\n")
    return write.words()


def caption(record: Record, tokenizer: Tokenizer) -> Words:
    """The picture, and behind it the first answer as its caption: the human's words are left out."""
    if not record.media:
        raise BadExample(f"{record.id} shows nothing; this stage learns captions of pictures and videos")
    write = _Writer(record, tokenizer)
    write.pictures()
    # In one piece with its newline, with which a full stop may be one token.
    write.learned(next(text for role, text in record.turns if role == "assistant") + "\n", checked=True)
    return write.words()


class _Writer:
    """Tokens and labels, piece by piece; each piece is tokenized by itself, as the authors' preparation does."""

    def __init__(self, record: Record, tokenizer: Tokenizer) -> None:
        self._record, self._tokenizer = record, tokenizer
        self._ids: list[int] = []
        self._labels: list[int] = []
        self._pictures_at = 0

    def given(self, text: str, *, checked: bool = False) -> None:
        ids = self._encoded(text, checked)
        self._add(ids, [UNLABELLED] * len(ids))

    def learned(self, text: str, *, checked: bool = False) -> None:
        ids = self._encoded(text, checked)
        self._add(ids, ids)

    def pictures(self) -> None:
        self._pictures_at = len(self._ids)

    def words(self) -> Words:
        at = self._pictures_at
        ids, labels = tuple(self._ids), tuple(self._labels)
        return Words(ids[:at], labels[:at], ids[at:], labels[at:])

    def _encoded(self, text: str, checked: bool) -> list[int]:
        special = next((special for special in sorted(self._tokenizer.special) if checked and special and special in text), None)
        if special:
            raise BadExample(f"{self._record.id} holds {special}, which only the template may say")
        return self._tokenizer.encode(text) if text else []

    def _add(self, ids: Sequence[int], labels: Sequence[int]) -> None:
        self._ids += ids
        self._labels += labels
