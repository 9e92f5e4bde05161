"""What Alembic runs to migrate: the tables as they should be, and the connection that `upgrading` or the command line gives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from pipelines.stores.connection import opened_engine
from pipelines.stores.tables import TABLES


def run(db: sa.Connection) -> None:
    context.configure(connection=db, target_metadata=TABLES, render_as_batch=db.dialect.name == "sqlite", transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    with opened_engine(context.config.get_main_option("sqlalchemy.url") or "").begin() as db:
        run(db)
