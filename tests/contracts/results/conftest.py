"""The databases that the suite of results runs on, each empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stores.database import DatabaseResults
from services.opening import open_results


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store/findings.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def results(url: str) -> DatabaseResults:
    return open_results(url)
