"""A database that SQLAlchemy speaks: opened, its tables made, its transactions, and how it says no. Knows no table's meaning."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipelines.interfaces import StoreUnavailable
from pipelines.stores import tables

WAIT_S = 30  # for another process that writes, in SQLite
CONNECT_S = 5
AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"connect_args": {"timeout": WAIT_S}},
    "postgresql": {"connect_args": {"connect_timeout": CONNECT_S}, "pool_pre_ping": True},
}


class OldTables(StoreUnavailable):
    """The store was made by another version of this program; migrations bring it here."""


class Database:
    """One database and its connections, for all threads of this process."""

    def __init__(self, url: str) -> None:
        """Makes the tables where there are none. Raises StoreUnavailable, OldTables where migrations must run first."""
        self.name = public_name(url)
        self.engine = opened_engine(url)
        with self.reading() as db:
            is_current = version_of(db) == tables.VERSION
        if not is_current:
            with self.writing("tables") as db:
                self._make_tables(db)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction without changes. Raises StoreUnavailable where the database does not answer."""
        with self._told(), self.engine.begin() as db:
            yield db

    @contextmanager
    def writing(self, about: str) -> Iterator[sa.Connection]:
        """A transaction that happens whole or not at all; of those about the same thing one after the other. Raises StoreUnavailable."""
        with self._told(), self.engine.connect() as db, db.execution_options(writes=True).begin():
            lock(db, about)
            yield db

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except AWAY as error:
            raise StoreUnavailable(f"the result store {self.name} does not answer: {sentence(error)}") from error

    def _make_tables(self, db: sa.Connection) -> None:
        there = version_of(db)
        if there == tables.VERSION:
            return
        if there is not None and there not in tables.OLDER_BY_TABLES:
            raise OldTables(
                f"the result store {self.name} has tables of version {there}, this program those of {tables.VERSION}; "
                "they are brought up to date by a Longtake with its services (pip install 'longtake[services]')"
            )
        tables.TABLES.create_all(db)
        tables.version.create(db, checkfirst=True)
        db.execute(sa.delete(tables.version))
        db.execute(sa.insert(tables.version).values(version_num=tables.VERSION))


def is_behind(url: str) -> bool:
    """Whether the database's tables are other than those of now, or are not there. Raises StoreUnavailable."""
    engine = opened_engine(url)
    try:
        with engine.begin() as db:
            return version_of(db) != tables.VERSION
    except AWAY as error:
        raise StoreUnavailable(f"the result store {public_name(url)} does not answer: {sentence(error)}") from error
    finally:
        engine.dispose()


def version_of(db: sa.Connection) -> str | None:
    """Of the tables that are there; None where there are none. Stores of before versions have those of 0001, or some of them."""
    there = sa.inspect(db).get_table_names()
    if "alembic_version" in there:
        return db.scalar(sa.select(tables.version.c.version_num))
    return "0001" if "reports" in there else None


def opened_engine(url: str) -> sa.Engine:
    """Raises StoreUnavailable."""
    try:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, **OPTIONS.get(sa.make_url(url).get_backend_name(), {}))
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"the result store {public_name(url)} needs the Python package {error.name!r}, which is not installed; "
            "pip install 'longtake[services]' brings psycopg, for PostgreSQL"
        ) from error
    except (sa.exc.SQLAlchemyError, ImportError, OSError) as error:
        raise StoreUnavailable(f"the result store {public_name(url)} does not answer: {sentence(error)}") from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_connected)
        sa.event.listen(engine, "begin", _sqlite_begun)
    return engine


def lock(db: sa.Connection, about: str) -> None:
    """Until the transaction ends, nobody else holds the lock of this name. SQLite has one for all, taken when the writing began."""
    if db.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(f"longtake {about}".encode()).digest()[:8], "big", signed=True)
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def put_row(db: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """In place of the one with the same primary key, where there is one. For use under a lock about that key."""
    same = [column == row[column.name] for column in table.primary_key]
    if not db.execute(sa.update(table).where(*same).values(row)).rowcount:
        db.execute(sa.insert(table).values(row))


def public_name(url: str) -> str:
    """A database's name without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "(not a database URL)"


def sentence(error: Exception) -> str:
    words = str(getattr(error, "orig", None) or error).strip().splitlines()
    return words[0] if words else type(error).__name__


def _sqlite_connected(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where they are said to, not at the first change
    with suppress(sqlite3.OperationalError):  # in a folder that may only be read, the journal stays as it is
        connection.execute("PRAGMA journal_mode=WAL")  # readers do not wait for a writer


def _sqlite_begun(db: sa.Connection) -> None:
    """A writer asks for its lock at once: one that had read before could not wait for another's changes, only fail."""
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("writes") else "BEGIN")
