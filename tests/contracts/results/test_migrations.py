"""The tables that migrations make, those that the program makes, and those that older stores have become."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pipelines.interfaces import StoreUnavailable
from pipelines.stores.connection import OldTables, opened_engine
from pipelines.stores.database import DatabaseResults
from pipelines.stores.ledger import Ledger
from pipelines.stores.tables import OLDER_BY_TABLES, TABLES, VERSION
from services.migrations.upgrading import config, upgrade
from services.opening import open_results
from tests.contracts.results.reports import VIDEO, report

ROOT = Path(__file__).resolve().parents[3]


def schema(url: str) -> dict[str, object]:
    """Table -> its columns, keys and indexes, as the database tells them."""
    found = sa.inspect(opened_engine(url))
    return {
        table: (
            {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)},
            found.get_pk_constraint(table)["constrained_columns"],
            sorted((i["name"], tuple(i["column_names"]), i["unique"]) for i in found.get_indexes(table)),
            sorted(tuple(u["column_names"]) for u in found.get_unique_constraints(table)),
        )
        for table in found.get_table_names()
    }


def run(url: str, *statements: str) -> None:
    with opened_engine(url).begin() as db:
        for statement in statements:
            db.execute(sa.text(statement))


def version(url: str) -> str:
    with opened_engine(url).begin() as db:
        return str(db.scalar(sa.text("SELECT version_num FROM alembic_version")))


def made_old(url: str) -> None:
    """As stores were before they had versions: a report in it, and no table of spots, which came when one was first named."""
    open_results(url).save(report((10, 40)), "channel 4")
    run(url, *(f"DROP TABLE {table}" for table in ("alembic_version", "requests", "attempts", "objects", "sources", "spots")))


def test_the_last_migration_is_the_version_of_the_tables():
    scripts = ScriptDirectory.from_config(config())

    assert scripts.get_heads() == [VERSION]
    assert set(OLDER_BY_TABLES) < {script.revision for script in scripts.walk_revisions()}


def test_migrations_make_the_tables_that_the_program_knows(url: str):
    upgrade(url)

    with opened_engine(url).begin() as db:
        assert compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), TABLES) == []
    assert version(url) == VERSION


def test_the_program_makes_the_tables_that_migrations_make(url: str, tmp_path: Path):
    upgrade(url)
    migrated = schema(url)
    run(url, *(f"DROP TABLE {table}" for table in migrated))

    DatabaseResults(url)

    assert schema(url) == migrated
    assert version(url) == VERSION


@pytest.mark.parametrize("opened", [open_results, DatabaseResults], ids=["by migrations", "without Alembic"])
def test_a_store_without_a_version_is_brought_up_to_date_and_keeps_its_answers(opened: type[DatabaseResults], url: str):
    made_old(url)

    results = opened(url)

    assert version(url) == VERSION
    assert results.load(VIDEO, "d1") == report((10, 40))
    assert [row.start_s for row in results.findings()] == [10]
    assert Ledger(results).begin("decode", "m1") == 1
    with opened_engine(url).begin() as db:
        assert compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), TABLES) == []


def test_migrating_twice_changes_nothing(url: str):
    open_results(url).save(report((10, 40)), "channel 4")
    before = schema(url)

    upgrade(url)

    assert schema(url) == before
    assert len(open_results(url).findings()) == 1


def test_a_store_of_a_later_program_is_left_alone(url: str):
    open_results(url)
    run(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreUnavailable, match="was made by a newer Longtake"):
        open_results(url)
    with pytest.raises(OldTables, match=f"has tables of version 9999, this program those of {VERSION}"):
        DatabaseResults(url)
    assert version(url) == "9999"


def test_the_core_needs_no_alembic(tmp_path: Path):
    program = (
        "import sys\n"
        "from pipelines.stores.database import DatabaseResults\n"
        "from pipelines.stores.ledger import Ledger\n"
        f"print(Ledger(DatabaseResults('sqlite:///{tmp_path}/findings.db')).begin('a', 'b'), 'alembic' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "False"]
