"""Shared by all tests: small films, each made once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.films import RECIPES, make_film


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutants", type=int, default=100, help="how many damaged films tests/hostile tries (the whole corpus: 500)")


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`film("open.mp4")` is the path of that recipe's film."""
    folder = tmp_path_factory.mktemp("films")
    return lambda name: folder / name if (folder / name).exists() else make_film(folder, RECIPES[name])
