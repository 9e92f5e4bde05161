"""Finds the golden cases, and tells at the end of a run how far each was from what is expected and which systems are not built yet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

TOLD = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def told(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run."""
    return pytestconfig.stash.setdefault(TOLD, [])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    from tests.goldens.folders import NOT_BUILT, cases_under  # needs torch, without which no test here is collected

    cases = cases_under(_folder(metafunc.config))
    if not cases:
        raise pytest.UsageError(f"--goldens: there is no golden case at or below {_folder(metafunc.config)}")
    run = [case for case in cases if case.system not in NOT_BUILT]
    metafunc.parametrize("case", run, ids=[case.name for case in run])
    waiting = Counter(case.system for case in cases if case.system in NOT_BUILT)
    metafunc.config.stash[TOLD] = [f"{system}: not built yet, {count} cases not run" for system, count in waiting.items()]


def _folder(config: pytest.Config) -> Path:
    asked = config.getoption("--goldens")
    return config.invocation_params.dir / asked if asked else Path(__file__).parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash.get(TOLD, []):
        terminalreporter.write_sep("=", "goldens")
        for line in lines:
            terminalreporter.write_line(line)
