"""Brings the tables of a result store up to date. Knows Alembic, nothing of what the tables mean."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from pipelines.interfaces import StoreUnavailable
from pipelines.stores.connection import AWAY, lock, opened_engine, public_name, sentence
from pipelines.stores.tables import VERSION

logger = logging.getLogger(__name__)


def upgrade(url: str, to: str = "head") -> None:
    """Run the migrations that a store lacks, all or none; of several that start at once the first does, the others wait for it.

    Raises StoreUnavailable.
    """
    engine = opened_engine(url)
    try:
        with engine.connect() as db, db.execution_options(writes=True).begin():
            lock(db, "tables")
            command.upgrade(config(db), to)
    except CommandError as error:
        raise StoreUnavailable(f"the result store {public_name(url)} was made by a newer Longtake ({error}); use that one") from error
    except AWAY as error:
        raise StoreUnavailable(f"the result store {public_name(url)} does not answer: {sentence(error)}") from error
    finally:
        engine.dispose()
    logger.info("result store ready store=%s version=%s", public_name(url), VERSION)


def config(db: sa.Connection | None = None) -> Config:
    """Alembic's settings; `connection`: what it is to work on."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    found.attributes["connection"] = db
    return found
