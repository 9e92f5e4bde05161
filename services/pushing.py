"""What `longtake stream` does: sends a source and shows how far it has come; lists the streams."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from typing import Any

from rich.console import Console

from services.answering import Exit
from services.app import open_measured, open_topics
from services.ingest.streams import Push, Sent, push
from services.settings import Settings


def push_stream(source: str, *, as_json: bool, **how: Any) -> int:
    """Returns the exit code: STOPPED where Ctrl-C or a termination ended it. The last mark is sent either way."""
    settings, wish = Settings.from_env(), Push(source=source, **how)
    topics = open_topics(settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=True)
    code, sent = Exit.DONE, Sent(wish.stream)

    def told(now: Sent) -> None:
        nonlocal sent
        sent = now
        status.update(_line(now))

    try:
        with console.status(f"connecting: {wish.stream}") as status:
            push(wish, topics, open_measured(settings), told)
    except KeyboardInterrupt:
        code = Exit.STOPPED
    finally:
        topics.close()
    print(json.dumps(asdict(sent)) if as_json else _line(sent))
    return code


def _line(sent: Sent) -> str:
    rate = f", {sent.bytes * 8 / sent.seconds / 1e6:.1f} Mbit/s" if sent.seconds else ""
    again = f", connected again {sent.reconnects} times" if sent.reconnects else ""
    minutes, seconds = divmod(int(sent.seconds), 60)
    trouble = f" - {sent.trouble}" if sent.trouble else ""
    return f"{sent.stream}: {minutes}:{seconds:02} sent in {sent.chunks} chunks{rate}{again}{trouble}"
