"""`longtake findings --store DATABASE`: the same rows from PostgreSQL as from a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.opening import open_results, open_store
from tests.contracts.results.reports import report


def findings(store: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["findings", "--store", store, "--json"])
    return done.exit_code, done.stdout or done.stderr


@pytest.mark.servers
def test_rows_in_postgresql_are_those_in_a_folder(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    open_store(str(tmp_path / "store")).results.save(report((10, 40), (60, 80.25)), "channel 4")
    open_results(postgres_url).save(report((10, 40), (60, 80.25)), "channel 4")

    code, told = findings(postgres_url)

    assert (code, told) == findings(str(tmp_path / "store"))
    assert [(row["start_s"], row["end_s"]) for row in json.loads(told)["findings"]] == [(10, 40), (60, 80.25)]


def test_a_database_without_its_driver_or_its_server_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    missing, away = "postgresql+pg8000://me:s3cret@host/db", "postgresql+psycopg://me:s3cret@127.0.0.1:9/db"
    for store, words in [(missing, "'pg8000', which is not installed"), (away, "does not answer")]:
        code, told = findings(store)
        assert code == 4
        assert words in " ".join(told.split())
        assert "s3cret" not in told
        assert "Traceback" not in told
