"""Bars that show how far long work has come. Knows no work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress_bars() -> Iterator[Any]:
    """A bar with an ETA per stage, on standard error and only where someone is looking."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        rows: dict[str, TaskID] = {}

        def progress(stage: str, done: float, total: float) -> None:
            if stage not in rows:
                rows[stage] = bars.add_task(stage[:48], total=total)
            bars.update(rows[stage], completed=done, total=total)

        yield progress
