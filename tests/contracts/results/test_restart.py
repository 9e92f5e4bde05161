"""A database that goes away and comes back under an open pool."""

from __future__ import annotations

import pytest

from deploy.local.servers import Servers
from pipelines.interfaces import StoreUnavailable
from pipelines.stores.database import DatabaseResults
from pipelines.stores.ledger import Ledger
from services.opening import open_results
from tests.contracts.results.reports import VIDEO, report

pytestmark = pytest.mark.servers


@pytest.fixture
def results(postgres_url: str) -> DatabaseResults:
    return open_results(postgres_url)


def test_a_killed_database_is_unavailable_and_what_was_saved_is_there_when_it_is_back(results: DatabaseResults, servers: Servers):
    ledger = Ledger(results)
    results.save(report((10, 40)), "s")
    assert ledger.begin("decode", "m1") == 1

    servers.kill("postgres")
    for use in (results.findings, lambda: results.save(report((11, 40)), "s"), lambda: ledger.begin("decode", "m1")):
        with pytest.raises(StoreUnavailable, match="does not answer"):
            use()

    servers.start("postgres")
    assert ledger.begin("decode", "m1") == 2
    assert results.load(VIDEO, "d1") == report((10, 40))


def test_a_restart_between_two_calls_is_not_noticed(results: DatabaseResults, servers: Servers):
    results.save(report((10, 40)), "s")

    servers.stop("postgres")
    servers.start("postgres")

    assert [row.start_s for row in results.findings()] == [10]
    results.save(report((11, 40)), "s")


def test_a_database_that_goes_away_in_the_middle_of_a_transaction_keeps_none_of_it(results: DatabaseResults, servers: Servers):
    with pytest.raises(StoreUnavailable, match="does not answer"), results.database.writing("a test") as db:
        results._write_rows(db, report((10, 40)), "s")
        servers.kill("postgres")
        results._write_rows(db, report((10, 40), (60, 70)), "s")

    servers.start("postgres")
    assert results.findings() == []
