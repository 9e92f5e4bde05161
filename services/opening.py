"""Builds the stores that a setting names. The one place that knows folders from databases."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.interfaces import StoreUnavailable

if TYPE_CHECKING:  # `longtake doctor` asks for the folder where a library that the main path imports may be broken
    from pipelines.stores.database import DatabaseResults
    from pipelines.watching import Store


def default_folder() -> Path:
    """`~/.local/share/longtake`, or below XDG_DATA_HOME (freedesktop.org base directories)."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "longtake"


def open_store(where: str | None) -> Store:
    """A folder (made when missing), or a database URL; measurements of a database's videos lie in the default folder."""
    from pipelines.stores.folder import FolderBlobs
    from pipelines.watching import Store

    is_url = where is not None and "://" in where
    folder = default_folder() if where is None or is_url else Path(where).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"the store {folder} cannot be made: {error.strerror or error}") from error
    url = where if where is not None and is_url else f"sqlite:///{folder.resolve()}/findings.db"
    return Store(FolderBlobs(folder.resolve() / "measured"), open_results(url))


def open_results(url: str) -> DatabaseResults:
    """The results in a database, brought up to date first. Raises StoreUnavailable."""
    from pipelines.stores.connection import is_behind
    from pipelines.stores.database import DatabaseResults

    if is_behind(url) and find_spec("alembic") is not None:  # else tables are made where there are none, and refused where they are old
        from services.migrations.upgrading import upgrade

        upgrade(url)
    return DatabaseResults(url)
