"""What people are shown of the services: lags, requests, dead letters, settings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.interfaces import WrongRequest
from services.looking import print_json
from services.settings import PREFIX, Settings


def show_status(*, as_json: bool) -> int:
    """Exit code 0, or 4 where the services were started here and do not run."""
    from services.connecting import settings_here
    from services.up import Place

    settings, place = settings_here(), Place()
    told: dict[str, Any] = {"requests": _request_counts(settings), "process": place.running()}
    if settings.kafka:
        told |= _of_topics(settings)
    if as_json:
        print_json(told)
    else:
        _print_status(told)
    return 4 if place.endpoints.exists() and told["process"] is None else 0


def _request_counts(settings: Settings) -> dict[str, int]:
    from pipelines.stores.requests import RequestBook
    from services.app import open_database
    from services.opening import open_results

    return dict(Counter(row.state for row in RequestBook(open_results(open_database(settings))).all()))


def _of_topics(settings: Settings) -> dict[str, Any]:
    from services.dead_letters import letters
    from services.stages import STAGE_TOPICS
    from services.worker import group_of

    with _topics(settings) as topics:
        lags = {stage: topics.lag([topic], group_of(stage)) for stage, topic in STAGE_TOPICS.items()}
        dead = [letter for letter in letters(topics) if not letter.replayed_at]
    return {"lag": lags, "dead_letters": len(dead)}


def _print_status(told: dict[str, Any]) -> None:
    console = Console()
    runs = f"run as process {told['process']}" if told["process"] else "were not started by `longtake up` in this folder, or ended"
    console.print(f"the services {runs}", highlight=False)
    for stage, lag in told.get("lag", {}).items():
        console.print(f"  {stage:<8} {lag} waiting", highlight=False)
    states = ", ".join(f"{count} {state}" for state, count in sorted(told["requests"].items())) or "none yet"
    console.print(f"requests: {states}", highlight=False)
    if told.get("dead_letters"):
        console.print(f"{told['dead_letters']} dead letters; `longtake dead-letters list` says why", style="yellow", highlight=False)


def show_letters(*, every: bool, as_json: bool) -> None:
    from services.dead_letters import letters

    with _topics_here() as topics:
        found = [letter for letter in letters(topics) if every or not letter.replayed_at]
    if as_json:
        print_json({"dead_letters": [_plain(letter) for letter in found]})
        return
    if not found:
        Console().print("no dead letters")
        return
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in ("id", "when", "stage", "key", "attempts", "reason"):
        table.add_column(name, overflow="fold")
    for letter in found:
        when = letter.told.get("last-failure", "")[:19].replace("T", " ")
        again = f" (sent again {letter.replayed_at[:19]})" if letter.replayed_at else ""
        row = (letter.id[:8], when, letter.told.get("stage", ""), letter.key, letter.told.get("attempts", ""), letter.reason + again)
        table.add_row(*map(Text, row))
    Console().print(table)


def show_letter(letter_id: str, *, as_json: bool) -> None:
    from services.dead_letters import named

    with _topics_here() as topics:
        letter = named(topics, letter_id)
    if as_json:
        print_json(_plain(letter))
        return
    table = Table(show_header=False, box=None, padding=(0, 1))
    told = {name: value for name, value in letter.told.items() if name != "stacktrace"}
    rows = {"key": letter.key, **told, "sent again": letter.replayed_at, **letter.headers, "value": _text(letter.value)}
    for name, value in rows.items():
        if value:
            table.add_row(Text(name, style="dim"), Text(value))
    Console().print(table)
    if letter.told.get("stacktrace"):
        Console().print(Text(letter.told["stacktrace"], style="dim"))


def replay_letters(ids: Sequence[str], *, every: bool, stage: str) -> None:
    from services.dead_letters import letters, named, replay

    if bool(ids) == every:
        raise WrongRequest("name the dead letters to send again, or --all")
    with _topics_here() as topics:
        everything = [one for one in letters(topics) if not one.replayed_at and stage in ("", one.told.get("stage"))] if every else []
        found = everything or [named(topics, letter_id) for letter_id in ids]
        for letter in found:
            replay(topics, letter)
    Console().print(f"sent {len(found)} again; `longtake status` shows how far they come")


def show_settings(*, as_json: bool) -> None:
    """Every variable, with what it is set to here; secrets only by whether they are set."""
    rows = [_setting_row(field) for field in fields(Settings)]
    if as_json:
        print_json({"settings": rows})
        return
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in ("variable", "default", "here", "what it is"):
        table.add_column(name, overflow="fold")
    for row in rows:
        unit = f" ({row['unit']})" if row["unit"] else ""
        table.add_row(*map(Text, (row["name"], row["default"], row["here"], row["about"] + unit)))
    Console().print(table)


def _setting_row(field: Any) -> dict[str, str]:
    name = PREFIX + field.name.upper()
    here = os.environ.get(name, "")
    default = field.default_factory()
    plain = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return {
        "name": name, "default": plain, "here": "(set)" if here and field.metadata["secret"] else here,
        "about": field.metadata["about"], "unit": field.metadata["unit"],
    }  # fmt: skip


def _plain(letter: Any) -> dict[str, Any]:
    return asdict(letter) | {"value": _text(letter.value), "reason": letter.reason}


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="backslashreplace") if len(value) <= 64 << 10 else f"({len(value)} bytes)"


@contextmanager
def _topics_here() -> Iterator[Any]:
    from services.connecting import broker_here

    with _topics(broker_here()) as topics:
        yield topics


@contextmanager
def _topics(settings: Settings) -> Iterator[Any]:
    from services.app import open_topics

    topics = open_topics(settings)
    try:
        yield topics
    finally:
        topics.close()
