"""Waiting for something to come to pass, on a machine that may be crowded."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 900.0


def until(condition: Callable[[], bool], otherwise: str | Callable[[], str], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.1)
